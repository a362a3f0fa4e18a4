"""The `MANTICORE` setting: the one place that reads it, and says what may stand in it.

Read anew at each call, so that `override_settings` works. Opens no connection, reads no file.

    MANTICORE = {
        "default": {"MIGRATIONS_DIR": BASE_DIR / "migrations_sql"},
    }

Keys are aliases of `DATABASES`, or any name for an entry with a `URL` of its own. In an entry:

=====================  ==========================  =====================================================
key                    default                     meaning
=====================  ==========================  =====================================================
MIGRATIONS_DIR         BASE_DIR/"migrations_sql"   The folder of the scripts, or a list of folders: one
                                                   per app, say, with versions unique over all of them.
                                                   New scripts go into the first. A relative path begins
                                                   at BASE_DIR, where the settings have one.
TABLE                  "_migrations"               The ledger's table; the run record's has `_state`
                                                   behind that name.
SCHEMA                 None                        The schema of these tables; None: the session's.
LOCK_TIMEOUT           600                         Seconds to wait for another runner at most.
LEASE                  30                          Seconds the right to run lasts unless it is extended:
                                                   how soon a dead runner's work can be taken over.
STATEMENT_TIMEOUT      None                        Seconds the server may work on one statement; None: as
                                                   long as it takes.
MODE                   None                        "atomic", "stepwise" or "autocommit", for scripts whose
                                                   files name none; None: what is right for the server.
ALLOW_OUT_OF_ORDER     False                       Apply pending scripts below the highest applied one.
PLACEHOLDERS           None                        What `${name}` in scripts stands for, as a dict; None:
                                                   `${` means nothing special.
RUN_WITH_MIGRATE       None                        "before" or "after": Django's own `migrate` runs the
                                                   scripts too, before or after its migrations, and so
                                                   test databases get them.
URL                    None                        Where the database is, instead of by `DATABASES`. For
                                                   an alias of `DATABASES` it says how to get there (a
                                                   role that may change the schema, say); the database's
                                                   name is always the alias's, so that tests stay in
                                                   their test database.
=====================  ==========================  =====================================================
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import connections

from manticore_cockroachdb._backend.settings import ConnectionSettings
from manticore_cockroachdb._executor.options import DEFAULT_LEASE, DEFAULT_LOCK_TIMEOUT
from manticore_cockroachdb._scripts.script import Mode
from manticore_cockroachdb._store.ledger import DEFAULT_TABLE, split_table
from manticore_cockroachdb.errors import SettingsError

SETTING: Final = "MANTICORE"
DEFAULT_FOLDER: Final = "migrations_sql"
_URL: Final = 11
_EXAMPLE: Final = f'{SETTING} = {{"default": {{"MIGRATIONS_DIR": BASE_DIR / "{DEFAULT_FOLDER}"}}}}'
_PLACEHOLDER_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RunWithMigrate(Enum):
    """When Django's own `migrate` runs the scripts too."""

    NEVER = None
    BEFORE = "before"
    AFTER = "after"


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
    table: str = DEFAULT_TABLE
    schema: str | None = None
    lock_timeout: float = DEFAULT_LOCK_TIMEOUT
    lease: float = DEFAULT_LEASE
    statement_timeout: float | None = None
    mode: Mode | None = None
    allow_out_of_order: bool = False
    placeholders: Mapping[str, str] | None = None
    run_with_migrate: RunWithMigrate = RunWithMigrate.NEVER
    url: str | None = None

    @property
    def ledger(self) -> str:
        """The ledger's table as engines take it."""
        return f"{self.schema}.{self.table}" if self.schema else self.table


#: Every key an entry may have.
KEYS: Final = tuple(field.name.upper() for field in fields(Entry) if field.name != "alias")


def is_given() -> bool:
    """Whether the project has the setting at all."""
    return getattr(settings, SETTING, None) is not None


def aliases() -> tuple[str, ...]:
    """Every key of the setting, in its order.

    Raises:
        SettingsError: The setting is missing or is no dict.
    """
    found = _raw()
    if isinstance(found, SettingProblem):
        raise SettingsError(f"{found.message} {found.hint}")
    return tuple(found)


def entry(alias: str) -> Entry:
    """What the setting says of one database.

    Raises:
        SettingsError: There is no such entry, or something in it makes no sense.
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
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        return SettingProblem(
            1,
            f"{SETTING} must be a dict from names of databases to their entries, not {given!r}.",
            f"Write {_EXAMPLE}.",
        )
    return given


def _read(alias: str) -> tuple[Entry, list[SettingProblem]]:
    given = getattr(settings, SETTING)[alias]
    where = f"{SETTING}[{alias!r}]"
    if not isinstance(given, Mapping):
        problem = SettingProblem(
            2, f"{where} must be a dict, not {given!r}.", "Write {} to take every default."
        )
        return Entry(alias), [problem]
    found = [_unknown(where, key) for key in given if key not in KEYS]
    values: dict[str, Any] = {}
    for key, (number, read, hint) in _READERS.items():
        value = given.get(key)
        if value is None and key != "MIGRATIONS_DIR":
            continue
        try:
            values[key.lower()] = read(value)
        except (SettingsError, ValueError, TypeError) as error:
            # A URL may hold a password.
            shown = "" if key == "URL" else f" is {value!r}"
            found.append(SettingProblem(number, f"{where}[{key!r}]{shown}: {error}", hint))
    made = Entry(alias, **values)
    if made.schema is not None and "." in made.table:
        found.append(
            SettingProblem(
                5,
                f"{where} has a SCHEMA, and its TABLE {made.table!r} names one, too.",
                "Write the schema in one of the two.",
            )
        )
    if not any(problem.number == _URL for problem in found):
        found += _place(made, where)
    return made, found


def _unknown(where: str, key: object) -> SettingProblem:
    close = difflib.get_close_matches(str(key).upper(), KEYS, 1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return SettingProblem(
        2, f"{where} has an unknown key {key!r}.", f"{hint}Known keys: {', '.join(KEYS)}."
    )


def _place(made: Entry, where: str) -> list[SettingProblem]:
    """Whether the entry leads to a database at all."""
    if made.alias not in connections and made.url is None:
        known = ", ".join(map(repr, connections))
        return [
            SettingProblem(
                3,
                f"{where}: there is no database {made.alias!r} in DATABASES (it has: {known}), and "
                "the entry has no URL.",
                "Use an alias of DATABASES as the key, or give the entry a URL.",
            )
        ]
    if made.alias not in connections and made.run_with_migrate is not RunWithMigrate.NEVER:
        return [
            SettingProblem(
                10,
                f"{where} has RUN_WITH_MIGRATE, but {made.alias!r} is no alias of DATABASES, so "
                "Django never migrates it.",
                "Remove RUN_WITH_MIGRATE, or add the database to DATABASES.",
            )
        ]
    return []


def _folders(value: Any) -> tuple[Path, ...]:
    base = getattr(settings, "BASE_DIR", None)
    if value is None:
        if base is None:
            raise ValueError("the settings have no BASE_DIR to find the default folder by.")
        value = DEFAULT_FOLDER
    given = [value] if isinstance(value, str | os.PathLike) else value
    if not isinstance(given, list | tuple) or not given:
        raise ValueError("it is neither a path nor a list of paths.")
    if any(not isinstance(path, str | os.PathLike) or not os.fspath(path) for path in given):
        raise ValueError("it is neither a path nor a list of paths.")
    return tuple(Path(base, path) if base is not None else Path(path) for path in given)


def _table(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it is no text.")
    split_table(value)
    return value


def _schema(value: Any) -> str:
    if not isinstance(value, str) or not value or "." in value:
        raise ValueError("it is no name of a schema.")
    return value


def _seconds(least: float, *, open_end: bool) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < least or (open_end and value == least):
            limit = f"more than {least:g}" if open_end else f"{least:g} or more"
            raise ValueError(f"it must be a number of seconds, {limit}.")
        return float(value)

    return read


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("it is neither True nor False.")
    return value


def _placeholders(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("it is no dict.")
    for name, text in value.items():
        if not isinstance(name, str) or not _PLACEHOLDER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name: letters, digits and underscores.")
        if not isinstance(text, str):
            raise ValueError(f"the value of {name!r} is no text.")
    return dict(value)


def _mode(value: Any) -> Mode:
    if value not in {mode.value for mode in Mode}:
        raise ValueError("there is no such mode.")
    return Mode(value)


def _run_with_migrate(value: Any) -> RunWithMigrate:
    if value not in ("before", "after"):
        raise ValueError("there is no such moment.")
    return RunWithMigrate(value)


def _url(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it is no text.")
    ConnectionSettings.from_url(value)
    return value


_READERS: Final[dict[str, tuple[int, Callable[[Any], Any], str]]] = {
    "MIGRATIONS_DIR": (
        4,
        _folders,
        f'Write a path, such as BASE_DIR / "{DEFAULT_FOLDER}", or a list of paths.',
    ),
    "TABLE": (5, _table, f'Write a name, such as "{DEFAULT_TABLE}".'),
    "SCHEMA": (5, _schema, 'Write a name, such as "public", or leave it out.'),
    "LOCK_TIMEOUT": (6, _seconds(0, open_end=False), "Write seconds, such as 600; 0 waits not."),
    "LEASE": (6, _seconds(1, open_end=False), "Write seconds, such as 30."),
    "STATEMENT_TIMEOUT": (
        6,
        _seconds(0, open_end=True),
        "Write seconds, or None for as long as it takes.",
    ),
    "MODE": (7, _mode, 'Write "atomic", "stepwise" or "autocommit", or leave it out.'),
    "ALLOW_OUT_OF_ORDER": (8, _flag, "Write True or False."),
    "PLACEHOLDERS": (9, _placeholders, 'Write a dict of texts, such as {"owner": "app"}.'),
    "RUN_WITH_MIGRATE": (10, _run_with_migrate, 'Write "before" or "after", or leave it out.'),
    "URL": (_URL, _url, "Write postgresql://user:password@host:port/database."),
}
