"""What `make demo` shows: the scripts of this project applied, listed, rolled back and fixed.

Every command is one that you could type yourself. Without DATABASE_URL it starts a server, and
leaves nothing of it behind. With --serve the page stays up until Ctrl-C.
"""

# The folder of a program is on Python's path when it runs, not when mypy reads it.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from html.parser import HTMLParser
from pathlib import Path

from fleet_server import started

HERE = Path(__file__).resolve().parent
DEADLINE = 120.0

FAULTY = """\
-- A phone number belongs to one rider. Two riders share one, so this fails.
CREATE UNIQUE INDEX riders_by_phone ON riders (phone);

-- DOWN
DROP INDEX riders_by_phone;
"""
REPAIRED = FAULTY.replace(
    "CREATE UNIQUE INDEX",
    "DELETE FROM riders WHERE name = 'Ada; again';\n\nCREATE UNIQUE INDEX",
).replace("Two riders share one, so this fails.", "The second Ada goes first.")


PINGS = """\
CREATE TABLE pings (id INT8 PRIMARY KEY, battery INT8 NOT NULL);

INSERT INTO pings SELECT n, 50 FROM generate_series(1, 2500) AS numbers (n);

-- DOWN
DROP TABLE pings;
"""
BATCHED = """\
-- A row that is changed twice would show: the statement adds to what is there.
-- manticore: batch=500 pause=300ms
UPDATE pings SET battery = battery + 1;

-- Divides by zero unless each row was changed exactly once.
SELECT 1 / (CASE WHEN min(battery) = 51 AND max(battery) = 51 THEN 1 ELSE 0 END) FROM pings;

-- DOWN
"""


class UnexpectedExit(Exception):
    """A command ended otherwise than the demo says it does."""


def say(text: str) -> None:
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def manage(*arguments: str, exits: int = 0) -> None:
    """Run one of manage.py's commands, shown as you would type it."""
    shown = " ".join(f'"{part}"' if " " in part else part for part in arguments)
    print(f"$ python manage.py {shown}", flush=True)
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=HERE, stderr=subprocess.STDOUT, check=False)
    if exits:
        print(f"(exit code {done.returncode})", flush=True)
    if done.returncode != exits:
        raise UnexpectedExit(
            f"manage.py {shown} exited with {done.returncode}; {exits} was expected."
        )


def stop_in_the_middle(windows: int) -> None:
    """Migrate, and press Ctrl-C when a statement in batches has done so many windows."""
    command = [sys.executable, "manage.py", "manticore_migrate", "--json"]
    print(f"$ python {' '.join(command[1:])}", flush=True)
    stopped = False
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout or ():
            event = json.loads(line)
            if event["event"] != "batch_progress":
                continue
            shown = {key: event[key] for key in ("event", "windows", "rows", "position")}
            print(json.dumps(shown), flush=True)
            if event["windows"] == windows and not stopped:
                stopped = True
                print("^C", flush=True)
                run.send_signal(signal.SIGINT)
    print(f"(exit code {run.returncode})", flush=True)
    if run.returncode != 130:
        raise UnexpectedExit(f"The run exited with {run.returncode}; 130 was expected.")


class Cells(HTMLParser):
    """The text of a page's table cells, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        if tag == "tr":
            self.rows.append([])
        self._inside = tag in ("td", "th")
        if self._inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


@contextmanager
def running_site() -> Iterator[str]:
    """Django's development server on a free port; ended afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    print(f"$ python {' '.join(command[1:])}", flush=True)
    with tempfile.TemporaryFile() as log:
        site = subprocess.Popen(command, cwd=HERE, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            site.terminate()
            site.wait()


def fetch(url: str) -> str:
    """The page, as soon as the site answers."""
    give_up = time.monotonic() + DEADLINE
    while True:
        try:
            with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own loopback URL
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise UnexpectedExit(f"{url} answered {error.code}.") from error
        except urllib.error.URLError as error:
            if time.monotonic() > give_up:
                raise UnexpectedExit(f"{url} does not answer: {error.reason}.") from error
            time.sleep(0.05)


def show_page(*, stay: bool) -> None:
    """Fetch the page and print the rows of its table."""
    with running_site() as url:
        cells = Cells()
        cells.feed(fetch(url))
        widths = [max(map(len, column)) for column in zip(*cells.rows, strict=True)]
        for row in cells.rows[:6]:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print(f"  {line}".rstrip())
        if len(cells.rows) != 13:
            raise UnexpectedExit(f"{url} lists {len(cells.rows) - 1} rides; 12 were expected.")
        if stay:
            say(f"The page: {url} (Ctrl-C ends it)")
            while True:
                time.sleep(3600)


def tour(scripts: Path, *, serve: bool) -> None:
    """The whole story."""
    say("Seven SQL scripts, none applied yet")
    manage("manticore_showmigrations")
    say("The plan; nothing is sent")
    manage("manticore_migrate", "--plan")
    say("Do it")
    manage("manticore_migrate")
    say("The site reads these tables through unmanaged Django models")
    show_page(stay=False)
    say("Roll the newest one back, look, and apply it again")
    manage("manticore_rollback", "--noinput")
    manage("manticore_showmigrations")
    manage("manticore_migrate")
    say("A script that fails: two riders share a phone number")
    script = scripts / "V8__one_rider_per_phone.sql"
    script.write_text(FAULTY)
    print(f"$ cat {script.name}\n{FAULTY}", flush=True)
    say("The linter reads it, and asks the data: known before it runs")
    manage("manticore_lint", "--live", exits=1)
    say("Run it nevertheless")
    manage("manticore_migrate", exits=4)
    say("The ledger lists only what is applied. Fix the file, and run the same command again")
    script.write_text(REPAIRED)
    manage("manticore_migrate")
    manage("manticore_showmigrations")
    say("A large table in batches, stopped in the middle; each event is a line of JSON")
    (scripts / "V9__pings.sql").write_text(PINGS)
    (scripts / "V10__charge.sql").write_text(BATCHED)
    print(f"$ cat V10__charge.sql\n{BATCHED}", flush=True)
    stop_in_the_middle(2)
    say("It continues after its last window: each row is changed exactly once")
    manage("manticore_showmigrations")
    manage("manticore_migrate")
    say("Revert everything: every script has a down section")
    manage("manticore_migrate", "zero", "--noinput")
    if serve:
        say("And up again, for you to look at")
        manage("manticore_migrate")
        show_page(stay=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="keep the page up until Ctrl-C")
    serve = parser.parse_args().serve
    # Asked to end, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="scooters-") as folder:
        scripts = Path(shutil.copytree(HERE / "migrations_sql", Path(folder) / "migrations_sql"))
        os.environ["SCRIPTS_DIR"] = str(scripts)
        with nullcontext() if "DATABASE_URL" in os.environ else started() as server:
            where = server.description if server else "the one that DATABASE_URL names"
            print(f"Server: {where}", flush=True)
            try:
                tour(scripts, serve=serve)
            except UnexpectedExit as error:
                print(f"\nThe demo stops here: {error}", file=sys.stderr)
                return 1
            except KeyboardInterrupt:
                return 0 if serve else 130
    kept = " but two empty tables in your database" if "DATABASE_URL" in os.environ else ""
    say(f"Done in {time.monotonic() - began:.0f} s; nothing is left behind{kept}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
