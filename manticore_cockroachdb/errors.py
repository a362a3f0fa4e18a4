"""Every error this package raises, in one tree.

A message says what happened, to which file, line, version or owner, and what to do next. The facts
in it are attributes, too. Neither contains passwords.

    ManticoreError
    ├── SettingsError             a parameter, URL or option is invalid
    ├── ConnectionFailed          no server, wrong password, no such host
    │   └── DatabaseMissing       the server is there, the database is not
    ├── DatabaseError             the server refused a statement; carries its SQLSTATE
    │   └── ConnectionLost        the answer to a statement never came: its outcome is unknown
    ├── FilesRefused              the folder or its files break a rule: all problems at once
    ├── GitFailed                 git cannot say which scripts are new
    ├── PlanRefused               files, ledger and target disagree: all problems at once
    │   └── PartiallyApplied              a script is partially applied and this verb does not finish it
    ├── LedgerRefused             the ledger's table belongs to another tool
    ├── LeaseError
    │   ├── LeaseTimeout          another runner held the lease for all of lock_timeout
    │   └── LeaseLost             the lease was lost: this runner's writes are rejected
    ├── MigrationFailed           a statement of a script failed; has script, line and cause
    │   ├── LockNotGranted        it did not get a lock in any attempt (PostgreSQL)
    │   └── JobFailed             its schema-change job failed or is paused
    ├── RehearsalRefused          a schema cannot be printed, compared or rehearsed
    └── OutcomeUnknown            the outcome of a statement could not be determined
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


class ManticoreError(Exception):
    """The base class: `except ManticoreError` catches everything this package raises."""


class SettingsError(ManticoreError):
    """A parameter, a URL or an option is invalid; nothing was sent to any server."""


class ConnectionFailed(ManticoreError):
    """No connection could be made."""


class DatabaseMissing(ConnectionFailed):
    """The server answers, but the database does not exist on it.

    Attributes:
        database: The name of the database.
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
        position: Character position (from 1) of the error in the statement, if the server reported it.
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
    """The base of the errors that report every problem at once."""

    def __init__(self, headline: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            first = str(self.problems[0])
            super().__init__(f"{first}{'' if first.endswith('.') else '.'} {headline}.")
        else:
            lines = "".join(f"\n  - {problem}" for problem in self.problems)
            super().__init__(f"{len(self.problems)} problems. {headline}:{lines}")


class FilesRefused(_Problems):
    """The migrations folder or its files break a rule; no statement was run.

    Attributes:
        problems: Every `Problem` found, in the order of the files.
    """


class GitFailed(ManticoreError):
    """git is not installed, the folder is not in a repository, or the revision is unknown."""


class PlanRefused(_Problems):
    """Files, ledger and target disagree; no statement was run.

    Attributes:
        problems: Every `Problem` found, by version.
    """


class PartiallyApplied(PlanRefused):
    """A script is partially applied or reverted, and the method that was called cannot finish it.

    Attributes:
        version: The script's version; 0 for a repeatable script.
        direction: "up": it is partially applied; "down": partially reverted.
    """

    def __init__(self, problem: Problem, *, version: int, direction: str) -> None:
        super().__init__("Nothing was run", [problem])
        self.version = version
        self.direction = direction


class LedgerRefused(ManticoreError):
    """A table has the ledger's name but not its columns: it belongs to another tool."""


class LeaseError(ManticoreError):
    """The lease could not be acquired, or was lost."""


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
    """The lease expired or was broken, and another runner may hold it; this one wrote nothing more."""


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
    """A schema-change job failed, or is paused.

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
    """Whether a statement took effect cannot be known, and it could take effect twice.

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
