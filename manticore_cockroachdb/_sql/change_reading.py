"""Reads the words of CREATE, ALTER, DROP and their like: what a schema statement changes.

It finds the objects they name and what happens to each, the answers that tell that the first sending took
effect, and whether sending it twice is safe. Where it does not know a statement it says so
(`Repeat.UNSAFE`) and never guesses. It asks no server.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from .change_actions import GONE, RELATIONS, ROUTINES, last_names, read_action
from .lexer import Token, tokens
from .schema_change import NO_ANSWERS, Answer, Change, Effect, Repeat, Verb, answers_of
from .tokens import Name, Reader, top_level, upper, word_set

_EXISTS: Final = {
    **dict.fromkeys(RELATIONS, "42P07"),
    **dict.fromkeys(ROUTINES, "42723"),
    "SCHEMA": "42P06",
    "DATABASE": "42P04",
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


# What is named together with the table it is on.
_ON_A_TABLE: Final = frozenset(("TRIGGER", "POLICY", "RULE"))


_ROLES: Final = frozenset(("ROLE", "USER"))


# With these, rows or counts go that nothing brings back; with the others only if CASCADE takes them along.
_HOLD_ROWS: Final = frozenset(("TABLE", "SEQUENCE", "DATABASE"))


_HOLD_ROWS_BY_OTHERS: Final = frozenset(("SCHEMA", "TYPE", "DOMAIN", "EXTENSION"))


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
            return Change(answers=answers_of("42P07"), repeat=Repeat.SAFE)
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
        names=last_names(view),
        effects=(Effect(Verb.ALTER, "VIEW", view.parts),) if view else (),
    )


def _created(name: Name | None, what: str, *, conditional: bool) -> Change:
    return Change(
        answers=answers_of(_EXISTS.get(what, "42710")),
        repeat=Repeat.SAFE,
        table=name.written if name and what == "TABLE" else None,
        names=last_names(name),
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
    answers = NO_ANSWERS if replaces else change.answers
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
        answers=answers_of("42P07") if index else NO_ANSWERS,
        repeat=Repeat.SAFE if index else Repeat.UNNAMED,
        table=table.written if table else None,
        names=(*last_names(index), *last_names(table)),
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
    answers = {Answer(GONE.get(what, "42704"))}
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
    names = list(last_names(name))
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
        part = read_action(what, Reader(action))
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
