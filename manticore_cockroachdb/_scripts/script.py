"""One script: its values, its mode and its checksum. Touches no disk and no server."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from .._sql.lexer import BLANKS
from .._sql.statement import Statement
from .checkpoint import Checkpoint, Replaced
from .statements import read_statements
from .text import trim, universal_newlines

#: A comment that says that a down section is missing on purpose.
IRREVERSIBLE: Final = re.compile(
    r"^--[ \t]*manticore[ \t]*:[ \t]*irreversible[ \t]*$", re.IGNORECASE | re.MULTILINE
)


class Mode(Enum):
    """How a script runs."""

    ATOMIC = "atomic"
    """All statements and the ledger row in one transaction."""
    STEPWISE = "stepwise"
    """Statement by statement, each recorded; neighboring data statements share a transaction."""
    AUTOCOMMIT = "autocommit"
    """Statement by statement, each recorded and none inside a transaction of ours."""


class Isolation(Enum):
    """The isolation level of a script's transactions; the value is SQL's own name of it."""

    READ_COMMITTED = "read committed"
    REPEATABLE_READ = "repeatable read"
    SERIALIZABLE = "serializable"


ScriptKey = int | str
"""What tables and commands call a script: its version, or a repeatable script's name."""


def called(key: ScriptKey) -> str:
    """A script in messages: "version 7", or "R__active_users"."""
    return f"version {key}" if isinstance(key, int) else key


@dataclass(frozen=True, slots=True)
class After:
    """A repeatable script that another one runs after.

    Attributes:
        file: The name of its file, as the option `after=` says it.
        line: The line of the file on which that option stands.
    """

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class MigrationScript:
    """One version on disk, or one repeatable script.

    Attributes:
        version: Its number, from 1; 0 for a repeatable script, which has none.
        description: What its file name says, with spaces.
        up_sql: The up section.
        down_sql: The down section; None where there is none, "" where it is empty.
        path: Its file.
        checksum: SHA-256 of the up section, see `checksum`.
        mode: What its header asks for; None leaves it to the server's default.
        isolation: The isolation level its header asks for; None means the server's own default.
        after: The repeatable scripts that this repeatable script runs after.
        checkpoint: For a file `B40__….sql`: the versions that it stands for; None for every other script.
        lock_timeout: Seconds that each of its statements waits for a lock at most, as its header asks for
            (PostgreSQL); 0 means no limit, None leaves it to the setting.
        up_line: The line of the file on which `up_sql` begins.
        down_line: The line of its file on which `down_sql` begins.
        down_path: The file of the down section, where that is a separate file.
    """

    version: int
    description: str
    up_sql: str
    down_sql: str | None
    path: Path
    checksum: str
    mode: Mode | None = None
    up_line: int = 1
    down_line: int = 1
    down_path: Path | None = None
    isolation: Isolation | None = None
    lock_timeout: float | None = None
    after: tuple[After, ...] = ()
    checkpoint: Checkpoint | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether it runs again whenever its text has changed (`R__name.sql`)."""
        return self.version == 0

    @property
    def repeatable(self) -> str | None:
        """A repeatable script's name, as on disk but without its ending; None for a version."""
        return repeatable_name(self.path) if self.is_repeatable else None

    @property
    def key(self) -> ScriptKey:
        """What tables and commands call it: its version, or a repeatable script's name."""
        return self.repeatable or self.version

    @property
    def stands_for(self) -> tuple[Replaced, ...]:
        """The versions that a checkpoint stands for; none for every other script."""
        return self.checkpoint.versions if self.checkpoint is not None else ()

    @property
    def is_irreversible(self) -> bool:
        """Whether a comment `-- manticore: irreversible` says that it has no down section on purpose."""
        return IRREVERSIBLE.search(self.up_sql) is not None

    def up_statements(self) -> tuple[Statement, ...]:
        """The statements of the up section, read again on each call."""
        return read_statements(self.up_sql, self.up_line, after_header=True)

    def down_statements(self) -> tuple[Statement, ...]:
        """The statements of the down section, read again on each call; none where there is no part."""
        return read_statements(self.down_sql or "", self.down_line)


def repeatable_name(path: Path) -> str:
    """What a repeatable script is recorded as: the same however a disk composes its characters."""
    return unicodedata.normalize("NFC", path.stem)


_PIECE: Final = 1024 * 1024
"""Characters of a checksum's text looked at together, about."""


def checksum(up_text: str) -> str:
    r"""SHA-256, in hexadecimal, of an up section as people see it.

    Line ends count as `\n`; a byte-order mark, spaces at the end of a line, and blank lines before
    and after the text do not count.
    """
    text = trim(universal_newlines(up_text).lstrip("\ufeff"), 1)[0]
    digest = hashlib.sha256()
    start = 0
    while start < len(text):  # in pieces of whole lines: a script may be large
        end = text.find("\n", start + _PIECE)
        end = len(text) if end < 0 else end + 1
        lines = [line.rstrip(BLANKS) for line in text[start:end].split("\n")]
        digest.update("\n".join(lines).encode(errors="surrogatepass"))
        start = end
    return digest.hexdigest()
