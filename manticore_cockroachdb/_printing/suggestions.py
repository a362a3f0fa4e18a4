"""How one object of a schema becomes another one: statements, where they are certain. Pure.

Where they are not (a type that rows may not fit, a value of an enum that cannot be dropped), there are
none. A statement that something else depends on fails and says so; none removes what it does not name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from .._sql.lexer import TokenKind, tokens
from .objects import Kind, ObjectName, Printing, SchemaObject

Statements = tuple[str, ...]

#: What can be dropped and made again, with all that is said of it.
_REMAKABLE = frozenset(
    kind.value
    for kind in (
        Kind.INDEX,
        Kind.TRIGGER,
        Kind.POLICY,
        Kind.RULE,
        Kind.STATISTICS,
        Kind.EVENT_TRIGGER,
        Kind.CONSTRAINT,
        Kind.VIEW,
        Kind.MATERIALIZED_VIEW,
        Kind.FUNCTION,
        Kind.PROCEDURE,
        Kind.AGGREGATE,
        Kind.TEXT_SEARCH_CONFIGURATION,
        Kind.TEXT_SEARCH_DICTIONARY,
    )
)
#: What other objects depend on: it goes last.
_BASES = frozenset(
    kind.value
    for kind in (
        Kind.SCHEMA,
        Kind.EXTENSION,
        Kind.COLLATION,
        Kind.TYPE,
        Kind.DOMAIN,
        Kind.SEQUENCE,
        Kind.FUNCTION,
        Kind.PROCEDURE,
        Kind.AGGREGATE,
        Kind.TEXT_SEARCH_DICTIONARY,
        Kind.TEXT_SEARCH_CONFIGURATION,
        Kind.TABLE,
    )
)
_PRIVILEGES = frozenset({Kind.GRANTS.value, Kind.DEFAULT_PRIVILEGES.value})
_SAID = frozenset({Kind.COMMENT.value, Kind.OWNER.value})
_KEYS = re.compile(r" (?:PRIMARY KEY|UNIQUE|EXCLUDE) ?")
_COLUMN = re.compile(
    r"(?P<head>.*?)(?P<before> NOT NULL| NULL)?"
    r"(?: GENERATED (?P<identity>ALWAYS|BY DEFAULT) AS IDENTITY(?P<options> \(.*\))?"
    r"| DEFAULT (?P<default>.*?))?"
    r'(?:(?: CONSTRAINT (?P<named>"(?:[^"]|"")*"))?(?P<after> NOT NULL))?',
    re.DOTALL,
)
_COMPUTED = re.compile(r" AS \(| ON UPDATE | NO INHERIT$")
_STORAGE_OPTIONS = re.compile(r"\nWITH \((?P<options>.*)\)")
_OPTION = re.compile(r"(?P<name>[\w.]+)='(?:[^']|'')*'")
#: Statements after the one that makes an object, and what reverts them.
_TAKEN_BACK = (
    (re.compile(r"(ALTER TABLE .*) ENABLE ROW LEVEL SECURITY"), r"\1 DISABLE ROW LEVEL SECURITY"),
    (re.compile(r"(ALTER TABLE .*) FORCE ROW LEVEL SECURITY"), r"\1 NO FORCE ROW LEVEL SECURITY"),
    (re.compile(r"(ALTER TABLE .*) REPLICA IDENTITY .*"), r"\1 REPLICA IDENTITY DEFAULT"),
    (re.compile(r"(ALTER TABLE .*) CLUSTER ON .*"), r"\1 SET WITHOUT CLUSTER"),
    (re.compile(r"(ALTER .*) SET STATISTICS \d+"), r"\1 SET STATISTICS -1"),
    (
        re.compile(
            r"(ALTER TABLE .*) (?:DISABLE|ENABLE REPLICA|ENABLE ALWAYS) (TRIGGER|RULE) (.*)"
        ),
        r"\1 ENABLE \2 \3",
    ),
    (
        re.compile(r"(ALTER EVENT TRIGGER .*) (?:DISABLE|ENABLE REPLICA|ENABLE ALWAYS)"),
        r"\1 ENABLE",
    ),
    (re.compile(r"(ALTER SEQUENCE .*) OWNED BY .*"), r"\1 OWNED BY NONE"),
    (
        re.compile(r"ALTER TABLE ONLY (.*) ATTACH PARTITION (.*?) (?:FOR VALUES .*|DEFAULT)"),
        r"ALTER TABLE \1 DETACH PARTITION \2",
    ),
    (re.compile(r"(REFRESH MATERIALIZED VIEW .*)"), r"\1 WITH NO DATA"),
)
_ATTACHES_INDEX = re.compile(r"ALTER INDEX .* ATTACH PARTITION .*")
_COLUMN_OPTIONS = re.compile(r"(ALTER TABLE .* ALTER COLUMN .*) SET \((.*)\)")


def making(made: SchemaObject, printing: Printing) -> Statements:
    """The statements that make an object and all that belongs to it, in the printing's order."""
    family = {made.name}
    grown = True
    while grown:
        more = {
            child.name
            for child in printing.objects.values()
            if child.parent in family and child.name not in family
        }
        family |= more
        grown = bool(more)
    texts = [text for name, text in printing.statements if name in family]
    # A partition that comes to a table with indexes brings its own, or it is given others.
    return tuple(sorted(texts, key=_attaching))


def _attaching(text: str) -> int:
    if " ATTACH PARTITION " not in text:
        return 0
    return 2 if text.startswith("ALTER INDEX") else 1


def removing(made: SchemaObject) -> Statements:
    """The statements that remove an object; none where that is not certain."""
    if made.drop is not None:
        return (made.drop,)
    return _inverses(made.statements) if made.name.kind in _PRIVILEGES else ()


def becoming(having: SchemaObject, wanted: SchemaObject, printing: Printing) -> Statements:
    """The statements that make one object into another of its name; none where that is not certain.

    Args:
        having: The object as it is.
        wanted: The object as it should be.
        printing: The schema that has it so.
    """
    kind = wanted.name.kind
    if kind == Kind.TABLE.value:
        return _table(having, wanted)
    if kind == Kind.TYPE.value:
        return _type(having, wanted)
    if kind == Kind.DOMAIN.value:
        return _domain(having, wanted)
    if kind == Kind.SEQUENCE.value:
        return _sequence(having, wanted)
    if kind in _PRIVILEGES:
        return _granting(wanted, having)
    if kind in _SAID:
        return wanted.statements
    if kind not in _REMAKABLE:
        return ()
    if kind == Kind.CONSTRAINT.value and any(
        _KEYS.search(side.statements[0]) for side in (having, wanted)
    ):
        return ()
    if having.statements[0] == wanted.statements[0]:
        settings = _settings(having.statements[1:], wanted.statements[1:])
        if settings is not None:
            return settings
    if kind == Kind.VIEW.value and _only_adds_columns(having, wanted):
        return _replacing(wanted)
    if having.replaceable and wanted.replaceable and _signature(having) == _signature(wanted):
        return wanted.statements
    if having.drop is None:
        return ()
    return (having.drop, *making(wanted, printing))


# Tables.


def _table(having: SchemaObject, wanted: SchemaObject) -> Statements:
    had, parts = dict(having.parts), dict(wanted.parts)
    found: list[str] = []
    for part in sorted({*had, *parts}):
        old, new = had.get(part), parts.get(part)
        if old == new or follows_columns(part, parts, had):
            continue
        altered = _altering(wanted.name, part, old, new)
        if not altered:
            return ()
        found += altered
    (head, *before), (other, *after) = (_plain(side) for side in (having, wanted))
    if head != other:
        return ()
    gone = [f" ALTER COLUMN {name} " for name in had.keys() - parts.keys()]
    before = [text for text in before if not any(each in text for each in gone)]
    settings = _settings(before, after)
    if settings is None:
        return ()
    return (*found, *_storing(having, wanted), *settings)


def _plain(side: SchemaObject) -> list[str]:
    """What a table is beyond its parts, and what `_storing` changes."""
    head, *rest = beyond_parts(side)
    options = _STORAGE_OPTIONS.search(side.statements[0])
    if options:
        with_options = SchemaObject(
            side.name, (side.statements[0].replace(options[0], "", 1),), side.parts
        )
        (head,) = beyond_parts(with_options)
    return [head.replace("CREATE UNLOGGED TABLE ", "CREATE TABLE ", 1), *rest]


def _storing(having: SchemaObject, wanted: SchemaObject) -> Statements:
    """How a table's options, and whether it is logged, become others."""
    alter = f"ALTER TABLE {wanted.name.name}"
    found = []
    logged = ["CREATE UNLOGGED " not in side.statements[0] for side in (having, wanted)]
    if logged[0] != logged[1]:
        found.append(f"{alter} SET {'LOGGED' if logged[1] else 'UNLOGGED'}")
    had, want = (_options(side) for side in (having, wanted))
    surplus = sorted(had.keys() - want.keys())
    if surplus:
        found.append(f"{alter} RESET ({', '.join(surplus)})")
    changed = [text for name, text in want.items() if had.get(name) != text]
    if changed:
        found.append(f"{alter} SET ({', '.join(changed)})")
    return tuple(found)


def _options(side: SchemaObject) -> dict[str, str]:
    found = _STORAGE_OPTIONS.search(side.statements[0])
    return {each["name"]: each[0] for each in _OPTION.finditer(found["options"] if found else "")}


def _altering(table: ObjectName, part: str, old: str | None, new: str | None) -> list[str]:
    """How a table's part becomes another one; empty where one statement does not do it for certain."""
    label, _, name = part.partition(" ") if is_labeled(part) else ("column", "", part)
    alter = f"ALTER TABLE {table.name}"
    if label == "column":
        if new is None:
            return [f"{alter} DROP COLUMN {name}"]
        if old is None:
            return [f"{alter} ADD COLUMN {new}"]
        return _altering_column(alter, name, old, new)
    if label == "index":
        return _remaking_index(table.name, name, old, new)
    if label == "constraint" and not any(_KEYS.search(text or "") for text in (old, new)):
        dropped = [f"{alter} DROP CONSTRAINT {name}"] if old is not None else []
        return dropped + ([f"{alter} ADD {new}"] if new is not None else [])
    return []


def _altering_column(alter: str, name: str, old: str, new: str) -> list[str]:
    had, want = (_column(text) for text in (old, new))
    if had is None or want is None or had["head"] != want["head"]:
        return []
    column = f"{alter} ALTER COLUMN {name}"
    found = _altering_default(column, had, want)
    identities = had["identity"], want["identity"]
    if (had["options"] != want["options"]) and None not in identities:
        return []
    if identities[0] != identities[1] and want["identity"] is None:
        found.append(f"{column} DROP IDENTITY")
    nullable = _altering_null(column, f"{alter} ADD CONSTRAINT {{}} NOT NULL {name}", had, want)
    if nullable is None:
        return []
    found += nullable
    if identities[0] is None and want["identity"] is not None:
        options = want["options"] or ""
        found.append(f"{column} ADD GENERATED {want['identity']} AS IDENTITY{options}")
    elif identities[0] != identities[1] and want["identity"] is not None:
        found.append(f"{column} SET GENERATED {want['identity']}")
    return found


def _column(text: str) -> re.Match[str] | None:
    return None if _COMPUTED.search(text) else _COLUMN.fullmatch(text)


def _altering_default(alter: str, had: re.Match[str], want: re.Match[str]) -> list[str]:
    if had["default"] == want["default"]:
        return []
    if want["default"] is None:
        return [f"{alter} DROP DEFAULT"]
    return [f"{alter} SET DEFAULT {want['default']}"]


def _altering_null(
    alter: str, naming: str, had: re.Match[str], want: re.Match[str]
) -> list[str] | None:
    """How NOT NULL comes or goes; None where it only gets another name."""
    before, after = (
        each["before"] == " NOT NULL" or each["after"] is not None for each in (had, want)
    )
    if before == after:
        return [] if had["named"] == want["named"] else None
    if before:
        return [f"{alter} DROP NOT NULL"]
    return [naming.format(want["named"]) if want["named"] else f"{alter} SET NOT NULL"]


def _remaking_index(table: str, name: str, old: str | None, new: str | None) -> list[str]:
    """CockroachDB prints indexes inside their table."""
    found = []
    if old is not None:
        cascade = " CASCADE" if old.startswith("UNIQUE ") else ""
        found.append(f"DROP INDEX {table}@{name}{cascade}")
    if new is not None:
        words, _, rest = new.partition(f" {name} ")
        found.append(f"CREATE {words} {name} ON {table} {rest}")
    return found


def follows_columns(part: str, wanted: Mapping[str, str], had: Mapping[str, str]) -> bool:
    """Whether a column family differs only in columns that are missing or extra themselves."""
    if not part.startswith("family ") or part not in wanted or part not in had:
        return False
    columns = {each.removeprefix("column ") for each in wanted.keys() ^ had.keys()}

    def others(text: str) -> list[str]:
        return [each for each in re.split(r"[(), ]+", text) if each not in columns]

    return others(wanted[part]) == others(had[part])


_LABELS = ("column ", "constraint ", "index ", "family ")


def is_labeled(part: str) -> bool:
    """Whether a part's name begins with what it is."""
    return part.startswith(_LABELS)


def beyond_parts(side: SchemaObject) -> list[str]:
    """What a table is beyond its parts: its first statement without them, and those after it."""
    head = side.statements[0]
    for _, text in sorted(side.parts, key=lambda part: -len(part[1])):
        head = head.replace(text, "", 1)
    head = " ".join(re.sub(r"[(,\s]+", " ", head).split())
    return [head, *side.statements[1:]]


# Types, domains, sequences.


def _type(having: SchemaObject, wanted: SchemaObject) -> Statements:
    if wanted.parts and having.parts:
        return _attributes(having, wanted)
    had, want = (_labels(side.statements[0]) for side in (having, wanted))
    if had is None or want is None or [each for each in want if each in had] != had:
        return ()
    found = []
    for place, label in enumerate(want):
        if label in had:
            continue
        where = f" AFTER {want[place - 1]}" if place else f" BEFORE {had[0]}" if had else ""
        found.append(f"ALTER TYPE {wanted.name.name} ADD VALUE {label}{where}")
    return tuple(found)


def _labels(text: str) -> list[str] | None:
    before, is_enum, labels = text.partition(" AS ENUM ")
    if not is_enum or not before.startswith("CREATE TYPE "):
        return None
    return [token.text for token in tokens(labels) if token.kind is TokenKind.STRING]


def _attributes(having: SchemaObject, wanted: SchemaObject) -> Statements:
    """New attributes come last; so only then is the type as it should be."""
    kept = [part for part in having.parts if part in wanted.parts]
    added = [part for part in wanted.parts if part not in having.parts]
    if (*kept, *added) != wanted.parts:
        return ()
    alter = f"ALTER TYPE {wanted.name.name}"
    dropped = [name for name, text in having.parts if (name, text) not in wanted.parts]
    return (
        *(f"{alter} DROP ATTRIBUTE {name}" for name in dropped),
        *(f"{alter} ADD ATTRIBUTE {text}" for _, text in added),
    )


def _domain(having: SchemaObject, wanted: SchemaObject) -> Statements:
    had, want = (_column(side.statements[0]) for side in (having, wanted))
    if had is None or want is None or had["head"] != want["head"]:
        return ()
    alter = f"ALTER DOMAIN {wanted.name.name}"
    nullable = _altering_null(alter, f"{alter} ADD CONSTRAINT {{}} NOT NULL", had, want)
    return () if nullable is None else (*_altering_default(alter, had, want), *nullable)


def _sequence(having: SchemaObject, wanted: SchemaObject) -> Statements:
    had, want = having.statements[0], wanted.statements[0]
    settings = _settings(having.statements[1:], wanted.statements[1:])
    if settings is None or any("UNLOGGED" in text.partition("(")[0] for text in (had, want)):
        return ()
    if had == want:
        return settings
    head = f"CREATE SEQUENCE {wanted.name.name}"
    if not want.startswith(head):
        return ()
    altered = _sequence_options(want.removeprefix(head))
    return (f"ALTER SEQUENCE {wanted.name.name} {altered}", *settings)


def _sequence_options(text: str) -> str:
    """Every option of a sequence: what CREATE leaves to the server has to be said in ALTER."""

    def said(words: str) -> str | None:
        found = re.search(rf" {words} (-?\d+)", text)
        return found[1] if found else None

    if said("INCREMENT") is not None:  # CockroachDB prints them all, and without BY.
        return text.strip()
    increment = said("INCREMENT BY") or "1"
    minimum, maximum = said("MINVALUE"), said("MAXVALUE")
    usual = (maximum or "-1") if increment.startswith("-") else (minimum or "1")
    type_name = re.search(r" AS (smallint|integer|bigint)", text)
    return " ".join(
        (
            f"AS {type_name[1] if type_name else 'bigint'} INCREMENT BY {increment}",
            "NO MINVALUE" if minimum is None else f"MINVALUE {minimum}",
            "NO MAXVALUE" if maximum is None else f"MAXVALUE {maximum}",
            f"START WITH {said('START WITH') or usual} CACHE {said('CACHE') or 1}",
            "CYCLE" if re.search(r" CYCLE\b", text) else "NO CYCLE",
        )
    )


# Views and routines.


def _only_adds_columns(having: SchemaObject, wanted: SchemaObject) -> bool:
    """Whether CREATE OR REPLACE VIEW will do: it keeps a view's columns, and may add others after them."""
    return bool(having.parts) and having.parts == wanted.parts[: len(having.parts)]


def _replacing(view: SchemaObject) -> Statements:
    first, *rest = view.statements
    if rest and rest[0].startswith("CREATE OR REPLACE VIEW "):  # The first one is made for a cycle.
        return tuple(rest)
    return (first.replace("CREATE VIEW ", "CREATE OR REPLACE VIEW ", 1), *rest)


def _signature(routine: SchemaObject) -> str:
    """What CREATE OR REPLACE cannot change: arguments and result."""
    return routine.statements[0].partition("\n LANGUAGE ")[0]


# What is said of objects.


def _settings(had: Sequence[str], wanted: Sequence[str]) -> Statements | None:
    """How the statements after an object's first become others; None where that is not certain."""
    surplus = [
        _taken_back(text)
        for text in reversed(had)
        # An index is attached, and detached, with its table.
        if text not in wanted and not _ATTACHES_INDEX.fullmatch(text)
    ]
    if None in surplus:
        return None
    lacking = [text for text in wanted if text not in had]
    return (*(text for text in surplus if text is not None), *lacking)


def _taken_back(statement: str) -> str | None:
    for pattern, replacement in _TAKEN_BACK:
        found = pattern.fullmatch(statement)
        if found:
            return found.expand(replacement)
    options = _COLUMN_OPTIONS.fullmatch(statement)
    if options:
        names = ", ".join(each["name"] for each in _OPTION.finditer(options[2]))
        return f"{options[1]} RESET ({names})"
    return None


def _granting(to: SchemaObject, having: SchemaObject) -> Statements:
    surplus = [each for each in having.statements if each not in to.statements]
    lacking = [each for each in to.statements if each not in having.statements]
    inverses = _inverses(surplus)
    return (*inverses, *lacking) if inverses or not surplus else ()


def _inverses(statements: Sequence[str]) -> Statements:
    """GRANT and REVOKE statements that take others back; none unless all can be."""
    found = tuple(_inverse(statement) for statement in reversed(statements))
    return found if all(found) else ()


def _inverse(statement: str) -> str:
    head, verb, rest = re.split(r"(?<![\w\"])(GRANT|REVOKE) (?!OPTION)", statement, maxsplit=1)
    if verb == "GRANT":
        rest, _, grantee = rest.rpartition(" TO ")
        return f"{head}REVOKE {rest} FROM {grantee.removesuffix(' WITH GRANT OPTION')}"
    rest, _, grantee = rest.rpartition(" FROM ")
    return "" if rest.startswith("GRANT OPTION FOR ") else f"{head}GRANT {rest} TO {grantee}"


# All of them together.


def in_order(
    suggested: Iterable[tuple[ObjectName, Statements]], wanted: Printing, having: Printing
) -> Statements:
    """The statements of several objects, each once, in an order in which they can be run.

    What is removed goes first if others cannot depend on it (a view, a constraint), and last if they can (a
    table, a type); in between is what is made or changed. Each group follows the order of its printing.

    Args:
        suggested: The statements for each object, see `making`, `removing` and `becoming`.
        wanted: The schema that they lead to.
        having: The schema as it is.
    """
    places = {text: place for place, (_, text) in enumerate(wanted.statements)}
    begins: dict[ObjectName, int] = {}
    for place, (name, _) in enumerate(wanted.statements):
        begins.setdefault(name, place)
    ends = {name: place for place, (name, _) in enumerate(having.statements)}
    ranked: dict[str, tuple[int, int, int]] = {}
    for name, texts in suggested:
        is_removed = name not in wanted.objects
        place = begins.get(name, 0)
        for number, text in enumerate(texts):
            place = max(place, places.get(text, 0))
            rank = (1, place, number)
            if is_removed:
                rank = (2 if name.kind in _BASES else 0, -ends.get(name, 0), number)
            ranked[text] = max(rank, ranked.get(text, rank))
    return tuple(sorted(ranked, key=lambda text: ranked[text]))
