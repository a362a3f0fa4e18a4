"""Statements to the server and answers back, over libpq, in as few round trips as can be.

Written as generators that wait for the socket by yielding, as psycopg's own are, so that one text serves
both flavors (`connection.wait(generator)`). Two ways to send: `simple`, one statement alone, and
`stream`, any number of statements in libpq's pipeline mode with one Sync after them all: after the first
error the server discards the rest up to that Sync. Knows nothing of migrations.

Rows of our statements come in binary form, so that no setting of the session (DateStyle, TimeZone,
IntervalStyle, extra_float_digits) changes what is read. Rows of a script's statements are dropped one by
one as they arrive: they are never parsed, and never held in memory together.

Whether a connection is lost is asked of the connection, never by the class of an error: a function may
raise any SQLSTATE it likes. A server that ends a connection says so with the severity FATAL.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import DataError, OperationalError
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.types.datetime import TimestamptzBinaryLoader
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
        discards: Whether its rows are dropped unread, as those of a script are.
        flushes: Whether the server is asked for the answers up to this one before it continues.
    """

    sql: str
    params: tuple[str | None, ...] = ()
    discards: bool = False
    flushes: bool = False


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
        index: Which command failed, from 0: all before it were answered, none after it ran. It is the
            number of commands when the error came at the Sync, where what was not in a transaction commits.
        error: The server's error.
    """

    index: int
    error: DatabaseError


def simple(pgconn: PGconn, text: str) -> Waiting[str]:
    """Send one statement by the simple protocol and wait for its end; its rows are dropped.

    Returns:
        The command tag, such as `UPDATE 3`.

    Raises:
        DatabaseError: The server refused it.
        ConnectionLost: No answer came; it may have taken effect.
    """
    error: DatabaseError | None = None
    tag = ""
    try:
        pgconn.send_query(text.encode())
        pgconn.set_single_row_mode()
        yield from _flush(pgconn)
        while (result := (yield from _next(pgconn))) is not None:
            if result.status == ExecStatus.FATAL_ERROR and error is None:
                error = database_error(pgconn, result)
            elif result.status in _COPY:
                pgconn.finish()
                raise _no_copy()
            else:
                tag = (result.command_status or b"").decode(errors="replace")
    except OperationalError as lost:
        raise _ended(pgconn, error, str(lost)) from None
    if error is not None:
        raise _ended(pgconn, error, "") if pgconn.status == ConnStatus.BAD else error
    return tag


def _ended(pgconn: PGconn, error: DatabaseError | None, reason: str) -> ConnectionLost:
    """The connection ended: in the server's own last words where it said any."""
    if isinstance(error, ConnectionLost):
        return error
    return connection_lost(pgconn, str(error) if error is not None else reason)


def stream(
    pgconn: PGconn,
    commands: Iterable[Command],
    answered: Callable[[int, Result], None],
) -> Waiting[Refusal | None]:
    """Send commands in order without waiting for answers; one Sync ends them.

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
    refusal = yield from _streamed(pgconn, commands, answered)
    try:
        pgconn.exit_pipeline_mode()
    except OperationalError as lost:
        raise connection_lost(pgconn, str(lost)) from None
    return refusal


def _streamed(
    pgconn: PGconn, commands: Iterable[Command], answered: Callable[[int, Result], None]
) -> Waiting[Refusal | None]:
    source = iter(commands)
    window = _Window()
    answers = _Answers(pgconn, window, answered)
    synced = unsent = False
    try:
        while True:
            if not synced and window.open:
                left = source if answers.refusal is None else iter(())
                synced, unsent = _fill(pgconn, left, window), True
            ready = (yield (Wait.RW if unsent else Wait.R)) or Ready.NONE
            if ready & Ready.R:
                pgconn.consume_input()
                if answers.take():
                    return answers.refusal
                if pgconn.status == ConnStatus.BAD:
                    raise _ended(pgconn, _reason(answers.refusal), "")
            if unsent and ready & Ready.W:
                unsent = bool(pgconn.flush())
    except OperationalError as lost:
        raise _ended(pgconn, _reason(answers.last_refusal), str(lost)) from None


class _Answers:
    """The answers of one stream, as they come.

    Attributes:
        refusal: Which command failed, and how.
    """

    def __init__(
        self, pgconn: PGconn, window: _Window, answered: Callable[[int, Result], None]
    ) -> None:
        self.refusal: Refusal | None = None
        self._pgconn = pgconn
        self._window = window
        self._answered = answered
        self._number = 0
        self._current: PGresult | None = None
        # libpq may continue with single rows for the first command after one that had them.
        self._single: list[PGresult] = []

    def take(self) -> bool:
        """Take what has been received; whether the Sync that ends the stream was answered."""
        pgconn = self._pgconn
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                if self._current is None:
                    break
                self._end(self._current)
            elif result.status == ExecStatus.PIPELINE_SYNC:
                return True
            elif result.status in _COPY:
                pgconn.finish()
                raise _no_copy()
            else:
                self._current = result
                self._single += _kept(result, self._window)
        return False

    def _end(self, result: PGresult) -> None:
        """The last result of a command has come."""
        discarded = self._window.answered()
        if result.status == ExecStatus.FATAL_ERROR:
            self.refusal = self._refused(result)
            self._window.failed = True
        elif result.status != ExecStatus.PIPELINE_ABORTED:
            answer = _tag(result) if discarded else _result(result, self._single)
            self._answered(self._number, answer)
            self._number += 1
        _drop_rows(self._pgconn, self._window)
        self._current, self._single = None, []

    @property
    def last_refusal(self) -> Refusal | None:
        """The refusal, also where the connection ended before all of it was read."""
        current = self._current
        if current is not None and current.status == ExecStatus.FATAL_ERROR:
            return self._refused(current)
        return self.refusal

    def _refused(self, result: PGresult) -> Refusal:
        return Refusal(self._number, database_error(self._pgconn, result))


def _reason(refusal: Refusal | None) -> DatabaseError | None:
    return None if refusal is None else refusal.error


def _fill(pgconn: PGconn, source: Iterator[Command], window: _Window) -> bool:
    """Send as much as the window allows; whether the Sync that ends it all was sent, too."""
    while window.open:
        command = next(source, None)
        if command is None:
            pgconn.pipeline_sync()
            return True
        is_full = window.full_after(_send(pgconn, command), discards=command.discards)
        if is_full or command.flushes:
            pgconn.send_flush_request()
        _drop_rows(pgconn, window)
    return False


def _kept(result: PGresult, window: _Window) -> tuple[PGresult, ...]:
    """A row that came alone, unless the rows of this command are dropped."""
    is_kept = result.status == ExecStatus.SINGLE_TUPLE and not window.drops
    return (result,) if is_kept else ()


def _drop_rows(pgconn: PGconn, window: _Window) -> None:
    """Have the rows of the command that is answered next come one by one, if they are dropped.

    libpq takes this between the answers of two commands only, and before the first row.
    """
    if window.drops_next():
        pgconn.set_single_row_mode()


class _Window:
    """How much is sent and not answered. It shuts when full and opens again when half is answered.

    Attributes:
        open: Whether more can be sent.
        failed: Whether an error was answered; what comes after it has no rows.
    """

    def __init__(self) -> None:
        self.open = True
        self.failed = False
        self._sizes: deque[tuple[int, bool]] = deque()
        self._bytes = 0
        self._next_known = False

    def full_after(self, size: int, *, discards: bool) -> bool:
        self._sizes.append((size, discards))
        self._bytes += size
        self.open = len(self._sizes) < WINDOW_STATEMENTS and self._bytes < WINDOW_BYTES
        return not self.open

    @property
    def drops(self) -> bool:
        """Whether the rows of the command that is answered now are dropped."""
        return bool(self._sizes) and self._sizes[0][1]

    def drops_next(self) -> bool:
        """Whether the rows of the next answer are dropped; said once for each command."""
        if self.failed or self._next_known or not self._sizes:
            return False
        self._next_known = True
        return self._sizes[0][1]

    def answered(self) -> bool:
        """Count an answer; whether its rows were dropped."""
        self._next_known = discarded = False
        if self._sizes:  # An error may come at the Sync itself, when every command is answered.
            size, discarded = self._sizes.popleft()
            self._bytes -= size
        if len(self._sizes) <= WINDOW_STATEMENTS // 2 and self._bytes <= WINDOW_BYTES // 2:
            self.open = True
        return discarded


def _send(pgconn: PGconn, command: Command) -> int:
    text = command.sql.encode()
    params = [None if value is None else value.encode() for value in command.params]
    pgconn.send_query_params(text, params, result_format=_TEXT if command.discards else _BINARY)
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


def _result(result: PGresult, single: Sequence[PGresult] = ()) -> Result:
    """An answer as values; `single` are its rows that came one by one before it."""
    columns = tuple((result.fname(i) or b"").decode() for i in range(result.nfields))
    types = tuple(result.ftype(i) for i in range(result.nfields))
    rows: list[tuple[Any, ...]] = []
    for part in (*single, result):
        if not part.ntuples:
            continue
        transformer = Transformer(_LOADERS)
        transformer.set_pgresult(part)
        try:
            rows += transformer.load_rows(0, part.ntuples, tuple)
        except (DataError, UnicodeDecodeError) as error:
            raise DatabaseError(f"the server's answer cannot be read: {error}") from error
    return Result(
        columns=columns,
        types=types,
        rows=rows,
        count=result.command_tuples or 0,
        tag=(result.command_status or b"").decode(),
    )


def _tag(result: PGresult) -> Result:
    """The answer to a command whose rows were dropped."""
    tag = (result.command_status or b"").decode(errors="replace")
    return Result((), (), [], result.command_tuples or 0, tag)


class _Moment(TimestamptzBinaryLoader):
    """Moments; one that Python has no value for (`infinity`, BC) is read as None."""

    def load(self, data: Any) -> Any:
        try:
            return super().load(data)
        except DataError:
            return None


class _Loaders:
    """How our own rows are read."""

    def __init__(self) -> None:
        self.connection = None
        self.adapters = AdaptersMap(psycopg.adapters)
        self.adapters.register_loader("timestamptz", _Moment)


_LOADERS = _Loaders()
_TEXT, _BINARY = 0, 1

#: Severities with which a server ends the connection.
#: https://www.postgresql.org/docs/current/protocol-error-fields.html
ENDING = ("FATAL", "PANIC")
#: CockroachDB answers these for what it does not know the outcome of, or while it shuts down.
#: https://www.cockroachlabs.com/docs/stable/common-errors
_OPEN = frozenset({"40003", "57P01", "57P02", "57P03"})


def database_error(pgconn: PGconn, result: PGresult) -> DatabaseError:
    """The server's error as ours; one that ends the connection, or is not an answer, as
    `ConnectionLost`.
    """

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
    severity = said(DiagnosticField.SEVERITY_NONLOCALIZED) or said(DiagnosticField.SEVERITY)
    is_cockroachdb = pgconn.parameter_status(b"crdb_version") is not None
    if severity in ENDING:
        return ConnectionLost(f"the server ended the connection: {message} ({sqlstate})")
    if is_cockroachdb and sqlstate in _OPEN:
        return ConnectionLost(f"{message} ({sqlstate})")
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
