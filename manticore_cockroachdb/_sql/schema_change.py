"""What a schema statement changes, and what a second sending of it would say.

Reads the words of CREATE, ALTER, DROP and their like: the objects they name, the errors that tell
that the first sending took effect, and whether sending it twice is safe. Where it does not know a
statement it says so (`Repeat.UNSAFE`) and never guesses. It asks no server.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from .lexer import Token, tokens
from .tokens import Reader, top_level, upper, word_set


class Repeat(Enum):
    """Whether a statement whose outcome is unknown may be sent again."""

    SAFE = "safe"
    """It does the same again, or the server answers with one of `already_so`."""
    UNNAMED = "unnamed"
    """It makes something the server names by itself: a second sending makes a second one."""
    UNSAFE = "unsafe"
    """A second sending may do harm, or nothing is known about it."""


_NO_CODES: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """What a schema statement does, as far as its words tell.

    Attributes:
        codes: The SQLSTATEs that tell, on a second sending, that the first one took effect.
        repeat: Whether it may be sent twice.
        table: The table it works on, as written.
        names: The bare names of what it touches, the main object first.
        jobless: Whether CockroachDB starts no job for it.
    """

    codes: frozenset[str] = _NO_CODES
    repeat: Repeat = Repeat.UNSAFE
    table: str | None = None
    names: tuple[str, ...] = ()
    jobless: bool = False


_RELATIONS: Final = frozenset(("TABLE", "VIEW", "SEQUENCE", "INDEX"))
_TABLES: Final = frozenset(("TABLE", "VIEW"))
_ROUTINES: Final = frozenset(("FUNCTION", "PROCEDURE", "AGGREGATE", "ROUTINE", "OPERATOR"))
_EXISTS: Final = {
    **dict.fromkeys(_RELATIONS, "42P07"),
    **dict.fromkeys(_ROUTINES, "42723"),
    "SCHEMA": "42P06",
    "DATABASE": "42P04",
}
_GONE: Final = {
    **dict.fromkeys(_RELATIONS, "42P01"),
    **dict.fromkeys(_ROUTINES, "42883"),
    "SCHEMA": "3F000",
    "DATABASE": "3D000",
}
# Words between CREATE, ALTER or DROP and the object that change nothing here.
_MODIFIERS: Final = word_set(
    "CONSTRAINT EVENT FOREIGN GLOBAL INVERTED LOCAL MATERIALIZED PROCEDURAL RECURSIVE TEMP "
    "TEMPORARY TRUSTED UNIQUE UNLOGGED VECTOR"
)
# Each of these makes another one when it is sent again.
_ANOTHER_EACH_TIME: Final = frozenset(("CHANGEFEED", "SCHEDULE"))
# Settings and states: sending one twice leaves what sending it once leaves.
_IDEMPOTENT: Final = word_set(
    "ANALYZE CANCEL CHECKPOINT CLUSTER COMMENT GRANT INSPECT PAUSE REASSIGN REFRESH REINDEX RESET "
    "RESUME REVOKE SECURITY SET TRUNCATE VACUUM"
)
_STATE_ACTIONS: Final = word_set(
    "CLUSTER CONFIGURE DISABLE ENABLE FORCE OWNER REPLICA RESET SET SURVIVE VALIDATE"
)
# ALTER of these only ever sets something, whatever its words.
_SETTING_OBJECTS: Final = word_set("DEFAULT GROUP PARTITION RANGE ROLE SEQUENCE SYSTEM USER")


def read_schema_change(text: str) -> Change:
    """Read a schema statement."""
    reader = Reader(top_level(text))
    verb = reader.word()
    match verb:
        case "CREATE":
            return _read_create(reader, text)
        case "DROP":
            return _read_drop(reader)
        case "ALTER":
            return _read_alter(reader)
        case "SELECT" | "WITH":  # SELECT … INTO
            reader.seek("INTO")
            reader.take("TABLE")
            return _created(reader.name(), "TABLE")
        case "TRUNCATE":
            reader.take("TABLE")
            reader.take("ONLY")
            table = reader.name()
            return Change(
                repeat=Repeat.SAFE,
                table=table and table[0],
                names=(table[1],) if table else (),
            )
        case "IMPORT" if reader.take("FOREIGN", "SCHEMA"):
            return Change(codes=frozenset(("42P07",)), repeat=Repeat.SAFE)
        case _ if verb in _IDEMPOTENT:
            return Change(repeat=Repeat.SAFE, names=_mentioned(verb, reader))
        case _:
            return Change()


def _mentioned(verb: str, reader: Reader) -> tuple[str, ...]:
    """The object of REFRESH MATERIALIZED VIEW [CONCURRENTLY] v, the one of these that is a job."""
    if verb != "REFRESH" or not reader.take("MATERIALIZED", "VIEW"):
        return ()
    reader.take("CONCURRENTLY")
    view = reader.name()
    return (view[1],) if view else ()


def _created(name: tuple[str, str] | None, what: str) -> Change:
    return Change(
        codes=frozenset((_EXISTS.get(what, "42710"),)),
        repeat=Repeat.SAFE,
        table=name[0] if name and what == "TABLE" else None,
        names=(name[1],) if name else (),
    )


def _object(reader: Reader) -> tuple[str, bool]:
    """The kind of object that CREATE, ALTER or DROP is about, and whether it is materialized."""
    materialized = False
    while reader.peek() in _MODIFIERS:
        materialized = reader.word() == "MATERIALIZED" or materialized
    return reader.word(), materialized


def _read_create(reader: Reader, text: str) -> Change:
    replace = reader.take("OR", "REPLACE")
    what, materialized = _object(reader)
    if what in _ANOTHER_EACH_TIME:
        return Change()
    if what == "INDEX":
        return _read_create_index(reader)
    reader.skip_condition()
    if what == "STATISTICS" and reader.peek() == "ON":
        return Change(repeat=Repeat.UNNAMED)
    change = _created(reader.name(), what)
    codes = _NO_CODES if replace else change.codes
    table, names = change.table, change.names
    jobless = what in ("TYPE", "SCHEMA", "SEQUENCE") or (what == "VIEW" and not materialized)
    if what == "TABLE":
        jobless = not (reader.seek("AS") or _refers(text))
    elif what in ("TRIGGER", "POLICY", "RULE") and reader.seek("TO" if what == "RULE" else "ON"):
        on = reader.name()
        if on:
            table, names = on[0], (*names, on[1])
    return Change(codes, Repeat.SAFE, table, names, jobless)


def _refers(text: str) -> bool:
    return any(upper(token) == "REFERENCES" for token in tokens(text))


def _read_create_index(reader: Reader) -> Change:
    # What a CONCURRENTLY that died leaves behind on PostgreSQL is cleared away before a second sending.
    reader.take("CONCURRENTLY")
    reader.skip_condition()
    index = None if reader.peek() == "ON" else reader.name()
    reader.take("ON")
    reader.take("ONLY")
    table = reader.name()
    names = tuple(name[1] for name in (index, table) if name)
    codes, repeat = frozenset(("42P07",)), Repeat.SAFE
    if index is None:
        codes, repeat = _NO_CODES, Repeat.UNNAMED
    return Change(codes, repeat, table and table[0], names)


def _read_drop(reader: Reader) -> Change:
    what, _ = _object(reader)
    if what == "OWNED":
        return Change(repeat=Repeat.SAFE)
    reader.take("CONCURRENTLY")
    reader.skip_condition()
    table: str | None = None
    names: list[str] = []
    while (name := reader.name()) is not None:
        if what == "INDEX" and reader.take("@"):  # CockroachDB's table@index
            table = name[0]
            names.append(name[1])
            name = reader.name() or name
        elif what == "TABLE":
            table = table or name[0]
        names.append(name[1])
        if what in ("TRIGGER", "POLICY", "RULE") and reader.take("ON"):
            on = reader.name()
            if on:
                table = on[0]
                names.append(on[1])
        if not reader.take(","):
            break
    codes = {_GONE.get(what, "42704")}
    if what == "INDEX":
        codes.add("42704")  # both servers say so of an index; 42P01 where it is renamed
    return Change(frozenset(codes), Repeat.SAFE, table, tuple(names))


def _read_alter(reader: Reader) -> Change:
    what, _ = _object(reader)
    reader.skip_condition()
    reader.take("ONLY")
    name = reader.name()
    table = name[0] if name and what == "TABLE" else None
    names = list(_last(name))
    if name and what == "INDEX" and reader.take("@"):
        table = name[0]
        names += _last(reader.name())
    reader.take("*")
    if what in ("TRIGGER", "POLICY", "RULE") and reader.take("ON"):
        on = reader.name()
        table = on[0] if on else None
    codes: set[str] = set()
    repeats: set[Repeat] = set()
    for action in _split_at_commas(reader.rest()):
        part = _read_action(what, Reader(action))
        codes |= part.codes
        repeats.add(part.repeat)
        names += part.names
    worst = next(
        (one for one in (Repeat.UNSAFE, Repeat.UNNAMED) if one in repeats),
        Repeat.SAFE if repeats else Repeat.UNSAFE,
    )
    return Change(frozenset(codes), worst, table, tuple(names))


def _split_at_commas(found: list[Token]) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    for token in found:
        if token.text == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _gone(*codes: str) -> Change:
    return Change(codes=frozenset(codes), repeat=Repeat.SAFE)


def _read_action(what: str, reader: Reader) -> Change:
    verb = reader.word()
    if verb == "RENAME":
        return _read_rename(what, reader)
    if verb == "SET" and reader.peek() == "SCHEMA":
        return _gone(_GONE.get(what, "42704"))
    if what in _SETTING_OBJECTS:
        restart = any(upper(token) == "RESTART" for token in reader.tokens)
        return Change(repeat=Repeat.UNSAFE if restart else Repeat.SAFE)
    match verb:
        case "ADD":
            return _read_add(what, reader)
        case "DROP":
            return _read_drop_action(what, reader)
        case "ALTER":
            return _read_alter_column(reader)
        case "NO":
            return Change(repeat=Repeat.SAFE if reader.peek() == "FORCE" else Repeat.UNSAFE)
        case "PARTITION":
            return Change(repeat=Repeat.SAFE if reader.peek() == "BY" else Repeat.UNSAFE)
        case "UPDATE" if what == "EXTENSION":
            return Change(repeat=Repeat.SAFE)
        case "ATTACH" if what == "INDEX":
            return Change(repeat=Repeat.SAFE)
        case _ if verb in _STATE_ACTIONS or what == "POLICY":
            return Change(repeat=Repeat.SAFE)
        case _:
            return Change()


def _read_rename(what: str, reader: Reader) -> Change:
    match reader.peek():
        case "TO":
            gone = {_GONE.get(what, "42704")}
            if what == "INDEX":
                gone.add("42704")
            elif what == "POLICY":
                gone.add("42710")  # the new name is looked for before the old one
            return _gone(*gone)
        case "CONSTRAINT":
            return _gone("42704")
        case "VALUE":
            return _gone("22023", "42710")  # CockroachDB before v26.3 looks for the new value first
        case _:
            if what not in _TABLES and not (what == "TYPE" and reader.peek() == "ATTRIBUTE"):
                return Change()
            reader.take("ATTRIBUTE")
            reader.take("COLUMN")
            column = reader.name()
            return Change(frozenset(("42703",)), Repeat.SAFE, names=_last(column))


def _last(name: tuple[str, str] | None) -> tuple[str, ...]:
    return (name[1],) if name else ()


def _read_add(what: str, reader: Reader) -> Change:
    if what in ("DATABASE", "PUBLICATION") or (what == "TYPE" and reader.peek() == "VALUE"):
        return Change(frozenset(("42710",)), Repeat.SAFE)
    if what == "TYPE":
        reader.take("ATTRIBUTE")
        return Change(frozenset(("42701",)), Repeat.SAFE, names=_last(reader.name()))
    if what not in ("TABLE", "DOMAIN"):
        return Change()
    if reader.take("CONSTRAINT"):
        reader.skip_condition()
        return _read_named_constraint(reader)
    if reader.take("PRIMARY", "KEY"):
        using = any(upper(token) == "USING" for token in reader.rest())
        return Change(frozenset(("42P16",)), Repeat.UNSAFE if using else Repeat.SAFE)
    if reader.peek() in ("UNIQUE", "CHECK", "FOREIGN", "EXCLUDE"):
        return Change(repeat=Repeat.UNNAMED)
    if reader.peek() == "NOT" or what == "DOMAIN":
        return Change(repeat=Repeat.SAFE if reader.peek() == "NOT" else Repeat.UNSAFE)
    reader.take("COLUMN")
    reader.skip_condition()
    return Change(frozenset(("42701",)), Repeat.SAFE, names=_last(reader.name()))


def _read_named_constraint(reader: Reader) -> Change:
    names = _last(reader.name())
    kind = reader.peek()
    codes = {"42710"}
    if kind in ("UNIQUE", "PRIMARY", "EXCLUDE"):
        codes.add("42P07")  # its index has the constraint's name
    if kind == "PRIMARY":
        codes.add("42P16")
    # … USING INDEX i renames the index: whether i was ever there cannot be told afterwards.
    using = kind in ("UNIQUE", "PRIMARY") and reader.seek("USING") and reader.peek() == "INDEX"
    return Change(frozenset(codes), Repeat.UNSAFE if using else Repeat.SAFE, names=names)


def _read_drop_action(what: str, reader: Reader) -> Change:
    if what == "TYPE":
        code = "42703" if reader.word() == "ATTRIBUTE" else "42704"
        return _gone(code)
    if what in ("DATABASE", "PUBLICATION") or (what == "DOMAIN" and reader.peek() == "CONSTRAINT"):
        return _gone("42704")
    if what == "DOMAIN":
        return Change(repeat=Repeat.SAFE)  # DROP DEFAULT, DROP NOT NULL
    if what != "TABLE":
        return Change()
    constraint = reader.take("CONSTRAINT")
    if not constraint:
        reader.take("COLUMN")
    reader.skip_condition()
    code = "42704" if constraint else "42703"
    return Change(frozenset((code,)), Repeat.SAFE, names=_last(reader.name()))


def _read_alter_column(reader: Reader) -> Change:
    if reader.take("PRIMARY", "KEY"):
        return Change()  # CockroachDB may keep the old key as one more unique index each time
    reader.take("COLUMN")
    column = _last(reader.name())
    words = [upper(token) for token in reader.rest()]
    action, rest = (words[0], words[1:]) if words else ("", [])
    if action == "TYPE" or (action == "SET" and rest[:2] == ["DATA", "TYPE"]):
        safe = "USING" not in words
    elif action == "DROP" and rest[:1] in (["IDENTITY"], ["EXPRESSION"], ["STORED"]):
        safe = "EXISTS" in rest
    else:
        safe = action in ("SET", "DROP", "RESET") and "RESTART" not in rest
    return Change(repeat=Repeat.SAFE if safe else Repeat.UNSAFE, names=column)
