"""Reads a statement's text into a command, for both servers' words.

Begins with a table from the first word to the function that reads on. A statement whose first word
or whose form is not known becomes `Unknown`: it is counted and named, never guessed at.
"""

# ruff: noqa: ARG001 - the functions of a table are all called alike
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Final

from .._sql.lexer import BLANKS, TokenKind, tokens
from .._sql.server_kind import ServerKind
from .._sql.tokens import bare, top_level, upper, word_set
from .commands import (
    AddEnumValue,
    AlterTable,
    Command,
    CreateExtension,
    CreateFunction,
    CreateIndex,
    CreateSchema,
    CreateSequence,
    CreateTable,
    CreateTrigger,
    CreateType,
    CreateView,
    Drop,
    DropEnumValue,
    DropIndex,
    ImportInto,
    Opaque,
    OwnSequence,
    Rebuild,
    RefreshView,
    Reindex,
    Rename,
    RenameEnumValue,
    SetSchema,
    SetVariable,
    Truncate,
    Understood,
    Unknown,
    Write,
)
from .cursor import Cursor, NotUnderstoodError
from .naming import LONGEST
from .table_reading import read_actions, read_elements, read_index, read_options
from .types import read_type
from .values import Name, TypeKind

_FIRST: Final = re.compile(rf"[({BLANKS}]*+([A-Za-z_]++)")
_TEMPORARY: Final = frozenset(("TEMP", "TEMPORARY", "LOCAL", "GLOBAL"))
_MODIFIERS: Final = frozenset(
    ("UNLOGGED", "MATERIALIZED", "RECURSIVE", "UNIQUE", "CONSTRAINT", "TRUSTED")
)
_KEYWORDS_OF_ROUTINES: Final = frozenset(("FUNCTION", "PROCEDURE", "ROUTINE", "AGGREGATE"))
#: Kinds of objects that are known and not modeled.
_UNMODELLED: Final = word_set(
    "ACCESS AGGREGATE CAST COLLATION CONVERSION DATABASE DEFAULT EVENT EXTERNAL FOREIGN GROUP "
    "LANGUAGE OPERATOR POLICY PUBLICATION ROLE RULE SERVER STATISTICS SUBSCRIPTION TABLESPACE "
    "TEXT TRANSFORM USER CHANGEFEED SCHEDULE RANGE PARTITION SYSTEM BACKUP PROCEDURAL LARGE "
    "TENANT VIRTUAL EXTENSION"
)
_NOTHING_MODELLED: Final = word_set(
    "ANALYZE BACKUP CANCEL CHECKPOINT CLOSE COMMENT COPY DEALLOCATE DECLARE DISCARD EXPLAIN "
    "EXPORT FETCH GRANT INSPECT LISTEN LOAD LOCK MOVE NOTIFY PAUSE PREPARE REASSIGN RESET "
    "RESTORE RESUME REVOKE SECURITY SHOW TABLE UNLISTEN USE VALUES"
)


def read(text: str, server: ServerKind) -> Command:
    """Read one statement.

    Args:
        text: Without the closing `;`.
        server: Whose words it is written in, where they differ (INT, SERIAL).
    """
    match = _FIRST.match(text)
    if match is None:
        first = next(tokens(text), None)
        if first is None:
            return Understood("")
        word, start = upper(first), first.start
    else:
        word, start = match[1].upper(), match.start(1)
    read_on = _BY_FIRST_WORD.get(word)
    if read_on is not None:
        try:
            return read_on(text if start == 0 else text[start:], server)
        except (NotUnderstoodError, IndexError):
            return Unknown(_first_words(text))
    if word in _NOTHING_MODELLED:
        return Understood(word)
    return Unknown(_first_words(text))


def _cursor(text: str, server: ServerKind) -> Cursor:
    """A cursor at the start; PostgreSQL cuts names that are too long, CockroachDB keeps them."""
    return Cursor(text, LONGEST) if server is ServerKind.POSTGRESQL else Cursor(text)


def _first_words(text: str) -> str:
    return " ".join(upper(token) for token in islice(tokens(text), 3))


# -- CREATE --------------------------------------------------------------------------------------


def _create(text: str, server: ServerKind) -> Command:
    cursor = _cursor(text, server)
    cursor.word()
    replaces = cursor.take("OR", "REPLACE")
    temporary = bool(cursor.take_any(_TEMPORARY))
    cursor.take_any(_TEMPORARY)
    modifiers = set()
    while cursor.peek() in _MODIFIERS:
        modifiers.add(cursor.word())
    unique = "UNIQUE" in modifiers
    what = cursor.word()
    match what:
        case "TABLE":
            return _create_table(cursor, server, temporary=temporary)
        case "INDEX":
            return _create_index(cursor, unique=unique, method="btree")
        case "INVERTED" | "VECTOR" if cursor.take("INDEX"):
            return _create_index(cursor, unique=unique, method=what.lower())
        case "VIEW":
            return _create_view(
                cursor,
                materialized="MATERIALIZED" in modifiers,
                replaces=replaces,
                temporary=temporary,
            )
        case "SEQUENCE":
            exists = cursor.condition()
            return CreateSequence(cursor.name(), exists, temporary)
        case "TYPE":
            return _create_type(cursor)
        case "DOMAIN":
            return _create_domain(cursor, server)
        case "FUNCTION" | "PROCEDURE":
            name = cursor.name()
            arguments = cursor.group().text if cursor.peek() == "(" else ""
            return CreateFunction(name, arguments, cursor.text, replaces)
        case "SCHEMA":
            return _create_schema(cursor)
        case "TRIGGER":
            return _create_trigger(cursor)
        case "EXTENSION":
            cursor.condition()
            return CreateExtension(cursor.identifier())
        case "FOREIGN" if cursor.take("TABLE"):
            return replace(_create_table(cursor, server, temporary=temporary), complete=False)
        case _ if what in _UNMODELLED:
            return Understood(f"CREATE {what}")
        case _:
            raise NotUnderstoodError


def _create_table(cursor: Cursor, server: ServerKind, *, temporary: bool) -> CreateTable:
    exists = cursor.condition()
    name = cursor.name()
    if cursor.take("PARTITION", "OF"):
        return CreateTable(
            name,
            if_not_exists=exists,
            temporary=temporary,
            complete=False,
            parent=cursor.name(),
            partitioned=cursor.has("PARTITION"),
        )
    made = CreateTable(name, if_not_exists=exists, temporary=temporary)
    if cursor.peek() == "(":
        body = cursor.group()
        if cursor.peek() == "AS" or (cursor.seek("AS") and _begins_query(cursor)):
            return replace(made, from_query=True, complete=False)
        columns, constraints, indexes, complete = read_elements(body, server)
        made = replace(
            made,
            columns=tuple(columns),
            constraints=tuple(constraints),
            indexes=tuple(indexes),
            complete=complete,
        )
    elif cursor.peek() == "OF":
        return replace(made, complete=False)
    while not cursor.done:
        word = cursor.word()
        if word == "AS":
            return replace(made, from_query=True, complete=False)
        if word == "INHERITS":
            made = replace(made, complete=False, parent=next(cursor.group().split()).name())
        elif word == "PARTITION":
            made = replace(made, partitioned=True, partition_key=_partition_key(cursor))
        elif word == "WITH" and cursor.peek() == "(":
            made = replace(made, options=read_options(cursor.group()))
    return made


def _partition_key(cursor: Cursor) -> tuple[str, ...]:
    """The columns of PARTITION BY RANGE (…); none where one of them is an expression."""
    cursor.take("BY")
    cursor.word()
    parts = list(cursor.group().split()) if cursor.peek() == "(" else []
    cursor.at = cursor.end
    plain = all(part.at_name() and part.peek(1) == "" for part in parts)
    return tuple(part.identifier() for part in parts) if plain else ()


def _begins_query(cursor: Cursor) -> bool:
    return cursor.peek() in ("SELECT", "WITH", "VALUES", "TABLE", "(", "EXECUTE")


def _create_index(cursor: Cursor, *, unique: bool, method: str) -> CreateIndex:
    concurrently = cursor.take("CONCURRENTLY")
    exists = cursor.condition()
    name = None if cursor.peek() == "ON" else cursor.identifier()
    cursor.expect("ON")
    only = cursor.take("ONLY")
    table = cursor.name()
    index = replace(read_index(cursor, name, method=method), unique=unique)
    return CreateIndex(table, index, concurrently, exists, only)


def _create_view(
    cursor: Cursor, *, materialized: bool, replaces: bool, temporary: bool
) -> CreateView:
    exists = cursor.condition()
    name = cursor.name()
    if not cursor.seek("AS"):
        raise NotUnderstoodError
    return CreateView(name, cursor.expression(), materialized, replaces, exists, temporary)


def _create_type(cursor: Cursor) -> CreateType:
    exists = cursor.condition()
    name = cursor.name()
    if not cursor.take("AS"):
        return CreateType(name, TypeKind.OTHER, if_not_exists=exists)
    if cursor.take("ENUM"):
        values = tuple(part.string() for part in cursor.group().split())
        return CreateType(name, TypeKind.ENUM, values, if_not_exists=exists)
    kind = TypeKind.COMPOSITE if cursor.peek() == "(" else TypeKind.OTHER
    return CreateType(name, kind, if_not_exists=exists)


def _create_domain(cursor: Cursor, server: ServerKind) -> CreateType:
    name = cursor.name()
    cursor.take("AS")
    base, _ = read_type(cursor, server)
    checked = cursor.has("CHECK") or cursor.has("NOT")
    condition = cursor.group().expression() if cursor.seek("CHECK") else None
    return CreateType(name, TypeKind.DOMAIN, checked=checked, base=base, condition=condition)


def _create_schema(cursor: Cursor) -> CreateSchema:
    exists = cursor.condition()
    if cursor.take("AUTHORIZATION"):
        return CreateSchema(cursor.identifier(), exists)
    name = cursor.name()
    cursor.take("AUTHORIZATION") and cursor.identifier()
    if not cursor.done:  # objects made inside
        raise NotUnderstoodError
    return CreateSchema(name.name, exists)


def _create_trigger(cursor: Cursor) -> CreateTrigger:
    words = tuple(cursor.words())
    name = cursor.identifier()
    timing = cursor.word()
    if timing == "INSTEAD":
        cursor.expect("OF")
        timing = "INSTEAD OF"
    if not cursor.seek("ON"):
        raise NotUnderstoodError
    return CreateTrigger(name, cursor.name(), timing, words)


# -- ALTER ---------------------------------------------------------------------------------------


def _alter(text: str, server: ServerKind) -> Command:
    cursor = _cursor(text, server)
    cursor.word()
    what = cursor.word()
    if what == "MATERIALIZED":
        cursor.expect("VIEW")
        what = "MATERIALIZED VIEW"
    elif what == "FOREIGN" and cursor.take("TABLE"):
        what = "TABLE"
    match what:
        case "TABLE" | "VIEW" | "MATERIALIZED VIEW":
            return _alter_table(cursor, server, what)
        case "INDEX":
            return _alter_index(cursor)
        case "TYPE":
            return _alter_type(cursor)
        case "SEQUENCE" | "DOMAIN" | "SCHEMA" | "EXTENSION":
            return _alter_named(cursor, what)
        case _ if what in _KEYWORDS_OF_ROUTINES:
            name = cursor.name()
            cursor.skip_group()
            return _renamed(cursor, what, name) or Understood(f"ALTER {what}", name)
        case "TRIGGER":
            return Understood("ALTER TRIGGER")
        case "DATABASE" if cursor.seek("RENAME"):
            return Understood("ALTER DATABASE RENAME")
        case _ if what in _UNMODELLED:
            return Understood(f"ALTER {what}")
        case _:
            raise NotUnderstoodError


def _alter_table(cursor: Cursor, server: ServerKind, what: str) -> Command:
    if cursor.take("ALL", "IN"):
        return Understood(f"ALTER {what} ALL IN TABLESPACE")
    exists = cursor.condition()
    cursor.take("ONLY")
    name = cursor.name()
    cursor.take("*")
    found = _renamed(cursor, what, name, exists=exists)
    if found is not None:
        return found
    return AlterTable(name, read_actions(cursor, server), exists, what)


def _renamed(
    cursor: Cursor,
    what: str,
    name: Name,
    *,
    table: Name | None = None,
    exists: bool = False,
) -> Command | None:
    """RENAME TO and SET SCHEMA, which every kind of object shares."""
    if cursor.take("RENAME", "TO"):
        return Rename(what, name, cursor.name().name, table, exists)
    if cursor.take("SET", "SCHEMA"):
        return SetSchema(what, name, cursor.identifier(), exists)
    return None


def _alter_index(cursor: Cursor) -> Command:
    if cursor.take("ALL", "IN"):
        return Understood("ALTER INDEX ALL IN TABLESPACE")
    exists = cursor.condition()
    name = cursor.name()
    table = None
    if cursor.take("@"):
        table, name = name, Name(None, cursor.identifier())
    found = _renamed(cursor, "INDEX", name, table=table, exists=exists)
    return found or Understood("ALTER INDEX", name)


def _alter_type(cursor: Cursor) -> Command:
    name = cursor.name()
    if cursor.take("ADD", "VALUE"):
        exists = cursor.condition()
        return AddEnumValue(name, cursor.string(), exists)
    if cursor.take("DROP", "VALUE"):
        return DropEnumValue(name, cursor.string())
    if cursor.take("RENAME", "VALUE"):
        old = cursor.string()
        cursor.expect("TO")
        return RenameEnumValue(name, old, cursor.string())
    return _renamed(cursor, "TYPE", name) or Understood("ALTER TYPE", name)


def _alter_named(cursor: Cursor, what: str) -> Command:
    exists = cursor.condition()
    name = cursor.name()
    if cursor.take("OWNED", "BY"):
        return _owned_by(cursor, name)
    return _renamed(cursor, what, name, exists=exists) or Understood(f"ALTER {what}", name)


def _owned_by(cursor: Cursor, sequence: Name) -> OwnSequence:
    """NONE, or a column with its table in front."""
    parts = [cursor.identifier()]
    while cursor.take("."):
        parts.append(cursor.identifier())
    if len(parts) == 1:
        return OwnSequence(sequence, None, None)
    *schema, table, column = parts
    return OwnSequence(sequence, Name(schema[-1] if schema else None, table), column)


# -- DROP ----------------------------------------------------------------------------------------


def _drop(text: str, server: ServerKind) -> Command:
    cursor = _cursor(text, server)
    cursor.word()
    what = cursor.word()
    if what == "INDEX":
        return _drop_index(cursor)
    if what == "MATERIALIZED":
        cursor.expect("VIEW")
        what = "MATERIALIZED VIEW"
    elif what == "FOREIGN" and cursor.take("TABLE"):
        what = "TABLE"
    elif what in _UNMODELLED and what not in ("EXTENSION", "AGGREGATE"):
        return Understood(f"DROP {what}")
    elif what == "OWNED":
        return Opaque("DROP OWNED")
    elif what not in _DROPPED:
        raise NotUnderstoodError
    exists = cursor.condition()
    names = [cursor.name()]
    if what == "TRIGGER":
        return Understood("DROP TRIGGER", names[0])
    cursor.skip_group()
    while cursor.take(","):
        names.append(cursor.name())
        cursor.skip_group()
    return Drop(what, tuple(names), exists, cursor.has("CASCADE"))


_DROPPED: Final = _KEYWORDS_OF_ROUTINES | frozenset(
    ("TABLE", "VIEW", "SEQUENCE", "TYPE", "DOMAIN", "SCHEMA", "TRIGGER", "EXTENSION")
)


def _drop_index(cursor: Cursor) -> DropIndex:
    concurrently = cursor.take("CONCURRENTLY")
    exists = cursor.condition()
    names: list[tuple[Name | None, Name]] = []
    while True:
        name = cursor.name()
        if cursor.take("@"):
            names.append((name, Name(None, cursor.identifier())))
        else:
            names.append((None, name))
        if not cursor.take(","):
            break
    return DropIndex(tuple(names), concurrently, exists, cursor.has("CASCADE"))


# -- data ----------------------------------------------------------------------------------------


def _insert(text: str, server: ServerKind) -> Command:
    """INSERT INTO t [AS a] [(columns)] followed by rows or a query; rows are not read."""
    names: list[str] = []
    verb = ""
    depth = 0
    for token in tokens(text):
        word = upper(token)
        if not verb:
            verb = word
        elif token.text == "(":
            depth += 1
            names.append("(")
        elif token.text == ")":
            depth -= 1
        elif depth:
            if depth == 1 and word in ("SELECT", "WITH"):
                return Write(verb, _first_name(names), from_query=True)
        elif word in ("VALUES", "DEFAULT"):
            return Write(verb, _first_name(names))
        elif word in ("SELECT", "WITH", "TABLE"):
            # SELECT 'a', 'b' WHERE NOT EXISTS (…) is one row at most.
            rows = word != "SELECT" or any(
                upper(one) == "FROM" for one in top_level(text[token.end :])
            )
            return Write(verb, _first_name(names), from_query=rows)
        elif token.text == ".":
            names.append(".")
        elif word != "INTO":
            names.append(bare(token))
    raise NotUnderstoodError


def _first_name(names: list[str]) -> Name:
    """The name that the tokens before the columns spell."""
    parts: list[str] = []
    for name in names:
        if name == "(" or (parts and name != "." and names[len(parts) * 2 - 1] != "."):
            break
        if name != ".":
            parts.append(name)
    if not parts:
        raise NotUnderstoodError
    return Name(parts[-2] if len(parts) > 1 else None, parts[-1])


def _update(text: str, server: ServerKind) -> Command:
    cursor = _cursor(text, server)
    verb = cursor.word()
    if verb == "DELETE":
        cursor.expect("FROM")
    elif verb == "MERGE":
        cursor.expect("INTO")
    cursor.take("ONLY")
    table = cursor.name()
    where = None
    limited = False
    if cursor.seek("WHERE"):
        where = cursor.until(frozenset(("RETURNING", "ORDER", "LIMIT"))).expression()
    limited = cursor.seek("LIMIT")
    return Write(verb, table, where, limited=limited)


def _truncate(text: str, server: ServerKind) -> Command:
    cursor = _cursor(text, server)
    cursor.word()
    cursor.take("TABLE")
    tables: list[Name] = []
    while True:
        cursor.take("ONLY")
        tables.append(cursor.name())
        cursor.take("*")
        if not cursor.take(","):
            break
    return Truncate(tuple(tables), cursor.has("CASCADE"))


def _import(text: str, server: ServerKind) -> Command:
    cursor = _cursor(text, server)
    cursor.word()
    if cursor.take("INTO"):
        return ImportInto(cursor.name())
    return Opaque("IMPORT")


#: Queries that call one of these may change the schema (or what they say is not known).
_HARMLESS_CALLS: Final = word_set(
    "setval nextval currval count max min sum avg coalesce now lower upper length exists "
    "set_config pg_sleep pg_notify version current_setting cast in any all as"
)


def _query(text: str, server: ServerKind) -> Command:
    cursor = _cursor(text, server)
    first = cursor.peek()
    if first == "SELECT" and cursor.peek(1) in ("SET_CONFIG", "PG_CATALOG"):
        return _set_config(cursor)
    words = cursor.words()
    if first == "SELECT" and "INTO" in words:
        cursor.word()
        if cursor.seek("INTO"):
            temporary = bool(cursor.take_any(_TEMPORARY))
            cursor.take("UNLOGGED")
            cursor.take("TABLE")
            return CreateTable(cursor.name(), from_query=True, complete=False, temporary=temporary)
    expression = cursor.expression()
    if first == "WITH":
        verb = next((word for word in words if word in _WRITING), "")
        if verb:
            return Understood(f"WITH {verb}")
    if expression.calls - _HARMLESS_CALLS and "FROM" not in words:
        return Opaque("SELECT", expression.mentions)
    return Understood(first)


_WRITING: Final = frozenset(("INSERT", "UPDATE", "DELETE", "UPSERT", "MERGE"))


def _set_config(cursor: Cursor) -> Command:
    while not cursor.done and cursor.peek() != "(":
        cursor.word()
    parts = list(cursor.group().split())
    if len(parts) != 3:
        raise NotUnderstoodError
    name = parts[0].string()
    value = parts[1].string()
    values = tuple(part.strip().strip('"') for part in value.split(",") if part.strip())
    return SetVariable(name.lower(), values)


def _do(text: str, server: ServerKind) -> Command:
    """DO, CALL, EXECUTE: what they run is in a body or not in the text at all."""
    names: set[str] = set()
    for token in tokens(text):
        if token.kind is TokenKind.STRING:
            names.update(re.findall(r"[a-z_][a-z0-9_$]*", token.text.lower()))
        elif token.kind is not TokenKind.SYMBOL:
            names.add(bare(token))
    return Opaque(_first_words(text).split(" ")[0], frozenset(names))


# -- the rest ------------------------------------------------------------------------------------


def _set(text: str, server: ServerKind) -> Command:
    cursor = _cursor(text, server)
    cursor.word()
    local = cursor.take("LOCAL")
    if not local:
        cursor.take("SESSION")
    if cursor.take("CLUSTER", "SETTING"):
        return Understood("SET CLUSTER SETTING")
    if cursor.take("TIME", "ZONE"):
        return SetVariable("timezone", (cursor.text,), local)
    if not cursor.at_name():
        return Understood("SET")
    name = cursor.name()
    if not (cursor.take("=") or cursor.take("TO")):
        return Understood("SET")
    values = tuple(part.text.strip("'").strip('"').replace('""', '"') for part in cursor.split())
    return SetVariable(name.name, values, local)


def _reindex(text: str, server: ServerKind) -> Command:
    cursor = _cursor(text, server)
    cursor.word()
    options = cursor.group().words() if cursor.peek() == "(" else []
    what = cursor.word()
    concurrently = cursor.take("CONCURRENTLY") or "CONCURRENTLY" in options
    return Reindex(cursor.name() if cursor.at_name() else None, what, concurrently)


def _rebuild(text: str, server: ServerKind) -> Command:
    cursor = _cursor(text, server)
    verb = cursor.word()
    options = cursor.group().words() if cursor.peek() == "(" else []
    if verb == "VACUUM":
        if "FULL" not in options and not cursor.take("FULL"):
            return Understood("VACUUM")
        verb = "VACUUM FULL"
    while cursor.peek() in ("FREEZE", "VERBOSE", "ANALYZE"):
        cursor.word()
    return Rebuild(verb, cursor.name() if cursor.at_name() else None)


def _refresh(text: str, server: ServerKind) -> Command:
    cursor = _cursor(text, server)
    cursor.word()
    cursor.expect("MATERIALIZED", "VIEW")
    concurrently = cursor.take("CONCURRENTLY")
    return RefreshView(cursor.name(), concurrently)


_BY_FIRST_WORD: Final[dict[str, Callable[[str, ServerKind], Command]]] = {
    "ALTER": _alter,
    "CALL": _do,
    "CLUSTER": _rebuild,
    "CREATE": _create,
    "DELETE": _update,
    "DO": _do,
    "DROP": _drop,
    "EXECUTE": _do,
    "IMPORT": _import,
    "INSERT": _insert,
    "MERGE": _update,
    "REFRESH": _refresh,
    "REINDEX": _reindex,
    "SELECT": _query,
    "SET": _set,
    "TRUNCATE": _truncate,
    "UPDATE": _update,
    "UPSERT": _insert,
    "VACUUM": _rebuild,
    "WITH": _query,
}
