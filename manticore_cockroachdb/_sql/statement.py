"""What a statement is, read from its words.

Knows SQL's verbs, and where PostgreSQL and CockroachDB treat them differently. Knows no files and
sends nothing. What a schema statement changes is read in `ddl`; the questions are all asked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from itertools import islice, pairwise
from typing import Final

from .batch import Batch
from .change_reading import read_schema_change
from .lexer import BLANKS, RawStatement, TokenKind, tokens
from .schema_change import Answer, Change, Effect, Repeat
from .server_kind import ServerKind
from .tokens import bare, head, top_level, upper, word_set

__all__ = [
    "Kind",
    "Repeat",
    "Statement",
    "answers_when_repeated",
    "classify",
    "effects",
    "has_if_exists",
    "makes_no_job",
    "object_names",
    "refuses_transaction",
    "repeatable",
    "rows_changed",
    "summary",
    "target_table",
]


class Kind(Enum):
    """How a statement takes part in a run."""

    SCHEMA = "schema"
    """Changes objects, or is not known: sent alone."""
    DATA = "data"
    """Reads or writes rows: may share a transaction with its neighbors."""
    SESSION = "session"
    """Changes the session only: sent again before a run is resumed."""
    TRANSACTION = "transaction"
    """Begins or ends a transaction: refused in a script."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a script.

    Attributes:
        text: Without the closing `;`.
        line: The line of its first token in the file, from 1.
        kind: What it is.
        batch: How it runs in batches; None: as a whole.
        lock_timeout: Seconds it waits for a lock at most, 0 for no limit; None: it does not say.
    """

    text: str
    line: int
    kind: Kind
    batch: Batch | None = None
    lock_timeout: float | None = None


_IF: Final = re.compile(r"\bif\b", re.IGNORECASE)
_FIRST_WORD: Final = re.compile(rf"[({BLANKS}]*+([A-Za-z_]++)")
_INTO: Final = re.compile(r"\binto\b", re.IGNORECASE)

# Words that decide alone. What is not here, and not looked at below, is a schema statement:
# sent alone, which is right for anything.
_BY_FIRST_WORD: Final = {
    **dict.fromkeys(
        word_set("ABORT BEGIN COMMIT END RELEASE ROLLBACK SAVEPOINT"), Kind.TRANSACTION
    ),
    **dict.fromkeys(
        word_set("DEALLOCATE DISCARD LISTEN LOAD UNLISTEN USE"), Kind.SESSION
    ),
    **dict.fromkeys(
        word_set(
            "CALL CLOSE COPY DECLARE DELETE DO EXECUTE EXPLAIN FETCH INSERT LOCK MERGE MOVE NOTIFY "
            "SHOW TABLE UPDATE UPSERT VALUES"
        ),
        Kind.DATA,
    ),
}  # fmt: skip
_WRITES: Final = frozenset(("INSERT", "UPDATE", "DELETE", "UPSERT", "MERGE"))


def classify(raw: RawStatement) -> Statement:
    """Tell what kind of statement this is."""
    return Statement(raw.text, raw.line, _kind(raw.text))


def _kind(text: str) -> Kind:
    match = _FIRST_WORD.match(text)
    if match is None:
        words = head(text, 1)
        word = words[0] if words else ""
    else:
        word = match[1].upper()
    known = _BY_FIRST_WORD.get(word)
    if known is not None:
        return known
    if word in ("SELECT", "WITH"):
        return _kind_of_query(text, word)
    if word in ("SET", "RESET", "START", "PREPARE"):
        return _kind_of_setting(head(text, 3))
    return Kind.SCHEMA


def _kind_of_query(text: str, word: str) -> Kind:
    if word == "SELECT" and _sets_config(head(text, 5)):
        return Kind.SESSION
    if _INTO.search(text) is None:
        return Kind.DATA
    before = ""
    for token in top_level(text.lstrip(BLANKS + "(")):
        current = upper(token)
        if word == "WITH" and current in _WRITES and before != ".":
            return Kind.DATA
        if current == "INTO" and token.kind is TokenKind.WORD and before not in ("AS", "."):
            return Kind.SCHEMA  # SELECT … INTO makes a table
        before = current
    return Kind.DATA


def _sets_config(words: tuple[str, ...]) -> bool:
    return words[1:3] == ("SET_CONFIG", "(") or (
        words[1:] == ("PG_CATALOG", ".", "SET_CONFIG", "(")
    )


def _kind_of_setting(words: tuple[str, ...]) -> Kind:
    verb, rest = words[0], words[1:]
    if verb == "START":
        return Kind.TRANSACTION if rest[:1] == ("TRANSACTION",) else Kind.SCHEMA
    if rest[:2] == ("CLUSTER", "SETTING"):
        return Kind.SCHEMA
    if rest[:1] in (("SESSION",), ("LOCAL",)):
        rest = rest[1:]
    if verb != "RESET" and rest[:1] == ("TRANSACTION",):
        return Kind.TRANSACTION
    return Kind.SESSION


def refuses_transaction(statement: Statement, server: ServerKind) -> bool:
    """Whether the server refuses this statement inside a transaction block.

    It looks at the statement alone: that a procedure commits cannot be seen.
    """
    if server is ServerKind.COCKROACHDB:
        return _cockroachdb_refuses(head(statement.text, 3))
    return _postgresql_refuses(statement.text)


def _cockroachdb_refuses(words: tuple[str, ...]) -> bool:
    verb = words[0] if words else ""
    return (
        verb in ("BACKUP", "EXPORT", "IMPORT", "INSPECT", "RESTORE")
        or words[1:3] == ("CLUSTER", "SETTING")
        or words == ("REFRESH", "MATERIALIZED", "VIEW")
        or words[:2] in (("CREATE", "CHANGEFEED"), ("ALTER", "CHANGEFEED"))
    )


def _postgresql_refuses(text: str) -> bool:
    words = head(text, 4)
    verb, rest = (words[0], words[1:]) if words else ("", ())
    match verb:
        case "VACUUM":
            return True
        case "CREATE" | "DROP":
            if rest[:1] == ("UNIQUE",):
                rest = rest[1:]
            return rest[:1] in (("DATABASE",), ("TABLESPACE",), ("SUBSCRIPTION",)) or (
                rest[:2] == ("INDEX", "CONCURRENTLY")
            )
        case "ALTER":
            return _alter_refuses(text, rest)
        case "REINDEX":
            what = tuple(upper(token) for token in islice(top_level(text), 1, 2))
            return what in (("SCHEMA",), ("DATABASE",), ("SYSTEM",)) or (
                "CONCURRENTLY" in {upper(token) for token in tokens(text)}
            )
        case "CLUSTER":
            return not rest or rest == ("VERBOSE",)
        case "DISCARD":
            return rest[:1] == ("ALL",)
        case _:
            return False


def _alter_refuses(text: str, rest: tuple[str, ...]) -> bool:
    match rest[:1]:
        case ("SYSTEM",) | ("SUBSCRIPTION",):
            return True
        case ("DATABASE",):
            words = tuple(upper(token) for token in islice(top_level(text), 6))
            return ("SET", "TABLESPACE") in pairwise(words)
        case ("TABLE",):
            every = [upper(token) for token in top_level(text)]
            return "DETACH" in every and every[-1] == "CONCURRENTLY"
        case _:
            return False


# Statements whose literals may be passwords, keys, or addresses that hold them.
_SECRETIVE: Final = word_set(
    "BACKUP CHANGEFEED CLUSTER CONNECTION EXPORT EXTERNAL GROUP IMPORT MAPPING RESTORE ROLE "
    "SCHEDULE SERVER SUBSCRIPTION SYSTEM USER WRAPPER"
)
_PASSWORD: Final = re.compile("passw|secret", re.IGNORECASE)
_STRAIGHT_LINE: Final = re.compile(rf"[{BLANKS}]+")


def summary(statement: Statement, width: int = 60) -> str:
    """The statement on one line, for people: without comments, spaces folded, cut to `width`.

    Literals that may be a password or hold one are shown as '…'.
    """
    secretive = _may_hold_secret(head(statement.text, 4))
    line, end, before = "", 0, ""
    for token in tokens(statement.text):
        shown = token.text
        if token.kind is TokenKind.STRING and (
            secretive or before == "PASSWORD" or _PASSWORD.search(shown)
        ):
            shown = "'…'"
        gap = " " if line and token.start > end else ""
        line += gap + _STRAIGHT_LINE.sub(" ", shown[: width + 1])
        if len(line) > width:
            return line[: width - 1].rstrip() + "…"
        end, before = token.end, upper(token)
    return line


def _may_hold_secret(words: tuple[str, ...]) -> bool:
    verb = words[0] if words else ""
    if verb in _SECRETIVE or verb == "COPY":
        return True
    return verb in ("CREATE", "ALTER", "SET", "SHOW", "EXPLAIN") and not _SECRETIVE.isdisjoint(
        words[1:]
    )


def answers_when_repeated(statement: Statement) -> frozenset[Answer]:
    """The errors that, on a second sending, tell that the first one took effect."""
    return _change(statement).answers


def effects(statement: Statement) -> tuple[Effect, ...]:
    """What the statement does to each object it names."""
    return _change(statement).effects


def repeatable(statement: Statement) -> Repeat:
    """Whether the statement can be sent twice."""
    return _change(statement).repeat


def target_table(statement: Statement) -> str | None:
    """The table it works on, as written there (quoted, qualified); None where it names none."""
    return _change(statement).table


def target_name(statement: Statement) -> tuple[str | None, str] | None:
    """Schema and bare name of the table a statement works on."""
    written = target_table(statement)
    if written is None:
        return None
    names = [bare(token) for token in tokens(written) if token.kind is not TokenKind.SYMBOL]
    return (names[-2] if len(names) > 1 else None), names[-1]


def object_names(statement: Statement) -> tuple[str, ...]:
    """The bare names a schema-change job's description would mention, the main object first.

    Without schema and quotes; names that are not quoted are in small letters.
    """
    return tuple(dict.fromkeys(_change(statement).names))


def makes_no_job(statement: Statement) -> bool:
    """Whether CockroachDB starts no schema-change job that would tell of it.

    True for a new table, type, schema, sequence or view; not for CREATE TABLE AS, nor for a table
    with foreign keys, which changes the tables it refers to. True also where no object is known by
    name: an IMPORT, a BACKUP, a changefeed or a schedule is not a schema change, and a statement that
    is not understood could not be found among the jobs.
    """
    change = _change(statement)
    return change.jobless or not change.names


def has_if_exists(statement: Statement) -> bool:
    """Whether it says IF EXISTS or IF NOT EXISTS, so that it may have done nothing."""
    if statement.kind is not Kind.SCHEMA or _IF.search(statement.text) is None:
        return False
    words = [upper(token) for token in top_level(statement.text)]
    pairs = list(zip(words, words[1:], [*words[2:], ""], strict=False))
    return any(one == "IF" and (two, three)[two == "NOT"] == "EXISTS" for one, two, three in pairs)


def rows_changed(statement: Statement, tag: str) -> int | None:
    """How many rows the statement changed, by the server's command tag; None for what changes none.

    Args:
        statement: The statement.
        tag: Such as `UPDATE 3` or `INSERT 0 1`. What a query only selects does not count.
    """
    verb, *numbers = tag.split()
    if not numbers or not numbers[-1].isdigit():
        return None
    counts = verb in ("INSERT", "UPDATE", "DELETE", "MERGE", "COPY")
    makes_table = verb == "SELECT" and statement.kind is Kind.SCHEMA
    return int(numbers[-1]) if counts or makes_table else None


def _change(statement: Statement) -> Change:
    if statement.kind is Kind.SCHEMA:
        return read_schema_change(statement.text)
    return Change(repeat=Repeat.SAFE if statement.kind is Kind.SESSION else Repeat.UNSAFE)
