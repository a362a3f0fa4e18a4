"""Installs a wheel into an empty environment and runs the README's first five minutes with it.

    python tools/check_wheel.py dist/django_manticore_cockroachdb-0.1.0-py3-none-any.whl

Nothing of this checkout is on the new environment's path: what runs is what a user gets. The commands and
files are read from README.md, so that it is the README that is tried.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_READY = "Press Ctrl-C"


def main(wheel: Path) -> int:
    """Install, follow the README, compare; the exit code."""
    text = README.read_text(encoding="utf-8")
    section = text.partition("## Five minutes")[2].partition("\n## ")[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("PG", "PYTHON"))
        }
        work = folder / "work"
        work.mkdir()
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, f"{wheel}[server]"], check=True, env=environment, cwd=work)
        command = [str(python), "-m", "manticore_cockroachdb.testing"]
        with _server(command, environment, work) as exported:
            environment |= exported
            for language, title, block in _BLOCK.findall(section):
                if title:
                    path = work / title
                    path.parent.mkdir(exist_ok=True)
                    path.write_text(block, encoding="utf-8")
                elif language == "console":
                    _compare(block, python, environment, work)
    print(f"{wheel.name}: installs into an empty environment, and the README's commands work.")
    return 0


@contextmanager
def _server(
    command: list[str], environment: dict[str, str], folder: Path
) -> Iterator[dict[str, str]]:
    """The server of the README; the variables that it says to export."""
    with subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            lines: list[str] = []
            while not lines or not lines[-1].startswith(_READY):
                line = process.stdout.readline() if process.stdout else ""
                if not line:
                    raise SystemExit("The server did not start: " + "".join(lines))
                lines.append(line)
            exports = [shlex.split(line) for line in lines if line.startswith("    export ")]
            yield dict(words[1].split("=", 1) for words in exports)
        finally:
            process.terminate()


def _compare(block: str, python: Path, environment: dict[str, str], folder: Path) -> None:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        arguments = shlex.split(line)[1:]
        done = subprocess.run(
            [python, *arguments],
            env=environment,
            cwd=folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if (done.returncode, done.stdout) != (0, expected):
            raise SystemExit(f"$ {line}\nexpected:\n{expected}\nseen:\n{done.stdout}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Name the wheel: python tools/check_wheel.py dist/NAME.whl")
    raise SystemExit(main(Path(sys.argv[1]).resolve()))
