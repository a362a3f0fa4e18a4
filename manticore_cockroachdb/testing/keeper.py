"""The parent's side of the watchdog: what a test server needs of the operating system.

Everything a server does to this machine (its folder, its processes, its user) goes through a
`Keeper`, so that one place answers for leaving nothing behind. It knows nothing of any server.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

from manticore_cockroachdb.errors import ConnectionFailed

_FOREIGN_VARIABLES = ("PG", "LC_", "LANG", "COCKROACH_")  # They change what a server does.


@dataclass(frozen=True, slots=True)
class User:
    """The user of the operating system that programs are run as."""

    name: str
    uid: int
    gid: int

    def reaches(self, path: Path) -> bool:
        """Whether the permission bits let this user read `path` (and enter it, if a folder).

        Access lists are not looked at: where they allow more, the answer is a needless no.
        """
        path = path.resolve()
        return all(self._may(folder, 0o1) for folder in path.parents) and self._may(
            path, 0o5 if path.is_dir() else 0o4
        )

    def _may(self, path: Path, wanted: int) -> bool:
        status = path.stat()
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        return (status.st_mode >> shift) & wanted == wanted


def unprivileged_user() -> User | None:
    """The user `nobody` when this process is root's, else None: stay who you are."""
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415  # There is none on Windows.

    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise ConnectionFailed(
            "PostgreSQL refuses to run as root, and this machine has no user `nobody` to run it "
            "as. Run this as an ordinary user, or set the URL of another server."
        ) from None
    return User(nobody.pw_name, nobody.pw_uid, nobody.pw_gid)


class Keeper:
    """A temporary folder and the programs run in it; both are gone when it is closed.

    They are gone as well when this process ends in any other way, `kill -9` included: the folder
    and the programs belong to a separate watchdog process.

    Args:
        user: Who the programs run as, and who owns the folder; None means the user of this process.
        stop_signal: The name of the signal that ends a started program at once.
    """

    def __init__(self, user: User | None, stop_signal: str) -> None:
        self.user = user
        settings = {
            "below": str(_folder_for(user)),
            "uid": user and user.uid,
            "gid": user and user.gid,
            "stop_signal": stop_signal,
        }
        watchdog = Path(__file__).with_name("watchdog.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(watchdog), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(sys.executable).anchor,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._requests = cast(IO[str], self._process.stdin)
        self._answers = cast(IO[str], self._process.stdout)
        try:
            self.folder = Path(self._answer()["folder"])
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(self, command: Sequence[str | Path]) -> str:
        """Run a program to its end and return what it printed.

        Raises:
            ConnectionFailed: It could not be started or did not end well; says what it printed.
        """
        answer = self._ask({"run": [str(part) for part in command], "env": environment()})
        if answer["code"] != 0:
            raise ConnectionFailed(
                f"{command[0]} ended with code {answer['code']}:\n{answer['output'].rstrip()}"
            )
        return str(answer["output"])

    def start(self, command: Sequence[str | Path]) -> int:
        """Start a program that runs until the keeper is closed, and return its process id."""
        return int(
            self._ask({"start": [str(part) for part in command], "env": environment()})["pid"]
        )

    def ended(self) -> bool:
        """Whether the program started last has ended without being stopped."""
        return self._ask({"poll": True})["code"] is not None

    def log(self) -> str:
        """What the program started last has printed until now."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def write(self, name: str, text: str) -> Path:
        """Write a file that only the keeper's user can read, and return its path."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.gid)
        return path

    def close(self) -> None:
        """Stop what was started, remove the folder, and wait until both have happened."""
        self._requests.close()
        self._answers.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with contextlib.suppress(BrokenPipeError):  # The answer that does not come will tell.
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise ConnectionFailed(
                "The watchdog process of the test server ended unexpectedly. Is the folder for "
                f"temporary files ({tempfile.gettempdir()}) writable and not full?"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            who = "" if self.user is None else f" as the user {self.user.name}"
            raise ConnectionFailed(f"A program could not be started{who}: {answer['error']}.")
        return answer


def environment() -> dict[str, str]:
    """The variables that programs are run with: this process's, and the same C and UTC for all."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_VARIABLES)
    }
    # A server that lives for one test run has nothing to report to its vendor.
    return kept | {"LC_ALL": "C", "TZ": "UTC", "COCKROACH_SKIP_ENABLING_DIAGNOSTIC_REPORTING": "1"}


def _folder_for(user: User | None) -> Path:
    usual = Path(tempfile.gettempdir())
    if user is None or user.reaches(usual):
        return usual
    for folder in (Path("/tmp"), Path("/var/tmp")):  # noqa: S108  # mkdtemp makes a private one
        if folder.is_dir() and user.reaches(folder):
            return folder
    raise ConnectionFailed(
        f"The user {user.name}, as which the test server has to run, cannot reach the folder for "
        f"temporary files, {usual}. Set TMPDIR to one that every user can enter."
    )
