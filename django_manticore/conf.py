"""The `MANTICORE` setting: the one place that reads it, and reports what is wrong with it.

It is read again at each call, so that `override_settings` works. Opens no connection, reads no file. No
message and no `repr` made here shows a value that may hold a password: of a text only its type is shown.

    MANTICORE = {
        "default": {"MIGRATIONS_DIR": BASE_DIR / "migrations_sql"},
    }

Keys are aliases of `DATABASES`, or any name for an entry that has a `URL`. In an entry:

=====================  ==========================  =====================================================
key                    default                     meaning
=====================  ==========================  =====================================================
MIGRATIONS_DIR         BASE_DIR/"migrations_sql"   The folder of the scripts, or a list of folders, such as
                                                   one per app; versions must be unique across them. New
                                                   scripts go into the first. A relative path starts at
                                                   BASE_DIR, where the settings have one.
TABLE                  "_migrations"               The ledger's table; the run state's table has the same
                                                   name with `_state` added.
SCHEMA                 None                        The schema of these tables; None: the session's.
LOCK_TIMEOUT           600                         Seconds to wait for another runner; 0: fail immediately.
LEASE                  30                          Seconds the lease lasts unless it is extended: how soon a
                                                   dead runner's work can be taken over.
STATEMENT_TIMEOUT      None                        Seconds the server may work on one statement; None means
                                                   no limit.
DDL_LOCK_TIMEOUT       None                        Seconds that a statement which changes the schema waits
                                                   for a lock at most, on PostgreSQL, before it is
                                                   rolled back and retried; None: as the session has it.
LOCK_RETRIES           20                          How often a statement that did not get its lock is tried
                                                   again.
MODE                   None                        The mode of scripts whose files name none; None: the
                                                   server's default.
ALLOW_OUT_OF_ORDER     False                       Apply pending scripts below the highest applied one.
RECORD_SCHEMA          False                       Record a hash of the schema at the end of a run.
PLACEHOLDERS           None                        What `${name}` in scripts stands for, as a dict; None:
                                                   `${` means nothing special.
RUN_WITH_MIGRATE       None                        "before" or "after": Django's own `migrate` runs the
                                                   scripts too, before or after its migrations, and so
                                                   test databases get them.
DRIFT_IGNORE           ()                          Objects that may differ from what the scripts make, as
                                                   patterns: "table public.audit_*".
LINT                   None                        Options of `manticore_lint`, as a dict: "rules"
                                                   (a severity or "off" by rule), "severity" (the lowest
                                                   to report), "server" ("cockroachdb:25.4").
LISTENERS              ()                          Dotted paths of what is called with each event of a run:
                                                   functions, or classes, whose instances are called.
URL                    None                        The connection to use instead of that of `DATABASES`. For
                                                   an alias of `DATABASES` it replaces all but the
                                                   database's name, so that tests stay in their test
                                                   database.
=====================  ==========================  =====================================================
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import connections

from manticore_cockroachdb.errors import SettingsError
from manticore_cockroachdb.types import Mode, Options

from .setting_values import (
    CONNECTION,
    DEFAULT_FOLDER,
    READERS,
    URL_CHECK,
    Invalid,
    LintChoices,
    RunWithMigrate,
    shown,
    shown_key,
)

if TYPE_CHECKING:
    from manticore_cockroachdb.events import Event

SETTING: Final = "MANTICORE"
_EXAMPLE: Final = f'{SETTING} = {{"default": {{"MIGRATIONS_DIR": BASE_DIR / "{DEFAULT_FOLDER}"}}}}'
_DEFAULTS: Final = Options()


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One thing that is wrong with the setting.

    Attributes:
        number: Of the check that reports it: `manticore.E00{number}`.
        message: What is wrong.
        hint: What to write instead.
    """

    number: int
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What the setting says of one database, defaults filled in. See the table above."""

    alias: str
    migrations_dir: tuple[Path, ...] = ()
    table: str = _DEFAULTS.table
    schema: str | None = None
    lock_timeout: float = _DEFAULTS.lock_timeout
    lease: float = _DEFAULTS.lease
    statement_timeout: float | None = None
    ddl_lock_timeout: float | None = None
    lock_retries: int = _DEFAULTS.lock_retries
    mode: Mode | None = None
    allow_out_of_order: bool = False
    record_schema: bool = False
    placeholders: Mapping[str, str] | None = field(default=None, repr=False)
    run_with_migrate: RunWithMigrate = RunWithMigrate.NEVER
    drift_ignore: tuple[str, ...] = ()
    lint: LintChoices | None = None
    listeners: tuple[Callable[[], Callable[[Event], None]], ...] = ()
    url: str | None = field(default=None, repr=False)

    @property
    def ledger(self) -> str:
        """The ledger's table as the library takes it."""
        return f"{self.schema}.{self.table}" if self.schema else self.table


#: Every key an entry may have.
KEYS: Final = tuple(field.name.upper() for field in fields(Entry) if field.name != "alias")


def is_given() -> bool:
    """Whether the project has the setting at all."""
    return getattr(settings, SETTING, None) is not None


def aliases() -> tuple[str, ...]:
    """Every key of the setting, in its order.

    Raises:
        SettingsError: The setting is missing or not a dict.
    """
    found = _raw()
    if isinstance(found, SettingProblem):
        raise SettingsError(f"{found.message} {found.hint}")
    return tuple(found)


def entry(alias: str) -> Entry:
    """What the setting says of one database.

    Raises:
        SettingsError: There is no such entry, or something in it is invalid.
    """
    known = aliases()
    if alias not in known:
        listed = ", ".join(map(repr, known)) or "none"
        raise SettingsError(
            f"{SETTING} has no entry {alias!r} (it has: {listed}). Add one to the settings, or name "
            "another database."
        )
    read, problems = _read(alias)
    if problems:
        text = " ".join(f"{problem.message} {problem.hint}" for problem in problems)
        raise SettingsError(text)
    return read


def problems() -> list[SettingProblem]:
    """Everything that is wrong with the setting, in its order."""
    found = _raw()
    if isinstance(found, SettingProblem):
        return [found]
    return [problem for alias in found for problem in _read(alias)[1]]


def _raw() -> Mapping[str, Any] | SettingProblem:
    given = getattr(settings, SETTING, None)
    if given is None:
        return SettingProblem(1, f"The setting {SETTING} is missing.", f"Write {_EXAMPLE}.")
    if not isinstance(given, Mapping):
        return SettingProblem(
            1,
            f"{SETTING} must be a dict from database aliases to their entries; got {shown(given)}.",
            f"Write {_EXAMPLE}.",
        )
    for key in given:
        if not isinstance(key, str) or CONNECTION.search(key):
            return SettingProblem(
                1,
                f"{SETTING} has a key that is not a database alias; got {shown_key(key)}.",
                f"Write {_EXAMPLE}. Write a database URL in its entry, as URL.",
            )
    return given


def _read(alias: str) -> tuple[Entry, list[SettingProblem]]:
    given = getattr(settings, SETTING)[alias]
    where = f"{SETTING}[{alias!r}]"
    if not isinstance(given, Mapping):
        hint = "Write {} to take every default."
        if isinstance(given, str) and CONNECTION.search(given):
            hint = 'Write {"URL": …} to give a database URL.'
        problem = SettingProblem(2, f"{where} must be a dict; got {shown(given)}.", hint)
        return Entry(alias), [problem]
    found = [_unknown(where, key) for key in given if key not in KEYS]
    values: dict[str, Any] = {}
    for key, (number, read, hint) in READERS.items():
        value = given.get(key)
        if value is None and key != "MIGRATIONS_DIR":
            continue
        try:
            values[key.lower()] = read(value)
        except Invalid as invalid:
            message = f"{where}[{key!r}] {invalid.requirement}"
            got = f"; got {shown(value)}." if invalid.show else ""
            found.append(SettingProblem(number, f"{message}{got}", hint))
    made = Entry(alias, **values)
    if made.schema is not None and "." in made.table:
        found.append(
            SettingProblem(
                5,
                f"{where} has a SCHEMA, and its TABLE {made.table!r} names a schema too.",
                "Write the schema in one of the two.",
            )
        )
    if not any(problem.number == URL_CHECK for problem in found):
        found += _database(made, where)
    return made, found


def _unknown(where: str, key: object) -> SettingProblem:
    close = difflib.get_close_matches(str(key).upper(), KEYS, 1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return SettingProblem(
        2, f"{where} has an unknown key: {shown_key(key)}.", f"{hint}Known keys: {', '.join(KEYS)}."
    )


def _database(made: Entry, where: str) -> list[SettingProblem]:
    """Whether the entry leads to a database at all."""
    if made.alias not in connections and made.url is None:
        known = ", ".join(map(repr, connections))
        return [
            SettingProblem(
                3,
                f"{where}: DATABASES has no {made.alias!r} (it has: {known}), and the entry has no "
                "URL.",
                "Use an alias of DATABASES as the key, or give the entry a URL.",
            )
        ]
    if made.alias not in connections and made.run_with_migrate is not RunWithMigrate.NEVER:
        return [
            SettingProblem(
                10,
                f"{where} has RUN_WITH_MIGRATE, but {made.alias!r} is not an alias of DATABASES, so "
                "Django never migrates it.",
                "Remove RUN_WITH_MIGRATE, or add the database to DATABASES.",
            )
        ]
    return []
