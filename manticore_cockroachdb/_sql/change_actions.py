"""Reads one action of an ALTER: what it changes, and what a second sending of it would say."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from .lexer import TokenKind
from .schema_change import NO_ANSWERS, Answer, Change, Effect, Repeat, Verb, answers_of
from .tokens import Name, Reader, string_value, upper, word_set

_TABLES: Final = frozenset(("TABLE", "VIEW"))


RELATIONS: Final = frozenset(("TABLE", "VIEW", "SEQUENCE", "INDEX"))


ROUTINES: Final = frozenset(("FUNCTION", "PROCEDURE", "AGGREGATE", "ROUTINE", "OPERATOR"))


GONE: Final = {
    **dict.fromkeys(RELATIONS, "42P01"),
    **dict.fromkeys(ROUTINES, "42883"),
    "SCHEMA": "3F000",
    "DATABASE": "3D000",
}


_STATE_ACTIONS: Final = word_set(
    "CLUSTER CONFIGURE DISABLE ENABLE FORCE OWNER REPLICA RESET SET SURVIVE VALIDATE"
)


# ALTER of these only ever sets something, whatever its words.
_SETTING_OBJECTS: Final = word_set("DEFAULT GROUP PARTITION RANGE ROLE SEQUENCE SYSTEM USER")


def _itself(
    verb: Verb = Verb.ALTER, *answers: str, repeat: Repeat = Repeat.SAFE, fails_late: bool = False
) -> Change:
    """An action on the object that the statement's head names, not on a part of it."""
    effect = Effect(verb, "", None, fails_late=fails_late)
    return Change(answers_of(*answers), repeat, effects=(effect,))


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
    return Change(answers_of(*answers), repeat, names=last_names(name), effects=(effect,))


def read_action(what: str, reader: Reader) -> Change:
    verb = reader.word()
    if verb == "RENAME":
        return _read_rename(what, reader)
    if verb == "SET" and reader.peek() == "SCHEMA":
        return _itself(Verb.RENAME, GONE.get(what, "42704"))
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
            gone = {GONE.get(what, "42704")}
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


def last_names(name: Name | None) -> tuple[str, ...]:
    return (name.last,) if name else ()


def _value(reader: Reader) -> Name | None:
    """The value of an enum: a string, taken for a name; servers print it with other quotes."""
    reader.skip_condition()
    token = reader.tokens[reader.at] if reader.at < len(reader.tokens) else None
    if token is None or token.kind is not TokenKind.STRING:
        return None
    return Name(token.text, (string_value(token.text),))


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
    # … USING INDEX i renames the index: nothing shows afterwards whether i was ever there.
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
    answers = NO_ANSWERS
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
