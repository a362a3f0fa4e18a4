"""Pieces of PostgreSQL's SQL: columns, sequences, options, names that the server would choose. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..names import Row, identifier

#: Bytes of an identifier at most (NAMEDATALEN - 1).
_NAME_BYTES = 63
_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
_STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}
_ENABLED = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


def literal(text: str) -> str:
    """A string constant, for a session with standard_conforming_strings."""
    return "'" + text.replace("'", "''") + "'"


def chosen_name(table: str, column: str, label: str) -> str:
    """The name that the server gives a sequence or constraint of a column, unless that is taken.

    `makeObjectName` in PostgreSQL's src/backend/commands/indexcmds.c.

    Args:
        table: The table's name, or a domain's.
        column: The column's name; empty for a domain.
        label: What the name ends in.
    """
    first, second = table.encode(), column.encode()
    room = _NAME_BYTES - len(label) - (2 if column else 1)
    while len(first) + len(second) > room:
        if len(first) > len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    return b"_".join(filter(None, (first, second, label.encode()))).decode(errors="replace")


def storage_options(options: Iterable[str] | None, prefix: str = "") -> list[str]:
    """`reloptions` as a WITH clause has them."""
    found = []
    for option in sorted(options or ()):
        name, _, value = option.partition("=")
        found.append(f"{prefix}{name}={literal(value)}")
    return found


def sequence_options(row: Row, separator: str = " ") -> list[str]:
    """What differs from a new sequence of the same type and direction."""
    largest = _LARGEST.get(row["type"], _LARGEST["bigint"])
    ascending = row["increment"] > 0
    minimum, maximum = (1, largest) if ascending else (-largest - 1, -1)
    found = []
    if row["increment"] != 1:
        found.append(f"INCREMENT BY{separator}{row['increment']}")
    if row["minimum"] != minimum:
        found.append(f"MINVALUE{separator}{row['minimum']}")
    if row["maximum"] != maximum:
        found.append(f"MAXVALUE{separator}{row['maximum']}")
    if row["start"] != (row["minimum"] if ascending else row["maximum"]):
        found.append(f"START WITH{separator}{row['start']}")
    if row["cache"] != 1:
        found.append(f"CACHE{separator}{row['cache']}")
    if row["cycle"]:
        found.append("CYCLE")
    return found


def attribute(column: Row) -> str:
    """A column of a composite type, or of a view."""
    collation = f" COLLATE {column['collation']}" if column["collation"] else ""
    return f"{column['name']} {column['type']}{collation}"


def column_definition(
    column: Row, table: Row, identity: Row | None, *, with_default: bool = True
) -> str:
    """A column as CREATE TABLE has it.

    Args:
        column: Its row of the catalogs.
        table: Its table's row.
        identity: The row of its identity sequence, if it has one.
        with_default: False where the default follows in a separate statement.
    """
    words = [column["name"], column["type"]]
    if column["compression"]:
        words.append(f"COMPRESSION {_COMPRESSION[column['compression']]}")
    if column["collation"]:
        words.append(f"COLLATE {column['collation']}")
    if column["generated"] in ("s", "v"):
        kind = "STORED" if column["generated"] == "s" else "VIRTUAL"
        words.append(f"GENERATED ALWAYS AS ({column['default']}) {kind}")
    elif identity is not None:
        words.append(_identity(column, table, identity))
    elif column["default"] is not None and with_default:
        words.append(f"DEFAULT {column['default']}")
    if column["not_null"] and column["not_null_valid"]:
        words += not_null(column, table["raw_name"], column["raw_name"])
        if column["not_null_no_inherit"]:
            words.append("NO INHERIT")
    return " ".join(words)


def not_null(row: Row, owner: str, column: str = "") -> list[str]:
    """NOT NULL, with the constraint's name where the server would not choose it.

    Args:
        row: The column's row of the catalogs, or the domain's.
        owner: The bare name of the table, or of the domain.
        column: The bare name of the column.
    """
    name = row["not_null_name"]
    usual = name is None or name == chosen_name(owner, column, "not_null")
    if usual and not row["not_null_name_twice"]:
        return ["NOT NULL"]
    return [f"CONSTRAINT {identifier(name)}", "NOT NULL"]


def _identity(column: Row, table: Row, sequence: Row) -> str:
    options = sequence_options(sequence)
    usual = chosen_name(table["raw_name"], column["raw_name"], "seq")
    if (sequence["raw_schema"], sequence["raw_name"]) != (table["raw_schema"], usual):
        options.insert(0, f"SEQUENCE NAME {sequence['name']}")
    always = "ALWAYS" if column["identity"] == "a" else "BY DEFAULT"
    return f"GENERATED {always} AS IDENTITY" + (f" ({' '.join(options)})" if options else "")


def column_settings(name: str, column: Row) -> list[str]:
    """Statements for what CREATE TABLE cannot say of a column."""
    alter = f"ALTER TABLE ONLY {name} ALTER COLUMN {column['name']}"
    found = []
    if column["storage"]:
        found.append(f"{alter} SET STORAGE {_STORAGE[column['storage']]}")
    if column["statistics"] is not None:
        found.append(f"{alter} SET STATISTICS {column['statistics']}")
    if column["options"]:
        found.append(f"{alter} SET ({', '.join(storage_options(column['options']))})")
    return found


def enabled(word: str, name: str, table: str, state: str) -> list[str]:
    """How a trigger or rule that is not enabled in the ordinary way becomes so."""
    if state not in _ENABLED:
        return []
    return [f"ALTER TABLE {table} {_ENABLED[state]} {word} {name}"]


def enabled_as(word: str, name: str, table: str, state: str) -> str:
    """How a trigger or rule is brought into a state, the ordinary one included."""
    return f"ALTER TABLE {table} {_ENABLED.get(state, 'ENABLE')} {word} {name}"


def bracketed(lines: Sequence[str]) -> str:
    """Items of a list, one a line, in parentheses."""
    return "(\n    " + ",\n    ".join(lines) + "\n)" if lines else "()"
