"""CockroachDB's texts taken apart and written: names, elements of CREATE TABLE, grants. Pure.

The server writes every name out with its schema, quotes what PostgreSQL would quote, and puts each element
of a table on a line of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from ..._sql.lexer import TokenKind, split_script, tokens
from ..._sql.tokens import word_set
from ..names import Row, identifier

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
ELEMENT_NAME = re.compile(r'((?:"(?:[^"]|"")*"|[^\s(])+)')
_INDEX = re.compile(r'((?:UNIQUE |INVERTED |VECTOR )*INDEX) ((?:"(?:[^"]|"")*"|[^\s(])+) ')
_COLUMN_LIST = re.compile(
    r"(CREATE (?:MATERIALIZED )?VIEW (?:\"(?:[^\"]|\"\")*\"|[^\s(])+) \(([^)]*)\) AS "
)
CONSTRAINT = re.compile(r'CONSTRAINT ((?:"(?:[^"]|"")*"|\S)+) ')
#: PostgreSQL's words for reserved words that need quotes as names are CockroachDB's as well.
_RESERVED = word_set(
    "ALL ANALYSE ANALYZE AND ANY ARRAY AS ASC ASYMMETRIC BOTH CASE CAST CHECK COLLATE COLUMN CONCURRENTLY "
    "CONSTRAINT CREATE CURRENT_CATALOG CURRENT_DATE CURRENT_ROLE CURRENT_SCHEMA CURRENT_TIME "
    "CURRENT_TIMESTAMP CURRENT_USER DEFAULT DEFERRABLE DESC DISTINCT DO ELSE END EXCEPT FALSE FAMILY FETCH "
    "FOR FOREIGN FROM GRANT GROUP HAVING IN INDEX INITIALLY INNER INTERSECT INTO IS ISNULL LATERAL LEADING "
    "LIMIT LOCALTIME LOCALTIMESTAMP NOT NOTHING NOTNULL NULL OFFSET ON ONLY OR ORDER PLACING PRIMARY "
    "REFERENCES RETURNING SELECT SESSION_USER SOME SYMMETRIC TABLE THEN TO TRAILING TRUE UNION UNIQUE USER "
    "USING VARIADIC VIEW VIRTUAL WHEN WHERE WINDOW WITH WORK"
)


def statements_of(text: str) -> list[str]:
    return [raw.text for raw in split_script(text)]


def cut(text: str) -> tuple[str, list[str], str]:
    """CREATE TABLE into what is before its parentheses, its elements, and what comes after."""
    lines = text.split("\n")
    first = lines[0].removesuffix("(")
    elements: list[str] = []
    for number, line in enumerate(lines[1:], start=1):
        if line.startswith(")"):
            return (
                first,
                [each.removesuffix(",") for each in elements],
                "\n".join(lines[number:])[1:],
            )
        if (line.startswith("\t") and line[1:2] not in ("\t", ")", "")) or not elements:
            elements.append(line.removeprefix("\t"))
        else:
            elements[-1] += f"\n{line}"
    return text, [], ""


def placed(number: int, element: str) -> tuple[tuple[int, str], str, str]:
    """Where an element stands, what it is called, and its text."""
    index = _INDEX.match(element)
    if index:
        return (2, index[2]), f"index {index[2]}", element
    constraint = CONSTRAINT.match(element)
    if constraint:
        first = " PRIMARY KEY " in element.partition("(")[0]
        return (1, "" if first else constraint[1]), f"constraint {constraint[1]}", element
    if element.startswith("FAMILY "):
        name = ELEMENT_NAME.match(element.removeprefix("FAMILY "))
        return (3, f"{number:05}"), f"family {name[1] if name else ''}", element
    name = ELEMENT_NAME.match(element)
    return (0, f"{number:05}"), f"column {name[1] if name else element}", element


def materialized(text: str) -> str:
    """Before v22.1 the word was not printed; the list of columns there holds the hidden key, too."""
    found = _COLUMN_LIST.match(text)
    if found:
        columns = [name.strip() for name in found[2].split(",")]
        if columns[-1] == "rowid" and len(columns) > 1:
            columns.pop()
        text = f"{found[1]} ({', '.join(columns)}) AS {text[found.end() :]}"
    return re.sub(r"^CREATE VIEW ", "CREATE MATERIALIZED VIEW ", text)


def grants(kind: str, name: str, rows: Iterable[Row]) -> Iterator[str]:
    sets: dict[tuple[str, bool], set[str]] = defaultdict(set)
    for row in rows:
        sets[row["grantee"], row.get("is_grantable") == "YES"].add(row["privilege"])
    for (grantee, grantable), privileges in sorted(sets.items()):
        tail = " WITH GRANT OPTION" if grantable else ""
        yield f"GRANT {', '.join(sorted(privileges))} ON {kind} {name} TO {quoted_name(grantee)}{tail}"


def names_in(text: str) -> Iterator[str]:
    """The names with a schema in a text; those in strings (of nextval, of bodies) as well."""
    found = list(tokens(text))
    for number, token in enumerate(found):
        if token.kind is TokenKind.STRING:
            yield from re.findall(r'[\w$]+\.[\w$]+|"[^"]+"\.[\w$]+|[\w$]+\."[^"]+"', token.text)
        elif token.text == "." and 0 < number < len(found) - 1:
            yield f"{found[number - 1].text}.{found[number + 1].text}"


def qualified(schema: str, name: str) -> str:
    """A name with its schema, as the server prints it."""
    return f"{quoted_name(schema)}.{quoted_name(name)}"


def quoted_name(name: str) -> str:
    """A name as the server prints it."""
    return name if _PLAIN.fullmatch(name) and name.upper() not in _RESERVED else identifier(name)


def spelled(name: str | None) -> str:
    """A name as `qualified` writes it, from how PostgreSQL's functions do."""
    parts = [token for token in tokens(name or "") if token.text != "."]
    return ".".join(quoted_name(unquoted(token.text)) for token in parts)


def unquoted(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def literal(text: str) -> str:
    if any(character in text for character in "'\\\n\r\t"):
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        for character, escape in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
            escaped = escaped.replace(character, escape)
        return f"e'{escaped}'"
    return f"'{text}'"
