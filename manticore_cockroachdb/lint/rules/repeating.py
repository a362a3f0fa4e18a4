"""Repeatable scripts (`R__name.sql`): what happens when they run again over what they made before.

A repeatable script must bring any database to the same state: one that never saw it, and one that has what
an earlier text of it made. The first is judged as for any script; here the script is folded a second time,
over what it has just made.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from ..._model.commands import (
    Command,
    CreateFunction,
    CreateIndex,
    CreateSequence,
    CreateTable,
    CreateTrigger,
    CreateType,
    CreateView,
    Drop,
    Understood,
    Write,
)
from ..._model.faults import Fault, FaultKind
from ..._model.folding import begin_script, fold
from ..._model.values import Name, quoted
from ..._sql.lexer import tokens
from ..._sql.tokens import head, upper
from ..finding import Severity
from ..rule import BOTH, CRDB, Example, Read, Remark, Script, Step, rule

_RIDES: Final = "CREATE TABLE rides (id BIGINT PRIMARY KEY, city TEXT, ended TIMESTAMPTZ);"
_OPEN: Final = "SELECT id, city FROM rides WHERE ended IS NULL;"
_DROP_TRIGGER: Final = "DROP TRIGGER"
_PG_VIEW: Final = "https://www.postgresql.org/docs/current/sql-createview.html"
_PG_MATERIALIZED: Final = "https://www.postgresql.org/docs/current/sql-creatematerializedview.html"


@rule(
    "fails-when-repeated",
    Severity.ERROR,
    BOTH,
    _PG_VIEW,
    Example(
        f"CREATE VIEW open_rides AS\n{_OPEN}",
        _RIDES,
        repeatable=True,
    ),
)
def fails_when_repeated(script: Script) -> Iterator[Remark]:
    """A repeatable script runs again whenever its file changes, over what it made before.

    So each of its statements must work where its objects are already there. Where a server cannot
    replace something (a materialized view, a type, on older servers a trigger), drop it first with IF
    EXISTS. CockroachDB's schema changes are not transactional: between the two statements the object is
    missing.
    """
    if not script.script.is_repeatable or script.after is None:
        return
    schema = script.after.fork()
    begin_script(schema)
    dropped: set[tuple[str, str]] = set()
    for read in script.statements:
        faults = fold(read.command, schema)
        dropped |= _dropped(read.command)
        for what, safer in _in_the_way(read, faults, dropped):
            yield Remark(f"{what} exists already when the script runs again.", safer, read.line)
        for fault in faults:
            if fault.kind is FaultKind.MISSING:
                yield Remark(
                    f"The {fault.what} {fault.name} does not exist any more when the script runs again.",
                    line=read.line,
                )


def _in_the_way(
    read: Read, faults: tuple[Fault, ...], dropped: set[tuple[str, str]]
) -> Iterator[tuple[str, str | None]]:
    """What a statement makes that is there when it runs again, and the statements that can be repeated."""
    command = read.command
    match command:
        case CreateFunction(name=name, replace=False) if ("FUNCTION", name.name) not in dropped:
            yield f"The function {name}", f"{_or_replace(read.text)};"
        case CreateTrigger(name=name, table=table) if ("TRIGGER", name) not in dropped:
            if not _says_or_replace(read.text):
                yield (
                    f"The trigger {name}",
                    f"DROP TRIGGER IF EXISTS {quoted(name)} ON {table};\n{read.text};",
                )
        case _:
            for fault in faults:
                if fault.kind is FaultKind.EXISTS:
                    yield f"The {fault.what} {fault.name}", _repeatable_form(command, read.text)


def _repeatable_form(command: Command, text: str) -> str | None:
    match command:
        case CreateView(name=name, materialized=True):
            return f"DROP MATERIALIZED VIEW IF EXISTS {name};\n{text};"
        case CreateView():
            return f"{_or_replace(text)};"
        case CreateType(name=name):
            return f"DROP TYPE IF EXISTS {name};\n{text};"
        case _:
            return None


def _or_replace(text: str) -> str:
    first = next(iter(tokens(text)))
    return f"{text[: first.end]} OR REPLACE{text[first.end :]}"


def _says_or_replace(text: str) -> bool:
    return head(text, 3) == ("CREATE", "OR", "REPLACE")


def _dropped(command: Command) -> set[tuple[str, str]]:
    if isinstance(command, Understood):
        triggers = {("TRIGGER", command.name.name)} if command.name is not None else set()
        return triggers if command.words == _DROP_TRIGGER else set()
    if not isinstance(command, Drop):
        return set()
    what = "FUNCTION" if command.what == "PROCEDURE" else command.what
    return {(what, name.name) for name in command.names}


@rule(
    "skipped-when-repeated",
    Severity.WARNING,
    BOTH,
    _PG_MATERIALIZED,
    Example(
        "CREATE MATERIALIZED VIEW IF NOT EXISTS rides_by_city AS\n"
        "SELECT city, count(*) AS rides FROM rides GROUP BY city;",
        _RIDES,
        repeatable=True,
    ),
    on=(CreateIndex, CreateSequence, CreateTable, CreateView),
)
def skipped_when_repeated(step: Step) -> Iterator[Remark]:
    """IF NOT EXISTS does nothing where the object is there, whatever its definition says now.

    A changed repeatable script then counts as applied, and databases that have the object keep the old
    one. Drop it first, or make it in a version.
    """
    command = step.read.command
    if not step.script.script.is_repeatable or not getattr(command, "if_not_exists", False):
        return
    name = getattr(command, "name", None)
    if isinstance(name, Name) and any(
        name.name == gone for one in step.earlier for _, gone in _dropped(one)
    ):
        return
    safer = None
    if isinstance(command, CreateView):
        kind = "MATERIALIZED VIEW" if command.materialized else "VIEW"
        safer = f"DROP {kind} IF EXISTS {command.name};\n{_without_condition(step.text)};"
    yield Remark(
        "Where it exists, IF NOT EXISTS skips this statement when the script runs again: a change of it "
        "does not reach that database.",
        safer,
    )


def _without_condition(text: str) -> str:
    """A statement without its first IF NOT EXISTS."""
    found = list(tokens(text))
    for first, second, third in zip(found, found[1:], found[2:], strict=False):
        if (upper(first), upper(second), upper(third)) == ("IF", "NOT", "EXISTS"):
            return text[: first.start] + text[third.end :].lstrip()
    return text


@rule(
    "replaced-view-columns",
    Severity.NOTE,
    BOTH,
    _PG_VIEW,
    Example(
        f"CREATE OR REPLACE VIEW open_rides AS\n{_OPEN}",
        _RIDES,
        repeatable=True,
    ),
    on=(CreateView,),
)
def replaced_view_columns(step: Step) -> Iterator[Remark]:
    """CREATE OR REPLACE VIEW can only add columns at the end, on both servers.

    If a column's name, place or type changes, or one is left out, the statement fails where the view is
    there (42P16), and the run stops there. Where that may happen, drop the view first: IF EXISTS makes
    that repeatable. CASCADE also drops the views over it, so that their scripts must follow with
    `after=`.
    """
    command = step.read.command
    if (
        isinstance(command, CreateView)
        and command.replace
        and step.script.script.is_repeatable
        and ("VIEW", command.name.name) not in {one for e in step.earlier for one in _dropped(e)}
    ):
        yield Remark(
            f"Where the view {command.name} exists, this can only add columns at its end.",
            f"DROP VIEW IF EXISTS {command.name};\n{step.text};",
        )


@rule(
    "replaced-trigger-function",
    Severity.WARNING,
    {CRDB: ((24, 3), None)},
    "https://www.cockroachlabs.com/docs/stable/triggers#known-limitations",
    Example(
        "CREATE OR REPLACE FUNCTION touch() RETURNS TRIGGER LANGUAGE plpgsql AS\n"
        "$$ BEGIN RETURN NEW; END $$;",
        repeatable=True,
        fixed="DROP TRIGGER IF EXISTS touch ON rides;\n"
        "CREATE OR REPLACE FUNCTION touch() RETURNS TRIGGER LANGUAGE plpgsql AS\n"
        "$$ BEGIN RETURN NEW; END $$;\n"
        "CREATE TRIGGER touch BEFORE UPDATE ON rides FOR EACH ROW EXECUTE FUNCTION touch();",
        server="cockroachdb:25.4",
    ),
    on=(CreateFunction,),
)
def replaced_trigger_function(step: Step) -> Iterator[Remark]:
    """CockroachDB refuses to replace a function that a trigger calls: the trigger keeps its old text.

    Drop the trigger before, in the same script, and make it again after. See
    https://github.com/cockroachdb/cockroach/issues/134555.
    """
    command = step.read.command
    if not isinstance(command, CreateFunction) or not command.replace:
        return
    words = [upper(token) for token in tokens(step.text)]
    returns = ("RETURNS", "TRIGGER") in pairwise(words)
    drops = any(isinstance(one, Understood) and one.words == _DROP_TRIGGER for one in step.earlier)
    if returns and not drops and step.script.script.is_repeatable:
        yield Remark(f"Where a trigger calls {command.name}, CockroachDB refuses to replace it.")


@rule(
    "inserted-again",
    Severity.WARNING,
    BOTH,
    "https://www.postgresql.org/docs/current/sql-insert.html#SQL-ON-CONFLICT",
    Example(
        "INSERT INTO rides (id, city) VALUES (1, 'Utrecht');",
        _RIDES,
        repeatable=True,
        fixed="INSERT INTO rides (id, city) VALUES (1, 'Utrecht') ON CONFLICT (id) DO NOTHING;",
    ),
    on=(Write,),
)
def inserted_again(step: Step) -> Iterator[Remark]:
    """A repeatable script's INSERT adds its rows again each time, or fails on their key.

    Say what happens with rows that are there: ON CONFLICT; or, on CockroachDB, UPSERT. Or delete them
    first.
    """
    command = step.read.command
    if not isinstance(command, Write) or command.verb != "INSERT" or command.where is not None:
        return
    if not step.script.script.is_repeatable:
        return
    words = [upper(token) for token in tokens(step.text)]
    if ("ON", "CONFLICT") in pairwise(words) or "EXISTS" in words:
        return
    if any(
        isinstance(one, Write) and one.verb == "DELETE" and one.table.name == command.table.name
        for one in step.earlier
    ):
        return
    if step.is_empty(command.table):
        return
    yield Remark(f"This adds its rows to {command.table} again each time the script runs.")
