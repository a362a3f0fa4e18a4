"""Names: those the server chooses, and those it cuts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..._model import naming
from ..._model.actions import AddConstraint
from ..._model.commands import AlterTable, Command, CreateIndex
from ..._model.fold_table import chosen_index_name
from ..._model.schema import Space
from ..._model.values import ConstraintKind, Table, quoted
from ..._sql.lexer import TokenKind, tokens
from ..._sql.tokens import bare
from ..finding import Severity
from ..rule import BOTH, ON_PG, Example, Remark, Step, rule
from ..safer import name_of
from ..sql import put_in

_RIDES = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT, price NUMERIC);"
_INDEX = "https://www.cockroachlabs.com/docs/stable/create-index"


@rule(
    "unnamed-index",
    Severity.WARNING,
    BOTH,
    _INDEX,
    Example("CREATE INDEX CONCURRENTLY ON rides (city);", _RIDES),
    on=(CreateIndex,),
)
def unnamed_index(step: Step) -> Iterator[Remark]:
    """An index without a name is made a second time when the statement is sent a second time.

    After a crash Manticore cannot tell from the name whether the first sending arrived. And the
    name the server chooses, which the down section must know, differs between servers and
    versions.
    """
    command = step.read.command
    if isinstance(command, CreateIndex) and command.index.name is None:
        key = step.before.key(Space.RELATION, command.table)
        known = step.before.table(command.table) or Table(command.table)
        name = quoted(chosen_index_name(step.before, key, known, command.index))
        after = "CONCURRENTLY" if command.concurrently else "INDEX"
        yield Remark(
            f"The index on {command.table} has no name, so sending the statement twice makes two.",
            put_in(step.text, after, name),
        )


@rule(
    "unnamed-constraint",
    Severity.WARNING,
    BOTH,
    "https://www.cockroachlabs.com/docs/stable/add-constraint",
    Example("ALTER TABLE rides ADD CHECK (price > 0) NOT VALID;", _RIDES, server="postgresql"),
    on=(AlterTable,),
)
def unnamed_constraint(step: Step) -> Iterator[Remark]:
    """A constraint without a name is added a second time when the statement is sent a second time.

    After a crash Manticore cannot tell from the name whether the first sending arrived.
    """
    command = step.read.command
    if not isinstance(command, AlterTable):
        return
    for action in command.actions:
        if isinstance(action, AddConstraint) and action.constraint.name is None:
            one = action.constraint
            if one.index is None and one.kind is not ConstraintKind.PRIMARY_KEY:
                yield Remark(
                    f"The {one.kind.value} on {command.name} has no name, so sending the "
                    "statement twice may add two.",
                    f"ALTER TABLE {command.name} ADD CONSTRAINT {name_of(step, command.name, one)} "
                    f"{one.written}{'' if one.validated else ' NOT VALID'};",
                )


@rule(
    "name-too-long",
    Severity.WARNING,
    ON_PG,
    "https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS",
    Example(
        "ALTER TABLE rides ADD COLUMN "
        "the_price_of_the_ride_including_all_taxes_and_fees_in_the_local_currency NUMERIC;",
        _RIDES,
        fixed="ALTER TABLE rides ADD COLUMN gross_price NUMERIC;",
    ),
    on=(AlterTable, CreateIndex),
)
def name_too_long(step: Step) -> Iterator[Remark]:
    """PostgreSQL cuts names after 63 bytes, and says so only in a notice.

    Two names that differ only after that are one.
    """
    command: Command = step.read.command
    if not _MAYBE_LONG.search(step.text) or not isinstance(command, AlterTable | CreateIndex):
        return
    for token in tokens(step.text):
        if token.kind in (TokenKind.WORD, TokenKind.NAME) and len(token.text) * 4 > naming.LONGEST:
            name = bare(token)
            if len(name.encode()) > naming.LONGEST:
                kept = name.encode()[: naming.LONGEST].decode(errors="ignore")
                yield Remark(f"The name {name} is longer than 63 bytes; PostgreSQL keeps {kept}.")


#: Where there is none of these, no name is too long: most texts need no closer look. A character has
#: at most four bytes.
_MAYBE_LONG: Final = re.compile(r"[^\s(),;.\"]{64}|[^\s(),;.\"\x00-\x7f]{16}|\"[^\"]{16}")
