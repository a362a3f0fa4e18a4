"""Finds scripts that would create, change or drop the ledger's own tables. Pure.

A dump of a whole schema, squashed into one script, has them: on a new database it would fail on a table
that is there already, or take the ledger away from the run that needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .._scripts.script import MigrationScript
from .._sql.change_reading import read_schema_change
from .._sql.statement import Kind, Statement
from .._sql.tokens import head
from ..errors import FilesRefused, Problem
from .ledger import own_names, split_table

#: Schema changes after which the tables are no longer what a run relies on.
_VERBS = frozenset({"CREATE", "ALTER", "DROP", "TRUNCATE"})


def refuse_own_tables(scripts: Sequence[MigrationScript], table: str) -> None:
    """Refuse scripts that change the ledger's table, the run state's, or that of repeatable scripts.

    Args:
        scripts: The scripts.
        table: The ledger's table, `name` or `schema.name`.

    Raises:
        FilesRefused: With every such statement.
    """
    schema, name = split_table(table)
    own = frozenset(own_names(name))
    schemas = frozenset({schema} if schema else {"", "public"})
    problems = [problem for script in scripts for problem in _problems(script, schemas, own)]
    if problems:
        raise FilesRefused("Nothing was run", problems)


def _problems(
    script: MigrationScript, schemas: frozenset[str], own: frozenset[str]
) -> Iterator[Problem]:
    sections = (
        (script.path, script.up_sql, script.up_statements),
        (script.down_path or script.path, script.down_sql or "", script.down_statements),
    )
    for path, text, statements in sections:
        if not any(name in text for name in own):  # a quick look: most scripts name none of them
            continue
        for statement, table in _changes(statements(), schemas, own):
            yield Problem(
                f"changes {table}, a table of Manticore",
                path=path,
                line=statement.line,
                version=script.version or None,
                hint="leave it out of the script (a dump of a schema is made without it, such as by "
                f"pg_dump --exclude-table='{table}*'), or give the ledger another table with TABLE",
            )


def _changes(
    statements: Iterable[Statement], schemas: frozenset[str], own: frozenset[str]
) -> Iterator[tuple[Statement, str]]:
    for statement in statements:
        if statement.kind is not Kind.SCHEMA or head(statement.text, 1)[0] not in _VERBS:
            continue
        table = read_schema_change(statement.text).table
        if table is None:
            continue
        given, _, name = table.replace('"', "").rpartition(".")
        if name in own and given.rpartition(".")[2] in schemas:
            yield statement, name
