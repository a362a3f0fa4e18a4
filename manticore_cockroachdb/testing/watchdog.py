"""The process that outlives its parent just long enough to clean up after it.

It owns one temporary folder and the processes started below it. Its parent tells it what to run,
one JSON object per line on standard input, and gets one JSON object per line back. When that input
ends, for whatever reason (the parent closed it, crashed, or was killed with a signal nobody can
catch), everything started is stopped and the folder removed. It runs as a separate script, in
its own session, so that Ctrl-C in the parent's terminal does not reach it. It knows nothing of
servers, and imports only the standard library.

Requests: `{"run": [...]}` runs a program to its end and answers `{"code": n, "output": "..."}`;
`{"start": [...]}` starts one and answers `{"pid": n}`; `{"poll": true}` answers `{"code": n}`, or
null while the started one runs. A program that cannot be started at all: `{"error": "..."}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

STOPPING_SECONDS = 10.0
PARENT_POLL_SECONDS = 0.5
REMOVAL_POLL_SECONDS = 0.05


class Watchdog:
    """One folder, the processes below it, and the parent they belong to."""

    def __init__(self, folder: Path, uid: int | None, gid: int | None, stop_signal: str) -> None:
        self.folder = folder
        self.parent = os.getppid()
        self.credentials: dict[str, Any] = (
            {} if uid is None else {"user": uid, "group": gid, "extra_groups": []}
        )
        self.stop_signal = stop_signal
        self.requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.running: list[subprocess.Popen[bytes]] = []
        self.ending = threading.Event()

    def serve(self) -> None:
        """Answer requests until the parent is gone or says so, then leave nothing behind."""
        threading.Thread(target=self._read, daemon=True).start()
        if os.name == "posix":
            # A process forked by the parent holds a copy of the pipe: the end of the input alone
            # would tell of the parent's death only once that process has ended too.
            threading.Thread(target=self._watch_parent, daemon=True).start()
        try:
            self._say({"folder": str(self.folder)})
            while (request := self.requests.get()) is not None:
                self._say(self._answer(request))
        except BrokenPipeError:
            pass  # The parent is gone: there is nobody to answer.
        finally:
            self._clean_up()

    def end(self) -> None:
        """Make `serve` stop what runs, clean up, and return."""
        self.ending.set()
        self.requests.put(None)

    def _read(self) -> None:
        try:
            for line in sys.stdin:
                self.requests.put(json.loads(line))
        except ValueError:
            pass  # A request cut short: the parent was killed while it wrote it.
        finally:
            self.end()

    def _watch_parent(self) -> None:
        while os.getppid() == self.parent:
            time.sleep(PARENT_POLL_SECONDS)
        self.end()

    def _say(self, answer: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            if "run" in request:
                return self._run(request["run"], request["env"])
            if "start" in request:
                return {"pid": self._spawn(request["start"], request["env"]).pid}
            return {"code": self.running[-1].poll()}
        except OSError as error:
            return {"error": str(error)}

    def _run(self, command: list[str], env: dict[str, str]) -> dict[str, Any]:
        process = self._spawn(command, env)
        while not self.ending.is_set():
            try:
                code = process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            self.running.remove(process)
            return {"code": code, "output": self._log.read_text("utf-8", "replace")}
        return {"error": "the parent has ended"}

    def _spawn(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                command,
                env=env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self.credentials,
            )
        self.running.append(process)
        return process

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _clean_up(self) -> None:
        for process in self.running:
            self._stop(process)
        # A child of a killed server may write for a moment longer: remove until it stays removed.
        deadline = time.monotonic() + STOPPING_SECONDS
        while self.folder.exists() and time.monotonic() < deadline:
            shutil.rmtree(self.folder, ignore_errors=True)
            if self.folder.exists():
                time.sleep(REMOVAL_POLL_SECONDS)

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            return
        self._signal(process, self.stop_signal)
        try:
            process.wait(STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(process, "SIGKILL")
            process.wait()

    def _signal(self, process: subprocess.Popen[bytes], name: str) -> None:
        if os.name != "posix":
            process.kill()
            return
        with contextlib.suppress(ProcessLookupError):  # It may have ended a moment ago.
            os.killpg(process.pid, getattr(signal, name))


def main(arguments: list[str]) -> None:
    """Make the folder and serve: the arguments are one JSON object."""
    settings = json.loads(arguments[0])
    os.umask(0o077)
    folder = Path(tempfile.mkdtemp(prefix="manticore-", dir=settings["below"]))
    if settings["uid"] is not None:
        os.chown(folder, settings["uid"], settings["gid"])
    watchdog = Watchdog(folder, settings["uid"], settings["gid"], settings["stop_signal"])
    # Nobody but the parent and the end of the machine may end it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: watchdog.end())
    watchdog.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
