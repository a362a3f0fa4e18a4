"""The names that servers choose for indexes and constraints that have none.

PostgreSQL's rules: the table, the columns, and a word for the kind, shortened to 63 bytes, with a
number at the end where that is taken; columns of INCLUDE count (makeObjectName and
ChooseRelationName in its source,
https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS).
CockroachDB calls a CHECK after every column it names, in their order, as often as they occur. What else it
chooses differs by version and is only assumed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Final

from .._sql.lexer import TokenKind, tokens
from .._sql.tokens import bare
from .values import Constraint, ConstraintKind, Expression, Index, IndexKey

#: The longest name PostgreSQL keeps, in bytes; a longer one is cut.
LONGEST: Final = 63

_LABELS: Final = {
    ConstraintKind.PRIMARY_KEY: "pkey",
    ConstraintKind.UNIQUE: "key",
    ConstraintKind.CHECK: "check",
    ConstraintKind.FOREIGN_KEY: "fkey",
    ConstraintKind.EXCLUDE: "excl",
    ConstraintKind.NOT_NULL: "not_null",
}


def for_constraint(
    table: str, columns: Iterable[str], constraint: Constraint, is_free: Callable[[str], bool]
) -> str:
    """The name of a constraint that has none.

    Args:
        table: Its table's name.
        columns: The names of that table's columns.
        constraint: The constraint.
        is_free: Whether a name is not taken.
    """
    addition = "_".join((*constraint.columns, *constraint.storing))
    if constraint.kind is ConstraintKind.PRIMARY_KEY:
        addition = ""
    elif constraint.kind is ConstraintKind.CHECK and constraint.expression is not None:
        used = [column for column in columns if column in constraint.expression.names]
        addition = used[0] if len(used) == 1 else ""
    return choose(table, addition, _LABELS[constraint.kind], is_free)


def for_check_on_cockroachdb(
    columns: Iterable[str], condition: Expression, is_free: Callable[[str], bool]
) -> str:
    """The name of a CHECK that has none, as CockroachDB chooses it: `check_a_b_a`.

    Args:
        columns: The names of the table's columns.
        condition: What the CHECK demands.
        is_free: Whether a name is not taken.
    """
    known = frozenset(columns)
    found = list(tokens(condition.text))
    used = [
        bare(token)
        for token, after in zip_longest(found, found[1:])
        if token.kind in (TokenKind.WORD, TokenKind.NAME)
        and (after is None or after.text not in ("(", "."))
    ]
    wanted = "_".join(("check", *(name for name in used if name in known)))
    number = 0
    while not is_free(name := f"{wanted}{number or ''}"):
        number += 1
    return name


def for_index(table: str, index: Index, is_free: Callable[[str], bool]) -> str:
    """The name of an index that has none."""
    additions: list[str] = []
    for wanted in (*map(_key_name, index.keys), *index.storing):
        name, number = wanted, 0
        while name in additions:
            number += 1
            name = f"{wanted}{number}"
        additions.append(name)
    return choose(table, "_".join(additions), "idx", is_free)


def _key_name(key: IndexKey) -> str:
    """What a key adds to the name: a column, the function of a plain call, or `expr`."""
    if key.column is not None:
        return key.column
    text = key.expression.text if key.expression else ""
    called, opened, rest = text.partition("(")
    plain = called.strip().replace(".", "_").replace("_", "a").isalnum()
    if opened and plain and rest.count(")") == rest.count("(") + 1 and text.endswith(")"):
        return called.strip().rpartition(".")[2].lower()
    return "expr"


def choose(table: str, addition: str, label: str, is_free: Callable[[str], bool]) -> str:
    """Join the parts to a name that fits and is not taken."""
    number = 0
    while True:
        name = _joined(table, addition, f"{label}{number or ''}")
        if is_free(name):
            return name
        number += 1


def _joined(table: str, addition: str, label: str) -> str:
    room = LONGEST - len(label.encode()) - 1 - (1 if addition else 0)
    first, second = table.encode(), addition.encode()
    while len(first) + len(second) > room:
        if len(first) > len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    parts = [part.decode(errors="ignore") for part in (first, second) if part]
    return "_".join([*parts, label])
