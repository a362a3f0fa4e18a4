"""System checks: the setting, the files, and, where databases are named, the ledgers.

======================  ==================================================================
id                      what it found
======================  ==================================================================
``manticore.E001``      The setting is missing or is no dict.
``manticore.E002``      An entry is no dict or has an unknown key.
``manticore.E003``      A key is no alias of DATABASES, and its entry has no URL.
``manticore.E004``      MIGRATIONS_DIR makes no sense.
``manticore.E005``      TABLE or SCHEMA makes no sense.
``manticore.E006``      LOCK_TIMEOUT, LEASE or STATEMENT_TIMEOUT makes no sense.
``manticore.E007``      MODE makes no sense.
``manticore.E008``      ALLOW_OUT_OF_ORDER makes no sense.
``manticore.E009``      PLACEHOLDERS makes no sense.
``manticore.E010``      RUN_WITH_MIGRATE makes no sense.
``manticore.E011``      URL cannot be read.
``manticore.E012``      The database's ENGINE or OPTIONS cannot be used.
``manticore.E013``      A file breaks a rule; one for each problem.
``manticore.E014``      An applied script was changed.
``manticore.E015``      The ledger's table is someone else's.
``manticore.W001``      The migrations folder is not there.
``manticore.W002``      A script has no down part.
``manticore.W003``      URL names another database than DATABASES does.
``manticore.W004``      Scripts are not applied.
``manticore.W005``      A script is half done.
``manticore.W006``      An applied script's file is missing.
``manticore.W007``      The ledger could not be asked.
======================  ==================================================================

Those about a ledger (E014, E015, W004 to W007) run for the databases named with `check --database`, and
before Django's own `migrate`. Any of them is silenced by SILENCED_SYSTEM_CHECKS.
"""

# ruff: noqa: ARG001 - Django calls checks with more than these need
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.db import connections

from manticore_cockroachdb._backend.settings import ConnectionSettings
from manticore_cockroachdb._planner.plan import ScriptStatus, State
from manticore_cockroachdb._scripts.loader import load
from manticore_cockroachdb._scripts.placeholders import filled
from manticore_cockroachdb._scripts.script import MigrationScript
from manticore_cockroachdb.errors import (
    FilesRefused,
    LedgerRefused,
    ManticoreError,
    Problem,
    SettingsError,
)

from . import conf
from .conf import Entry, RunWithMigrate
from .connections import connection_settings
from .migrators import get_migration


def check_settings(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E001 to E012, W003."""
    found: list[CheckMessage] = [
        Error(problem.message, hint=problem.hint, id=f"manticore.E{problem.number:03}")
        for problem in conf.problems()
    ]
    for entry in _entries():
        try:
            there = connection_settings(entry)
        except SettingsError as error:
            hint = "Use a supported engine for this database, or give the entry a URL."
            found.append(Error(str(error), hint=hint, id="manticore.E012"))
        else:
            found += _other_database(entry, there)
    return found


def check_files(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E013, W001, W002."""
    found: dict[tuple[str | None, str], CheckMessage] = {}
    for entry in _entries():
        for message in _files(entry):
            found.setdefault((message.id, message.msg), message)
    return list(found.values())


def check_databases(
    app_configs: Any = None, *, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """E014, E015, W004 to W007, for the databases that are named."""
    return [
        message
        for entry in _entries()
        if entry.alias in (databases or ())
        for message in _ledger(entry)
    ]


def _entries() -> Iterator[Entry]:
    """The entries that make sense; the others are E001 to E011 already."""
    try:
        aliases = conf.aliases()
    except SettingsError:
        return
    for alias in aliases:
        try:
            yield conf.entry(alias)
        except SettingsError:
            continue


def _other_database(entry: Entry, there: ConnectionSettings) -> list[CheckMessage]:
    """A URL beside an alias says how to get there, not where: the alias's database is used."""
    if entry.url is None or entry.alias not in connections:
        return []
    said = ConnectionSettings.from_url(entry.url).database
    # The name of a test database holds the name it was made from.
    if said is None or there.database is None or said in there.database:
        return []
    return [
        Caution(
            f"MANTICORE[{entry.alias!r}]['URL'] names the database {said!r}, but DATABASES names "
            f"{there.database!r}, which is the one that is used.",
            hint="Make both the same; or use a key that is no alias of DATABASES.",
            id="manticore.W003",
        )
    ]


def _files(entry: Entry) -> Iterator[CheckMessage]:
    missing = [folder for folder in entry.migrations_dir if not folder.exists()]
    for folder in missing:
        yield Caution(
            f"The migrations folder {folder} does not exist.",
            hint="Make it, or write the first script with manticore_makemigration, which makes it.",
            id="manticore.W001",
        )
    try:
        scripts = load([folder for folder in entry.migrations_dir if folder not in missing])
        if entry.placeholders is not None:
            filled(scripts, entry.placeholders)
    except FilesRefused as refused:
        yield from map(_file_problem, refused.problems)
    else:
        yield from _without_down(scripts)


def _file_problem(problem: Problem) -> CheckMessage:
    message, _, hint = str(problem).rpartition("; ")
    if not message:
        message, hint = hint, "Repair the file, or move it out of the folder."
    return Error(message, hint=hint, obj=_Shown(problem.path), id="manticore.E013")


def _without_down(scripts: Iterable[MigrationScript]) -> Iterator[CheckMessage]:
    for script in scripts:
        if script.down_sql is None:
            yield Caution(
                f"{script.path.name} has no down part, so it cannot be rolled back.",
                hint="Add a line '-- DOWN' and the statements that revert it; or silence this check.",
                obj=_Shown(script.path),
                id="manticore.W002",
            )


def _ledger(entry: Entry) -> list[CheckMessage]:
    alias = entry.alias
    try:
        statuses = get_migration(alias).status()
    except (FilesRefused, SettingsError):
        return []  # E012, E013, W001
    except LedgerRefused as error:
        hint = "Give this project a table of its own: TABLE in its entry of MANTICORE."
        return [Error(f"{alias}: {error}", hint=hint, id="manticore.E015")]
    except ManticoreError as error:
        hint = "Check that the server is up, and the connection's parameters."
        return [
            Caution(
                f"{alias}: the ledger could not be asked: {error}", hint=hint, id="manticore.W007"
            )
        ]
    return list(_standing(entry, statuses))


def _standing(entry: Entry, statuses: Iterable[ScriptStatus]) -> Iterator[CheckMessage]:
    alias, pending = entry.alias, []
    for status in statuses:
        name = status.script.path.name if status.script else f"version {status.version}"
        match status.state:
            case State.PENDING:
                pending.append(status.version)
            case State.DRIFTED:
                yield Error(
                    f"{alias}: {name} was changed after it was applied.",
                    hint="Restore it and put the change into a new script; or accept it: "
                    f"manticore_resolve --accept-checksum {status.version} --database {alias}.",
                    id="manticore.E014",
                )
            case State.HALF_DONE:
                yield Caution(
                    f"{alias}: {name} is half done.",
                    hint=f"Run again what was stopped: manticore_migrate --database {alias}, or "
                    "manticore_rollback.",
                    id="manticore.W005",
                )
            case State.MISSING:
                yield Caution(
                    f"{alias}: {name} ({status.description}) is applied, but its file is missing.",
                    hint="Restore the file, or update the code: the database is newer.",
                    id="manticore.W006",
                )
            case State.APPLIED:
                pass
    # With RUN_WITH_MIGRATE, `migrate` is about to apply them, and this check runs before it.
    if pending and entry.run_with_migrate is RunWithMigrate.NEVER:
        listed = ", ".join(f"V{version}" for version in pending)
        yield Caution(
            f"{alias}: {len(pending)} SQL script(s) not applied: {listed}.",
            hint=f"Run manage.py manticore_migrate --database {alias}.",
            id="manticore.W004",
        )


class _Shown:
    """A file as the object of a message: checks show it in front."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path) if self._path else "MANTICORE"
