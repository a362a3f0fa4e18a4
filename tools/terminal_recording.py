"""Records a terminal for the README: `docs/assets/terminal.svg`, an animated picture of a real run.

    python tools/terminal_recording.py

A migration changes a million rows in batches. Its process is killed in the middle, and the same command
is run again. What is drawn is what the two commands wrote to a terminal, when they wrote it; only the
typing is added. Needs an operating system with pseudo-terminals, and starts its own server.
"""

from __future__ import annotations

import fcntl
import html
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from manticore_cockroachdb import Database, Migration
from manticore_cockroachdb.testing import server

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "assets" / "terminal.svg"
COLUMNS, ROWS = 100, 18
ROW_COUNT = 1_000_000

SCRIPTS = {
    "V1__create_rides": "CREATE TABLE rides (id INT8 PRIMARY KEY, price_cents INT8);\n"
    f"INSERT INTO rides (id) SELECT i FROM generate_series(1, {ROW_COUNT}) AS i;\n"
    "-- DOWN\nDROP TABLE rides;\n",
    "V2__ride_prices": "-- manticore: batch=20000\n"
    "UPDATE rides SET price_cents = 150 WHERE price_cents IS NULL;\n"
    "-- DOWN\nUPDATE rides SET price_cents = NULL;\n",
}
SETTINGS = """
import os
from pathlib import Path
BASE_DIR = Path(__file__).parent
SECRET_KEY = "x"
USE_TZ = True
INSTALLED_APPS = ["django_manticore"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}}}}
MANTICORE = {{"default": {{"MIGRATIONS_DIR": BASE_DIR / "migrations_sql", "LEASE": 4}}}}
"""
MANAGE = """
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""
COMMAND = "python manage.py manticore_migrate"

#: The colors of the picture: what is painted behind, plain text, and SGR 31 to 37.
BACKGROUND, FOREGROUND = "#161b22", "#e6edf3"
COLORS = {
    31: "#ff7b72",
    32: "#7ee787",
    33: "#f2cc60",
    34: "#79c0ff",
    35: "#d2a8ff",
    36: "#76e3ea",
    37: "#e6edf3",
    90: "#8b949e",
}


@dataclass(frozen=True)
class Cell:
    """One character of the screen, and how it is drawn."""

    char: str = " "
    color: str = FOREGROUND
    bold: bool = False


@dataclass
class Screen:
    """As much of a terminal as Django and rich write to: text, colors, cursor up, erased lines."""

    lines: list[list[Cell]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    color: str = FOREGROUND
    bold: bool = False

    def write(self, text: str) -> None:
        """Take what a program wrote."""
        for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", text):
            if part.startswith("\x1b["):
                self._control(part[2:-1], part[-1])
            elif part == "\r":
                self.column = 0
            elif part == "\n":
                self.row, self.column = self.row + 1, 0
                if self.row == len(self.lines):
                    self.lines.append([])
            else:
                for char in part:
                    self._put(char)

    def _put(self, char: str) -> None:
        if self.column >= COLUMNS:
            self.write("\n")
        line = self.lines[self.row]
        line += [Cell()] * (self.column + 1 - len(line))
        line[self.column] = Cell(char, self.color, self.bold)
        self.column += 1

    def _control(self, given: str, final: str) -> None:
        number = int(given) if given.isdigit() else 1
        if final == "A":
            self.row = max(0, self.row - number)
        elif final == "K":
            self.lines[self.row] = [] if given == "2" else self.lines[self.row][: self.column]
        elif final == "m":
            for code in map(int, given.split(";") if given else ["0"]):
                if code in COLORS:
                    self.color = COLORS[code]
                elif code == 1:
                    self.bold = True
                elif code in (0, 39):
                    self.color, self.bold = FOREGROUND, self.bold and code == 39

    def shown(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows that a window of this height shows."""
        return tuple(tuple(line) for line in self.lines[-ROWS:])


@dataclass
class Recording:
    """A screen over time.

    Attributes:
        frames: When the screen changed, in seconds, and how it then looked.
    """

    screen: Screen = field(default_factory=Screen)
    frames: list[tuple[float, tuple[tuple[Cell, ...], ...]]] = field(default_factory=list)
    now: float = 0.0

    def write(self, text: str, wait: float = 0.0) -> None:
        """Show a text, after a pause."""
        self.now += wait
        self.screen.write(text)
        shown = self.screen.shown()
        if self.frames and self.now - self.frames[-1][0] < 0.1:
            self.frames[-1] = (self.frames[-1][0], shown)
        elif not self.frames or self.frames[-1][1] != shown:
            self.frames.append((self.now, shown))

    def type(self, text: str) -> None:
        """Show a prompt, and somebody who types."""
        self.write("\x1b[32m$\x1b[0m ", wait=0.6)
        for char in text:
            self.write(char, wait=0.035)
        self.write("\r\n", wait=0.3)


def main() -> int:
    """Record, draw, and write the picture; the exit code."""
    with tempfile.TemporaryDirectory() as name, server() as running:
        folder = Path(name)
        environment = _project(folder, running.new_database("shop"))
        recording = Recording()
        recording.type(COMMAND)
        for text, wait in _run(folder, environment, kill_after=b"windows, next"):
            recording.write(text, wait)
        recording.write("\r\nKilled\r\n", wait=0.2)
        recording.type(COMMAND)
        for text, wait in _run(folder, environment):
            recording.write(text, wait)
        recording.write("\x1b[32m$\x1b[0m ", wait=0.3)
    TARGET.write_text(svg(recording.frames, recording.now + 4), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(recording.frames)} frames, {recording.now:.0f} s")
    return 0


def _project(folder: Path, url: str) -> dict[str, str]:
    """A Django project whose first script is applied; the environment of its commands."""
    scripts = folder / "migrations_sql"
    scripts.mkdir()
    (folder / "settings.py").write_text(SETTINGS.replace("{{", "{").replace("}}", "}"))
    (folder / "manage.py").write_text(MANAGE)
    for name, text in SCRIPTS.items():
        (scripts / f"{name}.sql").write_text(text)
    with Database.from_url(url) as db:
        Migration(db, scripts).migrate(1)
        db.execute("ANALYZE rides")
    parts = conninfo_to_dict(url)
    return {
        **os.environ,
        "PGHOST": str(parts["host"]),
        "PGPORT": str(parts["port"]),
        "PGUSER": str(parts["user"]),
        "PGPASSWORD": str(parts.get("password", "")),
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm",
        "COLUMNS": str(COLUMNS),
        "LINES": str(ROWS),
    }


def _run(
    folder: Path, environment: dict[str, str], kill_after: bytes | None = None
) -> Iterator[tuple[str, float]]:
    """What the command writes to a terminal, and the seconds before each piece.

    Args:
        folder: The project.
        environment: Its environment.
        kill_after: Kill the process three seconds after it has written this.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *COMMAND.split()[1:]],
        cwd=folder,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    written, last, kill_at = b"", time.monotonic(), None
    while True:
        ready, _, _ = select.select([master], [], [], 0.05)
        now = time.monotonic()
        if ready:
            try:
                data = os.read(master, 65536)
            except OSError:  # the other end is closed
                data = b""
            if not data:
                break
            written += data
            yield data.decode("utf-8", "replace"), now - last
            last = now
        if kill_after and kill_at is None and kill_after in written:
            kill_at = now + 3
        if kill_at is not None and now > kill_at:
            process.send_signal(signal.SIGKILL)
            kill_at = None
            kill_after = None
    process.wait()
    os.close(master)


def svg(frames: list[tuple[float, tuple[tuple[Cell, ...], ...]]], length: float) -> str:
    """The frames as one animated picture.

    Each row is drawn once for every time it looks the same, and shown for that time. Where nothing moves
    (or should not: `prefers-reduced-motion`), the last frame is seen.
    """
    height, advance = 19, 8.43
    body: list[str] = []
    styles: list[str] = []
    for row in range(ROWS):
        spans: list[tuple[float, float, tuple[Cell, ...]]] = []
        for at, (begin, shown) in enumerate(frames):
            end = frames[at + 1][0] if at + 1 < len(frames) else length
            cells = shown[row] if row < len(shown) else ()
            if spans and spans[-1][2] == cells:
                spans[-1] = (spans[-1][0], end, cells)
            else:
                spans.append((begin, end, cells))
        for begin, end, cells in spans:
            text = _text(cells)
            if not text:
                continue
            number = len(body)
            is_last = end == length
            first, last = 100 * begin / length, 100 * end / length
            steps = f"0%{{visibility:{'visible' if first == 0 else 'hidden'}}}"
            steps += f"{first:.2f}%{{visibility:visible}}"
            steps += "" if is_last else f"{last:.2f}%{{visibility:hidden}}"
            styles.append(f"@keyframes k{number}{{{steps}}}#r{number}{{animation-name:k{number}}}")
            seen = "" if is_last else ' visibility="hidden"'
            body.append(f'<text id="r{number}" y="{58 + row * height}"{seen}>{text}</text>')
    width, tall = round(COLUMNS * advance) + 32, ROWS * height + 60
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {tall}" '
        f'width="{width}" height="{tall}" role="img">\n'
        "<title>A migration of a million rows is killed, and the next run continues where it "
        "stopped</title>\n"
        "<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        f"white-space:pre;fill:{FOREGROUND};animation:{length:.1f}s step-end infinite}}"
        ".b{font-weight:bold}" + "".join(styles) + "@media (prefers-reduced-motion:reduce)"
        "{text{animation:none}}</style>\n"
        f'<rect width="{width}" height="{tall}" rx="8" fill="{BACKGROUND}"/>\n'
        '<circle cx="20" cy="20" r="6" fill="#ff5f57"/><circle cx="40" cy="20" r="6" fill="#febc2e"/>'
        '<circle cx="60" cy="20" r="6" fill="#28c840"/>\n<g transform="translate(16 0)">\n'
        + "\n".join(body)
        + "\n</g>\n</svg>\n"
    )


def _text(cells: tuple[Cell, ...]) -> str:
    """A row's text, in pieces of one look each."""
    pieces: list[tuple[tuple[str, bool], str]] = []
    for cell in cells:
        look = (cell.color, cell.bold)
        if pieces and (pieces[-1][0] == look or cell.char == " "):
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + cell.char)
        else:
            pieces.append((look, cell.char))
    text = "".join(piece for _, piece in pieces)
    if not text.strip():
        return ""
    return "".join(
        html.escape(piece)
        if color == FOREGROUND and not bold
        else f'<tspan{" class=" + chr(34) + "b" + chr(34) if bold else ""} fill="{color}">'
        f"{html.escape(piece)}</tspan>"
        for (color, bold), piece in pieces
    ).rstrip()


if __name__ == "__main__":
    raise SystemExit(main())
