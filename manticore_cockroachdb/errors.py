"""Every error this package raises, in one tree.

A message says what happened, to which file, line, version or owner, and what to do next; the facts
it was made of stand beside it as attributes. Passwords are never part of either.

    ManticoreError
    ├── SettingsError             a parameter, URL or option makes no sense
    ├── ConnectionFailed          no server, wrong password, no such host
    │   └── DatabaseMissing       the server is there, the database is not
    ├── DatabaseError             the server refused a statement; carries its SQLSTATE
    │   └── ConnectionLost        the answer to a statement never came: its outcome is unknown
    ├── FilesRefused              the folder or its files break a rule: all problems at once
    ├── GitFailed                 git cannot say which scripts are new
    ├── PlanRefused               files, ledger and target do not fit together: all problems at once
    │   └── PartiallyApplied              a script is partially applied and this verb does not finish it
    ├── LedgerRefused             the ledger's table is someone else's
    ├── LeaseError
    │   ├── LeaseTimeout          another runner held the lease for as long as we were ready to wait
    │   └── LeaseLost             the lease went to another runner: this one may write nothing more
    ├── MigrationFailed           a statement of a script failed; script, line and cause stand in it
    │   ├── LockNotGranted        it did not get a lock, however often it was tried (PostgreSQL)
    │   └── JobFailed             its schema-change job ended badly or stands still (paused)
    ├── RehearsalRefused          a schema cannot be printed, compared or rehearsed
    └── OutcomeUnknown            whether a statement took effect cannot be known: a person must say
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


class ManticoreError(Exception):
    """The root: `except ManticoreError` catches everything this package raises."""


class SettingsError(ManticoreError):
    """A parameter, a URL or an option makes no sense; nothing was sent to any server."""


class ConnectionFailed(ManticoreError):
    """No connection could be made."""


class DatabaseMissing(ConnectionFailed):
    """The server answers, but the database does not exist on it.

    Attributes:
        database: The name that was asked for.
    """

    def __init__(self, message: str, *, database: str) -> None:
        super().__init__(message)
        self.database = database


class DatabaseError(ManticoreError):
    """The server refused a statement.

    Attributes:
        sqlstate: The five characters of the server's error code, or None where it gave none.
        detail: The server's DETAIL field, if any.
        hint: The server's HINT field, if any.
        position: Character position (from 1) of the error in the statement, if the server told it.
    """

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str | None = None,
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint
        self.position = position


class ConnectionLost(DatabaseError):
    """The connection ended before the server's answer came: what was sent may have taken effect."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file, the folder, or the plan.

    Attributes:
        message: What is wrong.
        path: The file it is about, if it is about one.
        line: Line in that file, from 1, where one can be named.
        version: The script's version, where the problem is about one.
        hint: What to do about it; "" where the message leaves nothing to add.
    """

    message: str
    path: Path | None = None
    line: int | None = None
    version: int | None = None
    hint: str = field(default="", kw_only=True)

    @property
    def located(self) -> str:
        """The message with its file and line in front, without the hint."""
        if self.path is None:
            return self.message
        where = self.path.name if self.line is None else f"{self.path.name}:{self.line}"
        return f"{where}: {self.message}"

    def __str__(self) -> str:
        if not self.hint:
            return self.located
        return f"{self.located}{' ' if self.message.endswith('.') else '; '}{self.hint}"


class _Problems(ManticoreError):
    """Shared by the errors that report every problem at once."""

    def __init__(self, headline: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            super().__init__(f"{headline}: {self.problems[0]}")
        else:
            lines = "".join(f"\n  - {problem}" for problem in self.problems)
            super().__init__(f"{headline} ({len(self.problems)} problems):{lines}")


class FilesRefused(_Problems):
    """The migrations folder or its files break a rule; no statement was run.

    Attributes:
        problems: Every `Problem` found, in the order of the files.
    """


class GitFailed(ManticoreError):
    """git is not there, knows no repository here, or does not know the revision."""


class PlanRefused(_Problems):
    """Files, ledger and target do not fit together; no statement was run.

    Attributes:
        problems: Every `Problem` found, by version.
    """


class PartiallyApplied(PlanRefused):
    """A script is partially applied or reverted, and the verb that was called does not finish it.

    Attributes:
        version: The script's version; 0 for a repeatable script.
        direction: "up": it is partially applied; "down": partially reverted.
    """

    def __init__(self, problem: Problem, *, version: int, direction: str) -> None:
        super().__init__("Refused", [problem])
        self.version = version
        self.direction = direction


class LedgerRefused(ManticoreError):
    """A table has the ledger's name but not its columns: it is someone else's."""


class LeaseError(ManticoreError):
    """The right to run could not be had, or was lost."""


class LeaseTimeout(LeaseError):
    """Another runner kept the lease for longer than `lock_timeout`.

    Attributes:
        owner: Who holds it (host, pid and a random part), as far as it could be read.
        waited: Seconds waited.
    """

    def __init__(self, message: str, *, owner: str | None, waited: float) -> None:
        super().__init__(message)
        self.owner = owner
        self.waited = waited


class LeaseLost(LeaseError):
    """The lease ran out or was broken and may be another runner's now; this one wrote nothing more."""


class MigrationFailed(ManticoreError):
    """A statement of a script failed. The server's own error is the `__cause__`.

    Attributes:
        version: The script's version; 0 for a repeatable script.
        path: The script's file.
        line: The line of the statement in that file.
        sqlstate: The server's error code, if it gave one.
    """

    def __init__(
        self,
        message: str,
        *,
        version: int,
        path: Path,
        line: int | None = None,
        sqlstate: str | None = None,
    ) -> None:
        super().__init__(message)
        self.version = version
        self.path = path
        self.line = line
        self.sqlstate = sqlstate


class LockNotGranted(MigrationFailed):
    """A statement did not get its lock, however often it was tried; nothing of it took effect.

    Attributes:
        blockers: The sessions that were in front of it when it was last tried, each in words.
    """

    def __init__(
        self,
        message: str,
        *,
        version: int,
        path: Path,
        line: int | None = None,
        sqlstate: str | None = None,
        blockers: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, version=version, path=path, line=line, sqlstate=sqlstate)
        self.blockers = blockers


class JobFailed(MigrationFailed):
    """A schema-change job ended badly, or stands still and needs a person.

    Attributes:
        job_id: The job's id, as in SHOW JOBS.
        status: Its status, as in SHOW JOBS.
    """

    def __init__(
        self,
        message: str,
        *,
        version: int,
        path: Path,
        line: int | None = None,
        sqlstate: str | None = None,
        job_id: int,
        status: str,
    ) -> None:
        super().__init__(message, version=version, path=path, line=line, sqlstate=sqlstate)
        self.job_id = job_id
        self.status = status


class RehearsalRefused(ManticoreError):
    """A schema cannot be printed, compared or rehearsed; the target was not touched."""


class OutcomeUnknown(ManticoreError):
    """Whether a statement took effect cannot be known, and sending it again could do it twice.

    Attributes:
        version: The script's version; 0 for a repeatable script.
        path: The script's file.
        line: The line of the statement in that file.
    """

    def __init__(self, message: str, *, version: int, path: Path, line: int | None = None) -> None:
        super().__init__(message)
        self.version = version
        self.path = path
        self.line = line
