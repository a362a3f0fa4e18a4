"""System checks: the setting, the files, and, where databases are named, the ledgers.

======================  ==================================================================
id                      what it found
======================  ==================================================================
``manticore.E001``      The setting is missing, is not a dict, or has an invalid key.
``manticore.E002``      An entry is not a dict or has an unknown key.
``manticore.E003``      A key is not an alias of DATABASES, and its entry has no URL.
``manticore.E004``      MIGRATIONS_DIR is invalid.
``manticore.E005``      TABLE or SCHEMA is invalid.
``manticore.E006``      LOCK_TIMEOUT, LEASE or STATEMENT_TIMEOUT is invalid.
``manticore.E007``      MODE is invalid.
``manticore.E008``      ALLOW_OUT_OF_ORDER is invalid.
``manticore.E009``      PLACEHOLDERS is invalid.
``manticore.E010``      RUN_WITH_MIGRATE is invalid.
``manticore.E011``      URL is invalid.
``manticore.E012``      The database's ENGINE or OPTIONS cannot be used.
``manticore.E013``      A file breaks a rule; one for each problem.
``manticore.E014``      An applied script was changed, and `migrate` would run scripts.
``manticore.E015``      The ledger's table belongs to another tool, and `migrate` would run scripts.
``manticore.E016``      DRIFT_IGNORE is not a list of patterns.
``manticore.E021``      LINT is invalid.
``manticore.E022``      LISTENERS is invalid.
``manticore.W001``      A migrations folder does not exist.
``manticore.W002``      A script has no down section.
``manticore.W003``      URL names another database than DATABASES does.
``manticore.W004``      Scripts are not applied.
``manticore.W005``      A script is partially applied or partially reverted.
``manticore.W006``      An applied script's file is missing.
``manticore.W007``      The ledger could not be read.
``manticore.W008``      An applied script was changed.
``manticore.W009``      The ledger's table is someone else's.
``manticore.W010``      Another app's `migrate` command hides this app's.
``manticore.W021``      A pending script has an error of `manticore_lint`.
``manticore.E031``      RECORD_SCHEMA is invalid.
``manticore.W030``      Files were removed that a database still needs, and `migrate` runs no scripts.
``manticore.E030``      The same, and `migrate` would run scripts.
``manticore.I030``      Files may be removed: a checkpoint stands for them.
======================  ===========================================================
"""

# ruff: noqa: ARG001 - Django calls checks with more than these need
from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage
from django.core.management import get_commands, load_command_class
from django.db import connections

from manticore_cockroachdb.errors import (
    FilesRefused,
    LedgerRefused,
    ManticoreError,
    Problem,
    SettingsError,
)
from manticore_cockroachdb.lint.finding import Severity
from manticore_cockroachdb.scripts import load_scripts
from manticore_cockroachdb.types import (
    ConnectionSettings,
    MigrationScript,
    ScriptStatus,
    State,
)

from . import conf, messages
from .conf import Entry
from .connections import connection_settings
from .migrators import get_migration
from .removal import advice
from .setting_values import RunWithMigrate

#: What `check_databases` was called with last. Django calls every check of a run with the same object.
#: Where nobody names a database, Django 6.1 names them all to the checks it runs, and leaves out those of
#: databases: only the object tells that they were left out.
_checked: ContextVar[Sequence[str] | None] = ContextVar("checked", default=None)


def check_settings(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E001 to E012, E016, E021, E022, E031, W003, W010."""
    found: list[CheckMessage] = [
        checks.Error(problem.message, hint=problem.hint, id=f"manticore.E{problem.number:03}")
        for problem in conf.problems()
    ]
    for entry in _entries():
        try:
            there = connection_settings(entry)
        except SettingsError as error:
            hint = "Use a supported engine for this database, or give the entry a URL."
            found.append(checks.Error(str(error), hint=hint, id="manticore.E012"))
        else:
            found += _other_database(entry, there)
    return found + _hidden_migrate()


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
    """E014, E015, E030, W004 to W009, W021, W030, I030, for the databases that are named."""
    _checked.set(databases)
    statuses: dict[str, list[ScriptStatus]] = {}
    found = [
        message
        for entry in _entries()
        if entry.alias in (databases or ())
        for message in _ledger(entry, statuses)
    ]
    if statuses:
        found += (checks.Info(text, id="manticore.I030") for text in advice(statuses))
    return found


def check_deployment(
    app_configs: Any = None, *, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """The same for every database, with `check --deploy`; those that are named are checked already."""
    named = databases if databases is _checked.get() else None
    return [
        message
        for entry in _entries()
        if entry.alias not in (named or ())
        for message in _ledger(entry, {}, before_migrate=False)
    ]


def check_before_serving(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W004 and W005 of every database when `runserver` starts, as Django reports its own migrations.

    Only these two: a developer's server starts without a database, and with edited scripts.
    """
    if sys.argv[1:2] != ["runserver"]:
        return []
    found = check_deployment()
    return [message for message in found if message.id in ("manticore.W004", "manticore.W005")]


def _entries() -> Iterator[Entry]:
    """The valid entries; the others are E001 to E011 already."""
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
    """The URL of an alias replaces its connection, but not its database."""
    if entry.url is None or entry.alias not in connections:
        return []
    named = ConnectionSettings.from_url(entry.url).database
    # The name of a test database contains the name it was made from.
    if named is None or there.database is None or named in there.database:
        return []
    return [
        checks.Warning(
            f"MANTICORE[{entry.alias!r}]['URL'] names the database {named!r}, but DATABASES names "
            f"{there.database!r}, which is used.",
            hint="Make both the same, or use a key that is not an alias of DATABASES.",
            id="manticore.W003",
        )
    ]


def _hidden_migrate() -> list[CheckMessage]:
    """RUN_WITH_MIGRATE needs this app's `migrate` for --fake, --plan and --check."""
    if all(entry.run_with_migrate is RunWithMigrate.NEVER for entry in _entries()):
        return []
    owner = get_commands()["migrate"]
    command = load_command_class(owner, "migrate")
    if any(each.__module__.startswith("django_manticore.") for each in type(command).__mro__):
        return []
    return [
        checks.Warning(
            f"The migrate command of {owner!r} hides that of 'django_manticore'. With RUN_WITH_MIGRATE, "
            "migrate --fake would run the SQL scripts, and --plan and --check would not show them.",
            hint=f"Put 'django_manticore' before {owner!r} in INSTALLED_APPS.",
            id="manticore.W010",
        )
    ]


def _files(entry: Entry) -> Iterator[CheckMessage]:
    missing = [folder for folder in entry.migrations_dir if not folder.exists()]
    for folder in missing:
        hint = "Create it"
        if folder == entry.migrations_dir[0]:  # where new scripts are written
            hint += ", or write the first script with manticore_makemigration, which creates it"
        else:
            hint += ", or remove it from MIGRATIONS_DIR"
        yield checks.Warning(
            f"The migrations folder {folder} does not exist.",
            hint=f"{hint}.",
            id="manticore.W001",
        )
    try:
        scripts = load_scripts(
            [folder for folder in entry.migrations_dir if folder not in missing],
            placeholders=entry.placeholders,
            table=entry.ledger,
        )
    except FilesRefused as refused:
        yield from map(_file_problem, refused.problems)
    else:
        yield from _without_down(scripts)


def _file_problem(problem: Problem) -> CheckMessage:
    hint = problem.hint or "Fix the file, or move it out of the folder."
    return checks.Error(problem.located, hint=hint, obj=_Shown(problem.path), id="manticore.E013")


def _without_down(scripts: Iterable[MigrationScript]) -> Iterator[CheckMessage]:
    for script in scripts:
        reverts = script.is_irreversible or script.is_repeatable or script.down_sql is not None
        if not reverts:
            yield checks.Warning(
                f"{script.path.name} has no down section, so it cannot be rolled back.",
                hint="Add a line '-- DOWN' and the statements that revert it; or say that it is missing "
                "on purpose with a first line '-- manticore: irreversible'.",
                obj=_Shown(script.path),
                id="manticore.W002",
            )


def _ledger(
    entry: Entry, found: dict[str, list[ScriptStatus]], *, before_migrate: bool = True
) -> list[CheckMessage]:
    """What the ledger says.

    Args:
        entry: The entry.
        found: The states of each database, filled here.
        before_migrate: Django's `migrate` may be about to run: what it applies is not reported.
    """
    alias = entry.alias
    try:
        statuses = found[alias] = get_migration(alias).status()
    except (FilesRefused, SettingsError):
        return []  # E012, E013, W001
    except LedgerRefused as error:
        hint = "Give this project its own table: TABLE in its entry of MANTICORE."
        return [_wrong(entry, f"{alias}: {error}", hint, error="E015", warning="W009")]
    except ManticoreError as error:
        return [
            checks.Warning(
                f"{alias}: the ledger could not be read: {error}",
                hint="Check that the server is up, and the connection's parameters.",
                id="manticore.W007",
            )
        ]
    applies = before_migrate and entry.run_with_migrate is not RunWithMigrate.NEVER
    return [
        *_states(entry, statuses),
        *_pending(entry, statuses, applies),
        *_dangerous(entry, statuses),
    ]


def _dangerous(entry: Entry, statuses: Iterable[ScriptStatus]) -> Iterator[CheckMessage]:
    """What the linter calls an error in scripts that are not applied yet.

    A warning here, so that Django's own `migrate`, which runs these checks first, is not refused.
    """
    # The rules are loaded only where there is something to judge.
    from .linting import lint_versions  # noqa: PLC0415 - see above

    pending = [each.key for each in statuses if each.state is State.PENDING]
    if not pending:
        return
    for finding in lint_versions(entry, frozenset(pending)).findings:
        if finding.severity is Severity.ERROR:
            yield checks.Warning(
                f"{entry.alias}: {finding.path.name}:{finding.line}: {finding.message}",
                hint=f"See manticore_lint, or accept it there: -- manticore: allow={finding.rule} reason",
                obj=_Shown(finding.path),
                id="manticore.W021",
            )


def _wrong(entry: Entry, message: str, hint: str, *, error: str, warning: str) -> CheckMessage:
    """What would stop a run: an error where `migrate` is going to run the scripts, else a warning."""
    if entry.run_with_migrate is RunWithMigrate.NEVER:
        return checks.Warning(message, hint=hint, id=f"manticore.{warning}")
    return checks.Error(message, hint=hint, id=f"manticore.{error}")


def _states(entry: Entry, statuses: Iterable[ScriptStatus]) -> Iterator[CheckMessage]:
    alias = entry.alias
    unavailable: list[int] = []
    for status in statuses:
        name = status.script.path.name if status.script else status.called
        match status.state:
            case State.DRIFTED:
                yield _wrong(
                    entry,
                    f"{alias}: {name} was changed after it was applied.",
                    "Restore it and put the change into a new script, or accept it: "
                    f"manticore_resolve --accept-checksum {status.version} --database {alias}.",
                    error="E014",
                    warning="W008",
                )
            case State.PARTIALLY_APPLIED | State.PARTIALLY_REVERTED:
                command = messages.FINISHED_BY[status.state]
                yield checks.Warning(
                    f"{alias}: {name} is {messages.label(status.state)}.",
                    hint=f"Run {command} --database {alias} to finish it.",
                    id="manticore.W005",
                )
            case State.MISSING if status.repeatable is not None:
                yield checks.Warning(
                    f"{alias}: {name} was applied, but its file is missing.",
                    hint="Restore the file. If the script was removed on purpose, have a new version drop "
                    "what it made, and forget it: "
                    f"manticore_resolve --not-applied {name} --database {alias}.",
                    id="manticore.W006",
                )
            case State.MISSING:
                yield checks.Warning(
                    f"{alias}: {name} ({status.description}) is applied, but its file is missing.",
                    hint="Restore the file, or update the code: the database is newer.",
                    id="manticore.W006",
                )
            case State.UNAVAILABLE:
                unavailable.append(status.version)
            case State.APPLIED | State.PENDING:
                pass
    if unavailable:
        yield _wrong(
            entry,
            f"{alias}: {messages.scripts(len(unavailable))} must be applied, but "
            f"{'its file was' if len(unavailable) == 1 else 'their files were'} removed: "
            f"{messages.versions(unavailable)}.",
            "Restore them from version control: only an empty database starts from a checkpoint.",
            error="E030",
            warning="W030",
        )


def _pending(
    entry: Entry, statuses: Iterable[ScriptStatus], are_being_applied: bool
) -> Iterator[CheckMessage]:
    pending = [status.key for status in statuses if status.state is State.PENDING]
    if pending and not are_being_applied:
        number = messages.scripts(len(pending))
        verb = "is" if len(pending) == 1 else "are"
        yield checks.Warning(
            f"{entry.alias}: {number} {verb} not applied: {messages.versions(pending)}.",
            hint=f"Run manage.py manticore_migrate --database {entry.alias}.",
            id="manticore.W004",
        )


class _Shown:
    """A file as the object of a message: checks show it in front."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path) if self._path else "MANTICORE"
