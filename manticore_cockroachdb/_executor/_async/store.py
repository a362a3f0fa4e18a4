"""Reads and writes the two tables over a session, and nothing else.

Turns the fence's error into `LeaseLost`. What the rows mean and how statements look is decided in the
pure modules `ledger` and `run_state`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from ..._backend import introspection
from ..._backend.dialect import INSUFFICIENT_PRIVILEGE, Server
from ..._backend.protocol import Command, Result
from ..._backend.retry import CREATED_MEANWHILE, RETRY
from ..._backend.settings import ConnectionSettings
from ..._store import run_state
from ..._store.fenced import Lease
from ..._store.ledger import (
    NO_TABLE,
    LedgerRow,
    Tables,
    create_ledger,
    find_tables,
    ledger_rows,
    look_for,
    moved,
    read_ledger,
    tables_elsewhere,
    take_over,
)
from ..._store.repeatables import (
    RepeatableRow,
    create_repeatables,
    read_repeatables,
    repeatable_rows,
)
from ..._store.snapshot import Blank, Snapshot
from ...errors import DatabaseError, LeaseLost
from ...events import Event, Retrying
from .. import table_messages
from .session import AsyncSession

#: A look at rows that another runner's open transaction holds is given up after this time, and tried
#: again: CockroachDB lets readers wait for writers.
_LOOK_SECONDS = 2
#: How many results a look has before that of the repeatable scripts.
_BOTH = 2
#: Timed out, by our limit or the user's lock_timeout; or asked by the server to try again.
_BUSY = RETRY | {"57014", "55P03"}
#: A column that another runner is adding to an older table now.
_UNDEFINED_COLUMN = "42703"
_READ_ONLY = "25006"


class AsyncStore:
    """The ledger, the run state and the repeatable scripts' table, seen through one session.

    Attributes:
        session: The session.
        tables: The tables' names.
        surveys: Whether to read what else is in a database in which nothing has run.
    """

    def __init__(
        self,
        session: AsyncSession,
        tables: Tables,
        emit: Callable[[Event], None],
        *,
        surveys: bool = False,
    ) -> None:
        self.session = session
        self.tables = tables
        self.surveys = surveys
        self._emit = emit

    async def look(self) -> Snapshot | None:
        """The tables as they are now, or None while somebody's transaction keeps them from us.

        Raises:
            LedgerRefused: The ledger's table is someone else's.
        """
        snapshot = await self._look()
        return None if snapshot is None else await self._surveyed(snapshot)

    async def _surveyed(self, snapshot: Snapshot) -> Snapshot:
        if not self.surveys or snapshot.rows or snapshot.record.progress is not None:
            return snapshot
        asked = introspection.relations_besides(self.tables.names)
        found = (await self.session.send(asked))[0].rows
        kind = self.session.server.kind.value
        return replace(snapshot, blank=Blank(kind, frozenset((row[0], row[1]) for row in found)))

    async def _look(self) -> Snapshot | None:
        ledger, state = read_ledger(self.tables), run_state.read_state(self.tables)
        results, error = await self._bounded(ledger, state, *self._read_repeatables())
        if error is None:
            return await self._with_repeatables(self._snapshot(*results))
        if len(results) == _BOTH and error.sqlstate in NO_TABLE:
            self.tables = replace(self.tables, has_repeatables=False)  # dropped by hand since
            return self._snapshot(*results)
        if error.sqlstate in _BUSY:
            return None
        if error.sqlstate == INSUFFICIENT_PRIVILEGE:
            raise self._refused(error)
        if error.sqlstate not in NO_TABLE:
            raise error
        rows: tuple[LedgerRow, ...] = ()
        missing: tuple[str, ...] = ()
        has_ledger = bool(results)
        if has_ledger:
            rows, missing = ledger_rows(self.tables, results[0])
        else:
            results, error = await self._bounded(state)
            if error is not None and error.sqlstate in _BUSY:
                return None
            if error is not None and error.sqlstate not in NO_TABLE:
                raise error
        has_state = error is None
        record = run_state.read(results[-1]) if has_state else run_state.NOBODY
        lacking = run_state.missing_columns(results[-1]) if has_state else ()
        return Snapshot(rows, record, has_ledger, has_state, missing, lacking)

    def _snapshot(
        self, ledger: Result, state: Result, repeatables: Result | None = None
    ) -> Snapshot:
        rows, missing = ledger_rows(self.tables, ledger)
        return Snapshot(
            rows,
            run_state.read(state),
            missing=missing,
            missing_state=run_state.missing_columns(state),
            repeatables=repeatable_rows(self.tables, repeatables) if repeatables else (),
        )

    def _read_repeatables(self) -> tuple[Command, ...]:
        return (read_repeatables(self.tables),) if self.tables.has_repeatables else ()

    async def _with_repeatables(self, snapshot: Snapshot) -> Snapshot | None:
        """The same with the rows of a table that was made since the session began."""
        if self.tables.has_repeatables or not snapshot.record.has_repeatables:
            return snapshot
        results, error = await self._bounded(read_repeatables(self.tables))
        if error is not None:
            if error.sqlstate in _BUSY:
                return None
            if error.sqlstate in NO_TABLE:
                return snapshot
            raise self._refused(error) if error.sqlstate == INSUFFICIENT_PRIVILEGE else error
        self.tables = replace(self.tables, has_repeatables=True)
        return replace(snapshot, repeatables=repeatable_rows(self.tables, results[0]))

    async def make_repeatables(self) -> tuple[RepeatableRow, ...]:
        """Create the table of repeatable scripts; the rows, where it was there already."""
        await self._create(create_repeatables(self.tables))
        self.tables = replace(self.tables, has_repeatables=True)
        results = await self.session.send(read_repeatables(self.tables))
        return repeatable_rows(self.tables, results[0])

    async def prepare(self, snapshot: Snapshot) -> None:
        """Create what is not there. Any number of runners may do so at once."""
        if not snapshot.has_state:
            await self._create(run_state.create_state(self.tables))
        if not snapshot.has_ledger:
            await self._create(create_ledger(self.tables))
        for command in (
            *take_over(self.tables, snapshot.missing),
            *run_state.take_over_state(self.tables, snapshot.missing_state),
        ):
            await self._create(command, message=table_messages.not_taken_over)

    async def acquire(self, owner: str, seconds: float) -> tuple[Lease, Snapshot] | None:
        """Take the lease if it can be had now, and read both tables under it."""
        results, error = await self._bounded(
            run_state.acquire(self.tables, owner, seconds, self.session.session_id),
            read_ledger(self.tables),
            run_state.read_state(self.tables),
            *self._read_repeatables(),
        )
        if error is not None:
            if len(results) > _BOTH and error.sqlstate in NO_TABLE:
                self.tables = replace(self.tables, has_repeatables=False)  # dropped a moment ago
                return None
            if error.sqlstate in _BUSY | {_UNDEFINED_COLUMN}:
                return None
            if error.sqlstate == INSUFFICIENT_PRIVILEGE:
                raise await self._hidden(error) or self._refused(error)
            raise error
        if not results[0].rows:
            return None
        lease = Lease(owner, results[0].rows[0][0], seconds)
        snapshot = await self._with_repeatables(self._snapshot(*results[1:]))
        return None if snapshot is None else (lease, await self._surveyed(snapshot))

    async def write(self, *commands: Command, as_ourselves: bool = False) -> None:
        """Send fenced statements.

        Args:
            *commands: The statements.
            as_ourselves: Whether a script may have taken another role in this session.

        Raises:
            DatabaseError: The server refused them, and wrote nothing; see `refused`.
        """
        if as_ourselves:
            commands = self.session.state.as_ourselves(commands)
        await self.session.send(*commands, retried=self._retried)

    async def write_and_ask(
        self, write: Command, questions: Sequence[Command], *, as_ourselves: bool = False
    ) -> list[Result]:
        """Send a fenced statement and, in the same round trip, questions asked once it is committed.

        Args:
            write: The statement.
            questions: The questions, asked as the session is.
            as_ourselves: As for `write`.

        Raises:
            DatabaseError: The server refused the statement, and wrote nothing; or refused a question.
        """
        # A separate transaction: so a refused question says nothing about the write.
        own = self.session.state.alone(write, as_ourselves=as_ourselves)
        results, refusal = await self.session.ask(*own, *questions)
        if refusal is None:
            return results[len(own) :]
        if refusal.index < len(own):
            await self.write(write, as_ourselves=as_ourselves)
        return await self.session.send(*questions)

    async def release(self, owner: str) -> None:
        """Release the lease, if it is this runner's. Where there is no table, there is no lease."""
        release = run_state.release(self.tables, owner)
        try:
            await self.write(release, as_ourselves=True)
        except DatabaseError as error:
            if error.sqlstate not in NO_TABLE:
                raise

    async def _create(
        self,
        command: Command,
        message: Callable[[Tables, Server, DatabaseError], str] = table_messages.not_made,
    ) -> None:
        try:
            await self.session.send(command, retry=RETRY | CREATED_MEANWHILE, retried=self._retried)
        except DatabaseError as error:
            if error.sqlstate == INSUFFICIENT_PRIVILEGE:
                words = message(self.tables, self.session.server, error)
                raise DatabaseError(words, sqlstate=error.sqlstate) from error
            raise

    async def _bounded(self, *commands: Command) -> tuple[list[Result], DatabaseError | None]:
        """Send commands that may wait for another runner's row locks, but not for long."""
        state = self.session.state
        sent = state.reading(_LOOK_SECONDS, *commands)
        start = sent.index(commands[0])
        results, refusal = await self.session.ask(*sent)
        if refusal is None:
            return results[start : start + len(commands)], None
        await self.session.send(*state.after_reading())
        return results[start:], refusal.error

    def _refused(self, error: DatabaseError) -> DatabaseError:
        message = table_messages.refused(self.tables, self.session.server, error)
        return DatabaseError(message, sqlstate=error.sqlstate)

    async def _hidden(self, error: DatabaseError) -> DatabaseError | None:
        tables = self.tables
        asked = introspection.row_security(tables.schema, tables.state_name)
        rows = (await self.session.send(asked))[0].rows
        if not rows or not rows[0][0]:
            return None
        return DatabaseError(table_messages.hidden(tables, error), sqlstate=error.sqlstate)

    def _retried(self, error: DatabaseError, attempt: int, pause: float) -> None:
        self._emit(Retrying("a write to the ledger", error.sqlstate or "", attempt, pause))


async def async_open_store(
    settings: ConnectionSettings,
    name: str,
    table: str,
    emit: Callable[[Event], None],
    *,
    pinned: Mapping[str, str] = MappingProxyType({}),
    tables: Tables | None = None,
    surveys: bool = False,
) -> AsyncStore:
    """Connect, and find the tables.

    Args:
        settings: Where to.
        name: The session's name.
        table: The `table` argument.
        emit: Called with each event.
        pinned: Session variables that the run was given as arguments.
        tables: Where the tables are, if that is known: a run keeps its tables to its end.
        surveys: Whether to read what else is in a database in which nothing has run.

    Raises:
        ConnectionFailed: No connection.
        LedgerRefused: There are several ledgers along the search path.
    """
    asking = look_for(table) if tables is None else ()
    session = await AsyncSession.open(settings, name, pinned, asking=asking)
    try:
        if tables is None:
            tables = await _found_tables(session, table, session.first_answers)
        return AsyncStore(session, tables, emit, surveys=surveys)
    except BaseException:
        await session.close()
        raise


async def async_store_of(
    session: AsyncSession, table: str, emit: Callable[[Event], None]
) -> AsyncStore:
    """Find the tables over a session that is open already.

    Args:
        session: The session.
        table: The `table` argument.
        emit: Called with each event.

    Raises:
        LedgerRefused: There are several ledgers along the search path.
    """
    asking = look_for(table)
    answers = await session.send(*asking) if asking else []
    return AsyncStore(session, await _found_tables(session, table, answers), emit)


async def _found_tables(session: AsyncSession, table: str, answers: Sequence[Result]) -> Tables:
    database, schema = session.server.database, session.server.schema
    for elsewhere in tables_elsewhere(table, answers, database=database):
        await _check_moved(session, elsewhere)
    return find_tables(table, answers, database=database, schema=schema)


async def _check_moved(session: AsyncSession, elsewhere: Tables) -> None:
    """Refuse to begin with an empty ledger where there was one that has been moved since."""
    results, _refusal = await session.ask(run_state.read_home(elsewhere))
    home = results[0].rows[0][0] if results and results[0].rows else None
    if home == session.server.schema:
        raise moved(elsewhere, home)


def lease_lost() -> LeaseLost:
    """The error for a fence that did not hold."""
    return LeaseLost(
        "The lease was lost: it expired while this runner was paused, or was broken by hand, "
        "and another runner may hold it now. This runner has written nothing since and stops here; "
        "run again to finish what is left."
    )


def takes_no_writes(session: AsyncSession, reason: str) -> DatabaseError:
    """The error for a run on a session that cannot write."""
    return DatabaseError(table_messages.read_only(session.server, reason), sqlstate=_READ_ONLY)
