"""Statements to the server and answers back, over libpq, in as few round trips as can be.

Written as generators that wait for the socket by yielding, as psycopg's own are, so that one text serves
both flavours (`connection.wait(generator)`). Two ways to send: `simple`, one statement by itself, and
`stream`, any number of statements in libpq's pipeline mode with one Sync behind them all: after the first
error the server discards the rest up to that Sync. Knows nothing of migrations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from psycopg import OperationalError
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

from ..errors import ConnectionLost, DatabaseError

#: In flight at most, so that memory stays bounded and a failure is seen early.
WINDOW_STATEMENTS = 512
WINDOW_BYTES = 2 * 1024 * 1024

T = TypeVar("T")
#: A piece of work that waits for the socket by yielding.
Waiting = Generator[Wait, Ready | int, T]

_COPY = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)


@dataclass(frozen=True, slots=True)
class Command:
    """One statement and its parameters (`$1`, `$2`, …), all sent as text.

    Attributes:
        sql: The statement.
        params: Its parameters; the statement casts them to their types.
    """

    sql: str
    params: tuple[str | None, ...] = ()


#: Every transaction of an engine begins and ends so.
BEGIN = Command("BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE")
COMMIT = Command("COMMIT")


@dataclass(frozen=True, slots=True)
class Result:
    """A statement's answer.

    Attributes:
        columns: Names of its columns, empty if it returns no rows.
        types: Their type ids.
        rows: Its rows, as Python values.
        count: Rows changed or returned, where the server says.
        tag: The command tag, such as `COMMIT` or `INSERT 0 1`.
    """

    columns: tuple[str, ...]
    types: tuple[int, ...]
    rows: list[tuple[Any, ...]]
    count: int
    tag: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a stream ended early.

    Attributes:
        index: Which command failed, from 0: all before it were answered, none behind it ran. It is the
            number of commands when the error came at the Sync, where what was not in a transaction commits.
        error: The server's error.
    """

    index: int
    error: DatabaseError


def simple(pgconn: PGconn, text: str) -> Waiting[None]:
    """Send one statement by the simple protocol and wait for its end; its rows are dropped.

    Raises:
        DatabaseError: The server refused it.
        ConnectionLost: No answer came; it may have taken effect.
    """
    error: DatabaseError | None = None
    try:
        pgconn.send_query(text.encode())
        yield from _flush(pgconn)
        while (result := (yield from _next(pgconn))) is not None:
            if result.status == ExecStatus.FATAL_ERROR and error is None:
                error = database_error(pgconn, result)
            elif result.status in _COPY:
                pgconn.finish()
                raise _no_copy()
    except OperationalError as lost:
        raise connection_lost(pgconn, str(lost)) from None
    if error is not None:
        raise error


def stream(
    pgconn: PGconn,
    commands: Iterable[Command],
    answered: Callable[[int, Result], None],
) -> Waiting[Refusal | None]:
    """Send commands one behind the other without waiting for answers; one Sync ends them.

    Args:
        pgconn: The connection, idle.
        commands: Taken one by one, only as fast as the window allows.
        answered: Called with each command's number (from 0) and answer, in order.

    Returns:
        None if all went well, else which command failed and how. A transaction that was open then is
        still open, and failed: roll it back.

    Raises:
        ConnectionLost: The connection ended; what was not answered may have taken effect.
    """
    pgconn.enter_pipeline_mode()
    try:
        refusal = yield from _streamed(pgconn, commands, answered)
        pgconn.exit_pipeline_mode()
    except OperationalError as lost:
        raise connection_lost(pgconn, str(lost)) from None
    return refusal


def _streamed(
    pgconn: PGconn, commands: Iterable[Command], answered: Callable[[int, Result], None]
) -> Waiting[Refusal | None]:
    source = iter(commands)
    window = _Window()
    current: PGresult | None = None
    refusal: Refusal | None = None
    number = 0
    synced = unsent = False
    while True:
        while not synced and window.open:
            command = None if refusal else next(source, None)
            if command is None:
                pgconn.pipeline_sync()
                synced = True
            elif window.full_after(_send(pgconn, command)):
                pgconn.send_flush_request()
            unsent = True
        ready = (yield (Wait.RW if unsent else Wait.R)) or Ready.NONE
        if ready & Ready.R:
            pgconn.consume_input()
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    if current is None:
                        break
                    window.answered()
                    if current.status == ExecStatus.FATAL_ERROR:
                        refusal = Refusal(number, database_error(pgconn, current))
                    elif current.status != ExecStatus.PIPELINE_ABORTED:
                        answered(number, _result(current))
                        number += 1
                    current = None
                elif result.status == ExecStatus.PIPELINE_SYNC:
                    return refusal
                elif result.status in _COPY:
                    pgconn.finish()
                    raise _no_copy()
                else:
                    current = result
            if pgconn.status == ConnStatus.BAD:
                raise refusal.error if refusal else connection_lost(pgconn, "")
        if unsent and ready & Ready.W:
            unsent = bool(pgconn.flush())


class _Window:
    """How much is under way. It shuts when full and opens again when half of it is answered."""

    def __init__(self) -> None:
        self.open = True
        self._sizes: deque[int] = deque()
        self._bytes = 0

    def full_after(self, size: int) -> bool:
        self._sizes.append(size)
        self._bytes += size
        self.open = len(self._sizes) < WINDOW_STATEMENTS and self._bytes < WINDOW_BYTES
        return not self.open

    def answered(self) -> None:
        if self._sizes:  # An error may come at the Sync itself, when every command is answered.
            self._bytes -= self._sizes.popleft()
        if len(self._sizes) <= WINDOW_STATEMENTS // 2 and self._bytes <= WINDOW_BYTES // 2:
            self.open = True


def _send(pgconn: PGconn, command: Command) -> int:
    text = command.sql.encode()
    params = [None if value is None else value.encode() for value in command.params]
    pgconn.send_query_params(text, params)
    return len(text) + sum(len(value) for value in params if value is not None)


def _flush(pgconn: PGconn) -> Waiting[None]:
    while pgconn.flush():
        ready = (yield Wait.RW) or Ready.NONE
        if ready & Ready.R:
            pgconn.consume_input()


def _next(pgconn: PGconn) -> Waiting[PGresult | None]:
    while pgconn.is_busy():
        ready = (yield Wait.R) or Ready.NONE
        if ready & Ready.R:
            pgconn.consume_input()
    return pgconn.get_result()


def _result(result: PGresult) -> Result:
    columns = tuple((result.fname(i) or b"").decode() for i in range(result.nfields))
    types = tuple(result.ftype(i) for i in range(result.nfields))
    rows: list[tuple[Any, ...]] = []
    if result.ntuples:
        transformer = Transformer()
        transformer.set_pgresult(result)
        rows = transformer.load_rows(0, result.ntuples, tuple)
    return Result(
        columns=columns,
        types=types,
        rows=rows,
        count=result.command_tuples or 0,
        tag=(result.command_status or b"").decode(),
    )


def database_error(pgconn: PGconn, result: PGresult) -> DatabaseError:
    """The server's error as ours; a broken connection as `ConnectionLost`."""

    def said(field: DiagnosticField) -> str | None:
        value = result.error_field(field)
        return value.decode(errors="replace") if value else None

    sqlstate = said(DiagnosticField.SQLSTATE)
    message = said(DiagnosticField.MESSAGE_PRIMARY)
    if sqlstate is None:
        return connection_lost(pgconn, (result.error_message or b"").decode(errors="replace"))
    position = said(DiagnosticField.STATEMENT_POSITION)
    detail = said(DiagnosticField.MESSAGE_DETAIL)
    text = f"{message} ({sqlstate})" + (f"\n  Detail: {detail}" if detail else "")
    return DatabaseError(
        text,
        sqlstate=sqlstate,
        detail=detail,
        hint=said(DiagnosticField.MESSAGE_HINT),
        position=int(position) if position else None,
    )


def _no_copy() -> DatabaseError:
    return DatabaseError(
        "COPY to or from the client cannot be run from a script; use INSERT, or COPY with a file "
        "on the server",
        sqlstate="0A000",
    )


def connection_lost(pgconn: PGconn, reason: str) -> ConnectionLost:
    """The connection ended: what libpq said of it, on one line."""
    said = reason or pgconn.get_error_message()
    return ConnectionLost("the connection was lost: " + " ".join(said.split()))
