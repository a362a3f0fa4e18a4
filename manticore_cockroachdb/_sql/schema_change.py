"""What a schema statement changes, and what a second sending of it would say.

Reads the words of CREATE, ALTER, DROP and their like: the objects they name and what happens to each,
the answers that tell that the first sending took effect, and whether sending it twice is safe. Where it
does not know a statement it says so (`Repeat.UNSAFE`) and never guesses. It asks no server.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NamedTuple

from .lexer import Token, TokenKind, tokens
from .tokens import Name, Reader, top_level, upper, word_set


class Repeat(Enum):
    """Whether a statement whose outcome is unknown may be sent again."""

    SAFE = "safe"
    """It does the same again, or the server answers with one of `Change.answers`."""
    DESTRUCTIVE = "destructive"
    """It takes rows away: a second sending would take away what was made after the first."""
    UNNAMED = "unnamed"
    """It makes something that the server names: a second sending makes a second one."""
    UNSAFE = "unsafe"
    """A second sending may do harm, or nothing is known about it."""


class Verb(Enum):
    """What happens to an object."""

    CREATE = "create"
    DROP = "drop"
    RENAME = "rename"
    """It gets another name or another schema: what had the old one is gone."""
    TRUNCATE = "truncate"
    ALTER = "alter"
    """Anything else: the object keeps its name."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a statement does to one object.

    Attributes:
        verb: What happens to it.
        what: The kind of object, in capitals: `TABLE`, `INDEX`, `COLUMN`, `CONSTRAINT`.
        name: Its name, qualified where the statement qualifies it; None where the server chooses one.
        on: The table (or type) it belongs to, likewise; None where it belongs to none, or none is named.
        conditional: Whether IF EXISTS or IF NOT EXISTS may have made it do nothing.
        fails_late: Whether CockroachDB finds out only in its job that the rows there are do not fit, when
            the statement's other changes have begun.
    """

    verb: Verb
    what: str
    name: tuple[str, ...] | None
    on: tuple[str, ...] | None = None
    conditional: bool = False
    fails_late: bool = False


class Answer(NamedTuple):
    """An error that tells, on a second sending, that the first one took effect.

    Attributes:
        sqlstate: Its SQLSTATE.
        text: A pattern its message must match, where the SQLSTATE alone says nothing.
    """

    sqlstate: str
    text: str = ""


_NO_ANSWERS: Final[frozenset[Answer]] = frozenset()


def _answers(*sqlstates: str) -> frozenset[Answer]:
    return frozenset(Answer(sqlstate) for sqlstate in sqlstates)


@dataclass(frozen=True, slots=True)
class Change:
    """What a schema statement does, as far as its words tell.

    Attributes:
        answers: The errors that tell, on a second sending, that the first one took effect.
        repeat: Whether it may be sent twice.
        table: The table it works on, as written.
        names: The bare names of what it touches, the main object first.
        effects: What it does to each object it names.
        jobless: Whether CockroachDB starts no job for it.
    """

    answers: frozenset[Answer] = _NO_ANSWERS
    repeat: Repeat = Repeat.UNSAFE
    table: str | None = None
    names: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
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
    "ANALYZE CANCEL CHECKPOINT CLUSTER COMMENT GRANT INSPECT PAUSE REASSIGN REINDEX RESET RESUME "
    "REVOKE SECURITY SET VACUUM"
)
_STATE_ACTIONS: Final = word_set(
    "CLUSTER CONFIGURE DISABLE ENABLE FORCE OWNER REPLICA RESET SET SURVIVE VALIDATE"
)
# What is named together with the table it is on.
_ON_A_TABLE: Final = frozenset(("TRIGGER", "POLICY", "RULE"))
_ROLES: Final = frozenset(("ROLE", "USER"))
# With these, rows or counts go that nothing brings back; with the others only if CASCADE takes them along.
_HOLD_ROWS: Final = frozenset(("TABLE", "SEQUENCE", "DATABASE"))
_HOLD_ROWS_BY_OTHERS: Final = frozenset(("SCHEMA", "TYPE", "DOMAIN", "EXTENSION"))
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
            return _created(reader.name(), "TABLE", conditional=False)
        case "TRUNCATE":
            return _read_truncate(reader)
        case "IMPORT" if reader.take("FOREIGN", "SCHEMA"):
            return Change(answers=_answers("42P07"), repeat=Repeat.SAFE)
        case "REFRESH":
            return _read_refresh(reader)
        case _ if verb in _IDEMPOTENT:
            return Change(repeat=Repeat.SAFE)
        case _:
            return Change()


def _read_truncate(reader: Reader) -> Change:
    reader.take("TABLE")
    tables: list[Name] = []
    reader.take("ONLY")
    while (table := reader.name()) is not None:
        tables.append(table)
        reader.take("*")
        if not reader.take(","):
            break
        reader.take("ONLY")
    return Change(
        repeat=Repeat.DESTRUCTIVE,
        table=tables[0].written if tables else None,
        names=tuple(table.last for table in tables),
        effects=tuple(Effect(Verb.TRUNCATE, "TABLE", table.parts) for table in tables),
    )


def _read_refresh(reader: Reader) -> Change:
    """REFRESH MATERIALIZED VIEW [CONCURRENTLY] v is a job; the server's other REFRESHs are none."""
    if not reader.take("MATERIALIZED", "VIEW"):
        return Change(repeat=Repeat.SAFE)
    reader.take("CONCURRENTLY")
    view = reader.name()
    return Change(
        repeat=Repeat.SAFE,
        names=_last(view),
        effects=(Effect(Verb.ALTER, "VIEW", view.parts),) if view else (),
    )


def _created(name: Name | None, what: str, *, conditional: bool) -> Change:
    return Change(
        answers=_answers(_EXISTS.get(what, "42710")),
        repeat=Repeat.SAFE,
        table=name.written if name and what == "TABLE" else None,
        names=_last(name),
        effects=(Effect(Verb.CREATE, what, name.parts, None, conditional),) if name else (),
    )


def _object(reader: Reader) -> tuple[str, bool, bool]:
    """The kind of object that CREATE, ALTER or DROP is about; whether it is unique; materialized."""
    modifiers: set[str] = set()
    while reader.peek() in _MODIFIERS:
        modifiers.add(reader.word())
    return reader.word(), "UNIQUE" in modifiers, "MATERIALIZED" in modifiers


def _read_create(reader: Reader, text: str) -> Change:
    replaces = reader.take("OR", "REPLACE")
    what, unique, materialized = _object(reader)
    if what in _ANOTHER_EACH_TIME:
        return Change()
    if what == "INDEX":
        return _read_create_index(reader, unique=unique)
    conditional = reader.skip_condition()
    if what == "STATISTICS" and reader.peek() == "ON":
        return Change(repeat=Repeat.UNNAMED)
    change = _created(reader.name(), what, conditional=conditional or replaces)
    answers = _NO_ANSWERS if replaces else change.answers
    table, names = change.table, change.names
    jobless = what in ("TYPE", "SCHEMA", "SEQUENCE") or (what == "VIEW" and not materialized)
    if what == "TABLE":
        jobless = not (reader.seek("AS") or _refers(text))
    elif what in _ON_A_TABLE and reader.seek("TO" if what == "RULE" else "ON"):
        on = reader.name()
        if on:
            table, names = on.written, (*names, on.last)
    return Change(answers, Repeat.SAFE, table, names, change.effects, jobless)


def _refers(text: str) -> bool:
    return any(upper(token) == "REFERENCES" for token in tokens(text))


def _read_create_index(reader: Reader, *, unique: bool) -> Change:
    # What a CONCURRENTLY that died leaves behind on PostgreSQL is cleared away before a second sending.
    reader.take("CONCURRENTLY")
    conditional = reader.skip_condition()
    index = None if reader.peek() == "ON" else reader.name()
    reader.take("ON")
    reader.take("ONLY")
    table = reader.name()
    return Change(
        answers=_answers("42P07") if index else _NO_ANSWERS,
        repeat=Repeat.SAFE if index else Repeat.UNNAMED,
        table=table.written if table else None,
        names=(*_last(index), *_last(table)),
        effects=(
            Effect(
                Verb.CREATE,
                "INDEX",
                index.parts if index else None,
                table.parts if table else None,
                conditional,
                fails_late=unique,
            ),
        ),
    )


def _read_drop(reader: Reader) -> Change:
    what, _, materialized = _object(reader)
    if what == "OWNED":
        return Change(repeat=Repeat.DESTRUCTIVE)
    reader.take("CONCURRENTLY")
    conditional = reader.skip_condition()
    table: str | None = None
    names: list[str] = []
    effects: list[Effect] = []
    while (name := reader.name()) is not None:
        on: Name | None = None
        if what == "INDEX" and reader.take("@"):  # CockroachDB's table@index
            on, name = name, reader.name() or name
            table = on.written
            names += (on.last, name.last)
        else:
            table = table or (name.written if what == "TABLE" else None)
            names.append(name.last)
        if what in _ON_A_TABLE and reader.take("ON") and (on := reader.name()):
            table = on.written
            names.append(on.last)
        effects.append(Effect(Verb.DROP, what, name.parts, on.parts if on else None, conditional))
        if not reader.take(","):
            break
    answers = {Answer(_GONE.get(what, "42704"))}
    if what == "INDEX":
        answers.add(Answer("42704"))  # both servers say so of an index; 42P01 where it is renamed
    elif what in _ROLES:
        answers.add(
            Answer("XXUUU", r"role/user .+ does not exist")
        )  # CockroachDB's, without a code
    cascades = any(upper(token) == "CASCADE" for token in reader.rest())
    takes_rows = what in _HOLD_ROWS or materialized or (cascades and what in _HOLD_ROWS_BY_OTHERS)
    repeat = Repeat.DESTRUCTIVE if takes_rows else Repeat.SAFE
    return Change(frozenset(answers), repeat, table, tuple(names), tuple(effects))


def _read_alter(reader: Reader) -> Change:
    what, _, _ = _object(reader)
    whole = reader.skip_condition()
    reader.take("ONLY")
    name = reader.name()
    table = name.written if name and what == "TABLE" else None
    names = list(_last(name))
    on: Name | None = None
    if name and what == "INDEX" and reader.take("@"):
        on, name = name, reader.name() or name
        table = on.written
        names.append(name.last)
    reader.take("*")
    if what in _ON_A_TABLE and reader.take("ON"):
        on = reader.name()
        table = on.written if on else None
    answers: set[Answer] = set()
    repeats: set[Repeat] = set()
    effects: list[Effect] = []
    for action in _split_at_commas(reader.rest()):
        part = _read_action(what, Reader(action))
        answers |= part.answers
        repeats.add(part.repeat)
        names += part.names
        effects += (_placed(effect, what, name, on, whole=whole) for effect in part.effects)
    worst = next((one for one in _WORST_FIRST if one in repeats), Repeat.UNSAFE)
    return Change(frozenset(answers), worst, table, tuple(names), tuple(dict.fromkeys(effects)))


#: The repetition of a statement of several actions is that of its worst one.
_WORST_FIRST: Final = (Repeat.UNSAFE, Repeat.UNNAMED, Repeat.DESTRUCTIVE, Repeat.SAFE)


def _placed(
    effect: Effect, what: str, name: Name | None, on: Name | None, *, whole: bool
) -> Effect:
    """An action's effect, with what only the statement's head says: on which object it is."""
    parts = name.parts if name else None
    if effect.what:
        return replace(effect, on=parts, conditional=effect.conditional or whole)
    return replace(effect, what=what, name=parts, on=on.parts if on else None, conditional=whole)


def _split_at_commas(found: list[Token]) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    for token in found:
        if token.text == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _itself(
    verb: Verb = Verb.ALTER, *answers: str, repeat: Repeat = Repeat.SAFE, fails_late: bool = False
) -> Change:
    """An action on the object that the statement's head names, not on a part of it."""
    effect = Effect(verb, "", None, fails_late=fails_late)
    return Change(_answers(*answers), repeat, effects=(effect,))


def _part(
    verb: Verb,
    what: str,
    name: Name | None,
    *answers: str,
    repeat: Repeat = Repeat.SAFE,
    conditional: bool = False,
    fails_late: bool = False,
) -> Change:
    """An action on a part of that object: a column, a constraint, a value."""
    effect = Effect(verb, what, name.parts if name else None, None, conditional, fails_late)
    return Change(_answers(*answers), repeat, names=_last(name), effects=(effect,))


def _read_action(what: str, reader: Reader) -> Change:
    verb = reader.word()
    if verb == "RENAME":
        return _read_rename(what, reader)
    if verb == "SET" and reader.peek() == "SCHEMA":
        return _itself(Verb.RENAME, _GONE.get(what, "42704"))
    if what in _SETTING_OBJECTS:
        restart = any(upper(token) == "RESTART" for token in reader.tokens)
        return _itself(repeat=Repeat.UNSAFE if restart else Repeat.SAFE)
    unsafe = _itself(repeat=Repeat.UNSAFE)
    match verb:
        case "ADD":
            return _read_add(what, reader)
        case "DROP":
            return _read_drop_action(what, reader)
        case "ALTER":
            return _read_alter_column(reader)
        case "NO":
            return _itself() if reader.peek() == "FORCE" else unsafe
        case "PARTITION":
            return _itself() if reader.peek() == "BY" else unsafe
        case "UPDATE" if what == "EXTENSION":
            return _itself()
        case "DETACH" if what == "TABLE":
            return _itself(Verb.ALTER, "42P01")  # "is not a partition"
        case "ATTACH" if what == "INDEX":
            return _itself()
        case "VALIDATE" if reader.take("CONSTRAINT"):
            return _part(Verb.ALTER, "CONSTRAINT", reader.name())
        case _ if verb in _STATE_ACTIONS or what == "POLICY":
            return _itself()
        case _:
            return unsafe


def _read_rename(what: str, reader: Reader) -> Change:
    match reader.peek():
        case "TO":
            gone = {_GONE.get(what, "42704")}
            if what == "INDEX":
                gone.add("42704")
            elif what == "POLICY":
                gone.add("42710")  # the new name is looked for before the old one
            return _itself(Verb.RENAME, *gone)
        case "CONSTRAINT":
            reader.word()
            return replace(_part(Verb.RENAME, "CONSTRAINT", reader.name(), "42704"), names=())
        case "VALUE":
            reader.word()
            # CockroachDB before v26.3 looks for the new value first.
            return _part(Verb.RENAME, "VALUE", _value(reader), "22023", "42710")
        case _:
            if what not in _TABLES and not (what == "TYPE" and reader.peek() == "ATTRIBUTE"):
                return _itself(repeat=Repeat.UNSAFE)
            reader.take("ATTRIBUTE")
            reader.take("COLUMN")
            return _part(Verb.RENAME, "COLUMN", reader.name(), "42703")


def _last(name: Name | None) -> tuple[str, ...]:
    return (name.last,) if name else ()


def _value(reader: Reader) -> Name | None:
    """The value of an enum: a string, taken for a name as it is written."""
    reader.skip_condition()
    token = reader.tokens[reader.at] if reader.at < len(reader.tokens) else None
    return Name(token.text, (token.text,)) if token and token.kind is TokenKind.STRING else None


def _read_add(what: str, reader: Reader) -> Change:
    if what == "TYPE" and reader.take("VALUE"):
        conditional = any(upper(token) == "EXISTS" for token in reader.rest())
        added = _part(Verb.CREATE, "VALUE", _value(reader), "42710", conditional=conditional)
        return replace(added, names=())
    if what in ("DATABASE", "PUBLICATION"):
        return _itself(Verb.ALTER, "42710")
    if what == "TYPE":
        reader.take("ATTRIBUTE")
        return _part(Verb.CREATE, "COLUMN", reader.name(), "42701")
    if what not in ("TABLE", "DOMAIN"):
        return _itself(repeat=Repeat.UNSAFE)
    if reader.take("CONSTRAINT"):
        return _read_named_constraint(reader, conditional=reader.skip_condition())
    if reader.take("PRIMARY", "KEY"):
        using = any(upper(token) == "USING" for token in reader.rest())
        repeat = Repeat.UNSAFE if using else Repeat.SAFE
        return _part(Verb.CREATE, "PRIMARY KEY", None, "42P16", repeat=repeat)
    if reader.peek() in ("UNIQUE", "CHECK", "FOREIGN", "EXCLUDE"):
        checks = not _not_valid(reader)
        return _part(Verb.CREATE, "CONSTRAINT", None, repeat=Repeat.UNNAMED, fails_late=checks)
    if reader.peek() == "NOT" or what == "DOMAIN":
        return _itself(repeat=Repeat.SAFE if reader.peek() == "NOT" else Repeat.UNSAFE)
    reader.take("COLUMN")
    conditional = reader.skip_condition()
    column = reader.name()
    checks = not _CHECKED_COLUMN.isdisjoint(map(upper, reader.rest()))
    return _part(Verb.CREATE, "COLUMN", column, "42701", conditional=conditional, fails_late=checks)


# What makes a new column look at the rows there are, or compute from them.
_CHECKED_COLUMN: Final = word_set("AS CHECK GENERATED REFERENCES UNIQUE")


def _not_valid(reader: Reader) -> bool:
    words = [upper(token) for token in reader.rest()]
    return words[-2:] == ["NOT", "VALID"]


def _read_named_constraint(reader: Reader, *, conditional: bool) -> Change:
    name = reader.name()
    kind = reader.peek()
    answers = ["42710"]
    if kind in ("UNIQUE", "PRIMARY", "EXCLUDE"):
        answers.append("42P07")  # its index has the constraint's name
    if kind == "PRIMARY":
        answers.append("42P16")
    checks = not _not_valid(reader)
    # … USING INDEX i renames the index: whether i was ever there cannot be told afterwards.
    using = kind in ("UNIQUE", "PRIMARY") and reader.seek("USING") and reader.peek() == "INDEX"
    return _part(
        Verb.CREATE,
        "CONSTRAINT",
        name,
        *answers,
        repeat=Repeat.UNSAFE if using else Repeat.SAFE,
        conditional=conditional,
        fails_late=checks,
    )


def _read_drop_action(what: str, reader: Reader) -> Change:
    if what == "TYPE":
        if reader.take("VALUE"):
            return replace(_part(Verb.DROP, "VALUE", _value(reader), "42704"), names=())
        if not reader.take("ATTRIBUTE"):
            return _itself(Verb.ALTER, "42704")
        conditional = reader.skip_condition()
        gone = _part(
            Verb.DROP,
            "COLUMN",
            reader.name(),
            "42703",
            repeat=Repeat.DESTRUCTIVE,
            conditional=conditional,
        )
        return replace(gone, names=())
    if what in ("DATABASE", "PUBLICATION") or (what == "DOMAIN" and reader.peek() == "CONSTRAINT"):
        return _itself(Verb.ALTER, "42704")
    if what == "DOMAIN":
        return _itself()  # DROP DEFAULT, DROP NOT NULL
    if what != "TABLE":
        return _itself(repeat=Repeat.UNSAFE)
    constraint = reader.take("CONSTRAINT")
    if not constraint:
        reader.take("COLUMN")
    conditional = reader.skip_condition()
    name = reader.name()
    if constraint:
        return _part(Verb.DROP, "CONSTRAINT", name, "42704", conditional=conditional)
    return _part(
        Verb.DROP,
        "COLUMN",
        name,
        "42703",
        repeat=Repeat.DESTRUCTIVE,
        conditional=conditional,
    )


def _read_alter_column(reader: Reader) -> Change:
    if reader.take("PRIMARY", "KEY"):
        # CockroachDB may keep the old key as one more unique index each time.
        return _part(Verb.ALTER, "PRIMARY KEY", None, repeat=Repeat.UNSAFE)
    if reader.take("CONSTRAINT"):
        return _part(Verb.ALTER, "CONSTRAINT", reader.name())
    reader.take("COLUMN")
    column = reader.name()
    words = [upper(token) for token in reader.rest()]
    action, rest = (words[0], words[1:]) if words else ("", [])
    answers = _NO_ANSWERS
    if action == "TYPE" or (action == "SET" and rest[:2] == ["DATA", "TYPE"]):
        safe = "USING" not in words
    elif action == "DROP" and rest[:1] == ["STORED"]:
        safe, answers = True, frozenset((Answer("42611", r"is not a computed column"),))
    elif action == "DROP" and rest[:1] in (["IDENTITY"], ["EXPRESSION"]):
        safe = True
        answers = frozenset((Answer("55000", _NOT_GENERATED[rest[0]]),))
    elif action == "ADD" and rest[:1] == ["GENERATED"]:
        safe, answers = True, frozenset((Answer("55000", r"is already an identity column"),))
    else:
        safe = action in ("SET", "DROP", "RESET") and "RESTART" not in rest
    changed = _part(
        Verb.ALTER,
        "COLUMN",
        column,
        repeat=Repeat.SAFE if safe else Repeat.UNSAFE,
        fails_late="TYPE" in words[:3] or words[:3] == ["SET", "NOT", "NULL"],
    )
    return replace(changed, answers=answers)


# PostgreSQL's words for a column that no longer is what DROP IDENTITY or DROP EXPRESSION ends.
_NOT_GENERATED: Final = {
    "IDENTITY": r"is not an identity column",
    "EXPRESSION": r"is not a (stored )?generated column",
}
