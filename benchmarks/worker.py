"""One run of one tool, in a separate process: `python -m benchmarks.worker TOOL VERB FOLDER URL`.

Imports and set-up come before the clock starts; reading the folder, connecting and running come after.
Says the seconds as JSON. The verbs: migrate (with nothing to do the second time) and rollback (everything).
"""

# ruff: noqa: PLC0415 - only the tool that is measured may be imported
from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

Run = Callable[[], object]


def main() -> None:
    """Run what the command line names."""
    tool, verb, folder, url = sys.argv[1:]
    run = TOOLS[tool](verb, Path(folder), url)
    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds}))


def manticore(verb: str, folder: Path, url: str) -> Run:
    """The library, with its defaults."""
    from manticore_cockroachdb.database import Database
    from manticore_cockroachdb.migration import Migration

    migration = Migration(Database.from_url(url), folder)
    if verb == "rollback":
        return lambda: migration.rollback(to_version=0)
    return migration.migrate


def psycopg_batches(verb: str, folder: Path, url: str) -> Run:
    """What anybody can write in ten lines: a script and its row in one string of statements."""
    import psycopg

    def run() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for version, text in _bare(connection, verb, folder):
                connection.execute(f"BEGIN; {text} {_note(verb, version)}; COMMIT".encode())

    return run


def psycopg_pipeline(verb: str, folder: Path, url: str) -> Run:
    """The floor: every transaction in one pipeline, and one wait at its end."""
    import psycopg

    def run() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            scripts = _bare(connection, verb, folder)
            with connection.pipeline():
                for version, text in scripts:
                    connection.execute("BEGIN")
                    connection.execute(text.encode())
                    connection.execute(_note(verb, version).encode())
                    connection.execute("COMMIT")

    return run


def _bare(connection: psycopg.Connection[Any], verb: str, folder: Path) -> list[tuple[int, str]]:
    """The scripts to run, as a reader without checks finds them."""
    connection.execute("CREATE TABLE IF NOT EXISTS ledger (version BIGINT PRIMARY KEY)")
    applied = {version for (version,) in connection.execute("SELECT version FROM ledger")}
    found = []
    for path in folder.iterdir():
        version = int(path.name[1:].partition("__")[0])
        up, _, down = path.read_text(encoding="utf-8").partition("-- DOWN")
        if (version in applied) == (verb == "rollback"):
            found.append((version, down if verb == "rollback" else up))
    return sorted(found, reverse=verb == "rollback")


def _note(verb: str, version: int) -> str:
    if verb == "rollback":
        return f"DELETE FROM ledger WHERE version = {version}"
    return f"INSERT INTO ledger VALUES ({version})"


def django(verb: str, folder: Path, url: str) -> Run:
    """Django's own `migrate`, each script a RunSQL migration."""
    os.environ["BENCHMARK_URL"] = url
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    sys.path.insert(0, str(folder))
    import django as framework
    from django.core.management import call_command

    from .scripts import APP

    framework.setup()
    if verb == "rollback":
        return lambda: call_command("migrate", APP, "zero", verbosity=0)
    return lambda: call_command("migrate", verbosity=0)


def alembic(verb: str, folder: Path, url: str) -> Run:
    """Alembic through SQLAlchemy and psycopg, with the environment that its `init` makes."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    config.set_main_option(
        "sqlalchemy.url", url.replace("postgresql:", "postgresql+psycopg:").replace("%", "%%")
    )
    if verb == "rollback":
        return lambda: command.downgrade(config, "base")
    return lambda: command.upgrade(config, "head")


def yoyo(verb: str, folder: Path, url: str) -> Run:
    """yoyo, as its documentation shows it."""
    import yoyo as tool

    def run() -> None:
        backend = tool.get_backend(url.replace("postgresql:", "postgresql+psycopg:"))
        migrations = tool.read_migrations(str(folder))
        with backend.lock():
            if verb == "rollback":
                backend.rollback_migrations(backend.to_rollback(migrations))
            else:
                backend.apply_migrations(backend.to_apply(migrations))

    return run


TOOLS: dict[str, Callable[[str, Path, str], Run]] = {
    "manticore": manticore,
    "psycopg batches": psycopg_batches,
    "psycopg pipeline": psycopg_pipeline,
    "django": django,
    "alembic": alembic,
    "yoyo": yoyo,
}

if __name__ == "__main__":
    main()
