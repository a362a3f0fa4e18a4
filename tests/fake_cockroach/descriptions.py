"""What CockroachDB calls a statement's schema-change jobs: the text SHOW JOBS shows.

The statement as the server's formatter prints it: names qualified, types by the server's own names,
some words added. Knows the forms that tests use; `tests/backend/job_descriptions.txt` holds what real
servers of two versions said, and the test beside this module compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_QUALIFIED = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_LIST = rf"{_QUALIFIED}(?:\s*,\s*{_QUALIFIED})*"
_IF = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
_TYPES = {
    **dict.fromkeys(("INT", "INTEGER", "BIGINT"), "INT8"),
    "TEXT": "STRING",
    "BOOLEAN": "BOOL",
    "SMALLINT": "INT2",
    "NUMERIC": "DECIMAL",
}
_TYPE = re.compile(rf"\b({'|'.join(_TYPES)})\b", re.IGNORECASE)
_REFERENCES = re.compile(rf"(\bREFERENCES\s+)({_QUALIFIED})", re.IGNORECASE)
# The server leaves these names as they were written.
_UNQUALIFIED = re.compile(
    rf"(ALTER\s+(?:TABLE|VIEW|SEQUENCE)\s+{_IF}){_QUALIFIED}\s+(?:RENAME\s+TO|SET\s+SCHEMA|OWNER\s+TO)\b",
    re.IGNORECASE,
)
_JOBLESS = re.compile(
    r"CREATE\s+(?:(?:TEMP|TEMPORARY|UNLOGGED|OR\s+REPLACE)\s+)*(?:TABLE|TYPE|SEQUENCE|SCHEMA|VIEW)\b",
    re.IGNORECASE,
)
_MAKES_A_JOB = re.compile(r"\bREFERENCES\b|\bAS\s+(?:SELECT|TABLE|VALUES|WITH)\b", re.IGNORECASE)


def descriptions(sql: str, database: str, *, schema: str = "public") -> tuple[str, ...]:
    """The descriptions of the jobs that a statement makes; none for one that makes no job.

    Args:
        sql: The statement.
        database: The database of its connection.
        schema: Where its session looks for a name that is not qualified.
    """
    text = " ".join(re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.DOTALL).split()).rstrip("; ")

    def qualified(name: str) -> str:
        parts = re.findall(_NAME, name)
        return ".".join([*[_quoted(database), schema][: 3 - len(parts)], *parts])

    def all_qualified(names: str) -> str:
        return ", ".join(qualified(name) for name in re.findall(_QUALIFIED, names))

    if _JOBLESS.match(text) and not (
        re.match(r"CREATE\s+TABLE", text, re.IGNORECASE) and _MAKES_A_JOB.search(text)
    ):
        return ()
    if _UNQUALIFIED.match(text):
        return (text,)
    for pattern, form in _FORMS:
        found = re.fullmatch(pattern, text, re.IGNORECASE)
        if found is not None:
            return form(found, qualified, all_qualified)
    return ()


_Qualify = Callable[[str], str]


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else f'"{name}"'


def _printed(text: str, qualified: _Qualify) -> str:
    """Types by the server's names, tables that are referred to qualified."""
    text = _TYPE.sub(lambda found: _TYPES[found[1].upper()], text)
    return _REFERENCES.sub(lambda found: found[1] + qualified(found[2]), text)


def _on_table(found: re.Match[str], qualified: _Qualify, _all: _Qualify) -> tuple[str, ...]:
    rest = _printed(found[3], qualified)
    if found[1].upper().startswith("ALTER"):
        rest = re.sub(
            rf"(^\s*|,\s*)(ADD|DROP|ALTER)\s+(?!(?:COLUMN|CONSTRAINT|PRIMARY|UNIQUE|CHECK|FOREIGN|VALUE)\b)(?={_NAME})",
            r"\1\2 COLUMN ",
            rest,
            flags=re.IGNORECASE,
        )
    # Foreign keys change the table they refer to as well: a job for each.
    count = 2 if "REFERENCES" in rest.upper() and not found[1].upper().startswith("CREATE") else 1
    return (f"{found[1]}{qualified(found[2])}{rest}",) * count


def _of_each(
    found: re.Match[str], _qualified: _Qualify, all_qualified: _Qualify
) -> tuple[str, ...]:
    head = "TRUNCATE TABLE " if found[1].upper().startswith("TRUNCATE") else found[1]
    count = len(re.findall(_QUALIFIED, found[2]))
    return (f"{head}{all_qualified(found[2])}{found[3]}",) * count


def _dropped_index(found: re.Match[str], qualified: _Qualify, _all: _Qualify) -> tuple[str, ...]:
    # The server knows the index's table; here none is known, and any name will do.
    table = found[2].rstrip("@") if found[2] else "indexed"
    return (f"{found[1]}{qualified(table)}@{found[3]}{found[4]}",)


def _dropped_type(found: re.Match[str], qualified: _Qualify, _all: _Qualify) -> tuple[str, ...]:
    return (f"dropping type {qualified(found[1])}",)


def _granted(_found: re.Match[str], _qualified: _Qualify, _all: _Qualify) -> tuple[str, ...]:
    return ("updating privileges for table 107",)


_Form = Callable[[re.Match[str], _Qualify, _Qualify], tuple[str, ...]]

_INDEX = (
    rf"CREATE\s+(?:UNIQUE\s+|INVERTED\s+)*INDEX\s+(?:CONCURRENTLY\s+)?{_IF}(?:{_NAME}\s+)?ON\s+"
)
_KINDS = r"(?:TABLE|VIEW|MATERIALIZED\s+VIEW|SEQUENCE)"
_CASCADE = r"((?:\s+CASCADE)?)"
_FORMS: tuple[tuple[str, _Form], ...] = (
    (rf"({_INDEX})({_QUALIFIED})(.*)", _on_table),
    (rf"(ALTER\s+TABLE\s+{_IF})({_QUALIFIED})(.*)", _on_table),
    (rf"(ALTER\s+(?:TYPE|SEQUENCE)\s+)({_QUALIFIED})(.*)", _on_table),
    (rf"(CREATE\s+TABLE\s+{_IF})({_QUALIFIED})(.*)", _on_table),
    (rf"(REFRESH\s+MATERIALIZED\s+VIEW\s+)({_QUALIFIED})(.*)", _on_table),
    (rf"(DROP\s+{_KINDS}\s+{_IF})({_LIST}){_CASCADE}", _of_each),
    (rf"(TRUNCATE\s+(?:TABLE\s+)?)({_LIST}){_CASCADE}", _of_each),
    (
        rf"(DROP\s+INDEX\s+(?:CONCURRENTLY\s+)?{_IF})({_QUALIFIED}@)?({_NAME}){_CASCADE}",
        _dropped_index,
    ),
    (rf"DROP\s+TYPE\s+{_IF}({_QUALIFIED})(?:\s+CASCADE)?", _dropped_type),
    (r"(?:GRANT|REVOKE)\s.*", _granted),
)
