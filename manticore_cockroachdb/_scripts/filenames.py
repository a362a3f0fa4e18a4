"""Names of script files: what they say, and the name for a new one. Touches no disk."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ..errors import SettingsError

HIGHEST_VERSION: Final = 2**63 - 1
"""What fits the ledger's INT8."""

FORM: Final = "V<number>__<description>.sql"
"""What the name of a script looks like."""

REPEATABLE_FORM: Final = "R__<description>.sql"
"""What the name of a repeatable script looks like."""

_FILE_NAME = re.compile(r"([VU])([0-9]+)__(.+)\.sql", re.DOTALL)
_CHECKPOINT_NAME = re.compile(r"B([0-9]+)__(.+)\.sql", re.DOTALL)
_REPEATABLE_NAME = re.compile(r"R__(.+)\.sql", re.DOTALL)
_SLUG_BYTES: Final = 200


_TIMESTAMP: Final = "%Y%m%d%H%M%S"


def timestamp_version(moment: datetime) -> int:
    """A moment as a version: `20261126093000`."""
    return int(moment.strftime(_TIMESTAMP))


def is_timestamp(version: int) -> bool:
    """Whether a version was made from a moment."""
    try:
        datetime.strptime(str(version), _TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return len(str(version)) == 14


@dataclass(frozen=True, slots=True)
class ScriptName:
    """What a file's name says.

    Attributes:
        version: The number, whatever its leading zeros; 0 for a repeatable script.
        description: The part after the two underscores, with spaces for underscores.
        is_down: Whether the file is a separate down section (`U…`).
        is_repeatable: Whether the file is a repeatable script (`R__…`).
    """

    version: int
    description: str
    is_down: bool
    is_repeatable: bool = False


def read_name(name: str) -> ScriptName | None:
    """Read a file name; None where it fits no form."""
    repeatable = _REPEATABLE_NAME.fullmatch(name)
    match = _FILE_NAME.fullmatch(name)
    if repeatable is not None:
        description = _words(repeatable[1])
        return (
            ScriptName(0, description, is_down=False, is_repeatable=True) if description else None
        )
    if match is None:
        return None
    description = _words(match[3])
    if not description:
        return None
    return ScriptName(int(match[2]), description, match[1] == "U")


def _words(slug: str) -> str:
    return " ".join(slug.replace("_", " ").split())


def read_checkpoint_name(name: str) -> ScriptName | None:
    """Read the file name of a checkpoint, `B40__schema.sql`; None where it is another's."""
    match = _CHECKPOINT_NAME.fullmatch(name)
    description = _words(match[2]) if match else ""
    return ScriptName(int(match[1]), description, is_down=False) if match and description else None


def file_name(version: int, description: str, letter: str = "V") -> str:
    """The name of the file for a description: "create users table" → `V1__create_users_table.sql`.

    Letters and digits of every language stay, all else becomes one underscore; a long description
    is cut.

    Raises:
        SettingsError: The description has no character that a file name may have.
    """
    return f"{letter}{version}__{_slug(description)}.sql"


def repeatable_file_name(description: str) -> str:
    """The name of a repeatable script's file: "active users" → `R__active_users.sql`.

    Raises:
        SettingsError: The description has no character that a file name may have.
    """
    return f"R__{_slug(description)}.sql"


def _slug(description: str) -> str:
    text = unicodedata.normalize("NFC", description)
    slug = "_".join("".join(char if _stays(char) else " " for char in text).split())
    if len(slug.encode()) > _SLUG_BYTES:
        cut = slug.encode()[: _SLUG_BYTES + 1].decode(errors="ignore")
        whole_words = cut.rpartition("_")[0]
        slug = whole_words or slug.encode()[:_SLUG_BYTES].decode(errors="ignore")
    if not slug:
        raise SettingsError(
            f"the description {description!r} leaves nothing for a file name; "
            'say in a few words what the script does, for example "create users table"'
        )
    return slug


def _stays(char: str) -> bool:
    return unicodedata.category(char)[0] in "LMN"
