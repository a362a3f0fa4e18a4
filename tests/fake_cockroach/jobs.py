"""The schema-change jobs the fake CockroachDB claims to have: a script, and how they look in SQL.

Nothing here changes alone: a job moves when it is looked at, if its states were given as a
list, or when the test moves it. Knows no sockets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from manticore_cockroachdb.testing.proxy.protocol import ServerError
from manticore_cockroachdb.testing.proxy.rules import Match, matcher

from .descriptions import descriptions

FINAL = frozenset({"succeeded", "failed", "canceled", "revert-failed"})
_SHOWN_WIDTH = 100  # SHOW JOBS cuts descriptions there; SHOW JOB <id> gives them whole
_EPOCH = datetime.fromisoformat(
    "2015-01-01"
)  # an id is the time since then in steps of 10 µs, then 15 bits


@dataclass(frozen=True, slots=True)
class State:
    """The state of a job at one look."""

    status: str
    running_status: str | None = None
    fraction_completed: float = 0.0
    error: str = ""


StateLike = State | str


class Job:
    """One job; the test reads and moves it from any thread."""

    def __init__(
        self,
        job_id: int,
        description: str,
        states: Sequence[StateLike],
        *,
        job_type: str,
        user_name: str,
        created: datetime,
    ) -> None:
        self.job_id = job_id
        self.description = description
        self.job_type = job_type
        self.user_name = user_name
        self.created = created
        self.finished: datetime | None = None
        self.looks = 0
        self._states = [_state(each) for each in states]
        self._enter()

    @property
    def state(self) -> State:
        """How it stands now."""
        return self._states[0]

    @property
    def is_final(self) -> bool:
        """Whether it has ended, well or badly."""
        return self.state.status in FINAL

    def to(
        self,
        status: str,
        *,
        running_status: str | None = None,
        fraction_completed: float = 0.0,
        error: str = "",
    ) -> None:
        """Move the job; what is left of its script is dropped."""
        self._states = [State(status, running_status, fraction_completed, error)]
        self._enter()

    def advance(self) -> None:
        """Go on to the next state of the script, if there is one: it was looked at."""
        self.looks += 1
        if len(self._states) > 1:
            del self._states[0]
            self._enter()

    def _enter(self) -> None:
        if self.is_final:
            self.finished = self.finished or _now()
        else:
            self.finished = None


class Attachment:
    """Statements that match start a job; how that job goes is the script's or the test's."""

    def __init__(
        self,
        match: Match,
        start: Callable[[str, str, datetime | None], list[Job]],
        *,
        waits: bool,
        notice: bool,
        sqlstate: str,
    ) -> None:
        self.matches = matcher(match)
        self.waits = waits
        self.notice = notice
        self.jobs: list[Job] = []
        self._sqlstate = sqlstate
        self._start = start
        self._started = threading.Event()

    def start(self, sql: str, database: str, began: datetime | None = None) -> list[Job]:
        """Start the jobs of this statement: it is about to reach the server.

        Args:
            sql: The statement.
            database: Its database.
            began: When its explicit transaction began, in UTC: the jobs carry that time.
        """
        jobs = self._start(sql, database, began)
        self.jobs += jobs
        self._started.set()
        return jobs

    def failure_of(self, job: Job) -> ServerError | None:
        """What the waiting client gets when the job has ended badly."""
        status = job.state.status
        if status == "canceled":
            return ServerError("XXUUU", "job canceled by user")
        if status in FINAL and status != "succeeded":
            return ServerError(self._sqlstate, job.state.error or f"job {job.job_id}: {status}")
        return None

    def wait(self, timeout: float = 60) -> Job:
        """Wait for the first job to start, and give it."""
        if not self._started.wait(timeout):
            raise AssertionError(f"no statement started this job in {timeout} s")
        return self.jobs[0]


class Jobs:
    """All jobs of the fake CockroachDB, oldest first: of every database, as SHOW JOBS shows them.

    Attributes:
        made_by_all: Whether each schema statement makes the jobs that it makes on CockroachDB, unless the
            test attached others to it; they succeed at once.
    """

    def __init__(self, user_name: str, *, shows_started: bool, abridges: bool) -> None:
        self.made_by_all = False
        self._user_name = user_name
        self._shows_started = shows_started
        self._abridges = abridges  # as since 24.1: times to the second, long descriptions cut
        self._lock = threading.Lock()
        self._jobs: list[Job] = []
        self._attachments: list[Attachment] = []

    def add(
        self,
        description: str,
        status: StateLike | Sequence[StateLike] = "running",
        *,
        job_id: int | None = None,
        job_type: str = "SCHEMA CHANGE",
        user_name: str | None = None,
        created: datetime | None = None,
    ) -> Job:
        """Add a job.

        Args:
            description: The normalized statement, as CockroachDB would tell it.
            status: How it stands; of several, each look (SHOW JOBS, SHOW JOB) moves to the next.
            job_id: Its id; by default one that holds the time, as CockroachDB makes it.
            job_type: As in SHOW JOBS.
            user_name: By default the user of the fake CockroachDB's URL.
            created: UTC without zone; by default now.
        """
        states = [status] if isinstance(status, (str, State)) else list(status)
        made = created or _now()
        with self._lock:
            job = Job(
                self._free_id(made) if job_id is None else job_id,
                description,
                states,
                job_type=job_type,
                user_name=user_name or self._user_name,
                created=made,
            )
            self._jobs.append(job)
        return job

    def on(
        self,
        match: Match,
        status: StateLike | Sequence[StateLike] = "running",
        *,
        description: str | None = None,
        waits: bool = True,
        notice: bool = False,
        sqlstate: str = "XXUUU",
        job_type: str = "SCHEMA CHANGE",
    ) -> Attachment:
        """Let every matching statement start a job, from now on.

        The statement itself runs upstream at once. If the server refuses it, the job has failed
        with that error; if the job ends badly, the waiting client gets that error (what the statement
        did upstream is the test's to revert, before it moves the job).

        Args:
            match: The statements: a pattern, or a predicate on the text.
            status: The job's state, or the states it goes through, one per look.
            description: By default what CockroachDB says of the statement in its database; a statement
                that makes no job there has its text on one line.
            waits: Whether the answer is withheld until the job is in a final state.
            notice: Whether the client gets the job's id first, as from 26.1 on.
            sqlstate: The code a waiting client gets when the job fails.
            job_type: As in SHOW JOBS.
        """

        def start(sql: str, database: str, began: datetime | None) -> list[Job]:
            folded = " ".join(sql.split()).rstrip("; ")
            said = (description,) if description else descriptions(sql, database) or (folded,)
            return [self.add(each, status, job_type=job_type, created=began) for each in said]

        attachment = Attachment(match, start, waits=waits, notice=notice, sqlstate=sqlstate)
        with self._lock:
            self._attachments.append(attachment)
        return attachment

    def attached_to(self, sql: str) -> list[Attachment]:
        """The attachments this statement shall start."""
        with self._lock:
            attached = [each for each in self._attachments if each.matches(sql)]
        if attached or not self.made_by_all or not descriptions(sql, ""):
            return attached

        def start(sql: str, database: str, began: datetime | None) -> list[Job]:
            found = descriptions(sql, database)
            return [self.add(each, "succeeded", created=began) for each in found]

        return [Attachment(sql, start, waits=False, notice=False, sqlstate="XXUUU")]

    def clear(self) -> None:
        """Forget all jobs and attachments."""
        with self._lock:
            self._jobs.clear()
            self._attachments.clear()

    def look(self, job_id: int | None = None, *, whole: bool = False, moves: bool = True) -> str:
        """A SELECT of the jobs as they stand; each goes on to its next state by it.

        Args:
            job_id: The only job that is looked at; the SELECT holds all the same.
            whole: Whether descriptions are given uncut.
            moves: Whether jobs continue by it.
        """
        with self._lock:
            rows = [self._row(job, whole) for job in self._jobs]
            for job in self._jobs:
                if moves and job_id in (None, job.job_id):
                    job.advance()
        columns = {name: kind for name, kind in _COLUMNS.items() if self._shown(name)}
        return select(columns, rows)

    def _free_id(self, made: datetime) -> int:
        ticks = (made - _EPOCH) // timedelta(microseconds=10)
        taken = {job.job_id for job in self._jobs}
        while (ticks << 15) + 1 in taken:
            ticks += 1
        return (ticks << 15) + 1

    def _shown(self, column: str) -> bool:
        return column != "started" or self._shows_started

    def _time(self, moment: datetime | None) -> datetime | None:
        return moment.replace(microsecond=0) if moment and self._abridges else moment

    def _described(self, job: Job) -> str:
        said = job.description
        if not self._abridges:
            return said[:_SHOWN_WIDTH]
        return said if len(said) <= 70 else f"{said[:59]} … {said[-7:]}"

    def _row(self, job: Job, whole: bool) -> list[object]:
        state = job.state
        row: dict[str, object] = {
            "job_id": job.job_id,
            "job_type": job.job_type,
            "description": job.description if whole else self._described(job),
            "statement": "",
            "user_name": job.user_name,
            "status": state.status,
            "running_status": state.running_status,
            "created": self._time(job.created),
            "started": self._time(job.created),
            "finished": self._time(job.finished),
            "modified": self._time(_now()),
            "fraction_completed": 1.0 if state.status == "succeeded" else state.fraction_completed,
            "error": state.error,
            "coordinator_id": 1,
        }
        return [value for name, value in row.items() if self._shown(name)]


_COLUMNS = {
    "job_id": "int8",
    "job_type": "text",
    "description": "text",
    "statement": "text",
    "user_name": "text",
    "status": "text",
    "running_status": "text",
    "created": "timestamp",
    "started": "timestamp",
    "finished": "timestamp",
    "modified": "timestamp",
    "fraction_completed": "float8",
    "error": "text",
    "coordinator_id": "int8",
}


def select(columns: dict[str, str], rows: Iterable[Sequence[object]]) -> str:
    """A SELECT that gives these rows: column names with their types, then the values."""
    kinds = list(columns.values())
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(
        "(" + ", ".join(f"{literal(v)}::{k}" for v, k in zip(row, kinds, strict=True)) + ")"
        for row in rows
    )
    if values:
        return f"SELECT * FROM (VALUES {values}) AS scripted({names})"
    nothing = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
    return f"SELECT {nothing} WHERE false"


def literal(value: object) -> str:
    """A value as an SQL literal without a type."""
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def _state(given: StateLike) -> State:
    return State(given) if isinstance(given, str) else given


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
