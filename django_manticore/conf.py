"""The `MANTICORE` setting: the one place that reads it, and says what is wrong with it.

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
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string

from manticore_cockroachdb.errors import SettingsError
from manticore_cockroachdb.types import ConnectionSettings, Mode, Options

if TYPE_CHECKING:
    from manticore_cockroachdb.events import Event

SETTING: Final = "MANTICORE"
DEFAULT_FOLDER: Final = "migrations_sql"
_URL: Final = 11
_EXAMPLE: Final = f'{SETTING} = {{"default": {{"MIGRATIONS_DIR": BASE_DIR / "{DEFAULT_FOLDER}"}}}}'
_PLACEHOLDER_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFAULTS: Final = Options()
_MODES: Final = tuple(mode.value for mode in Mode)

#: A text that reads like a way to connect may hold a password. On Windows, `C:\\…@…` is a path.
_DRIVE: Final = r"(?<!\A[A-Za-z])" if os.name == "nt" else ""
_CONNECTION: Final = re.compile(rf"://|{_DRIVE}:[^@]*@|\bpass(?:word|wd)?\s*=", re.IGNORECASE)


class RunWithMigrate(Enum):
    """When Django's own `migrate` runs the scripts too."""

    NEVER = None
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class LintChoices:
    """What the key LINT says.

    Attributes:
        rules: "error", "warning", "note" or "off", by a rule's id.
        severity: The mildest severity to report.
        server: The servers to judge for, such as "cockroachdb:25.4"; None: the database's own.
    """

    rules: Mapping[str, str] = field(default_factory=dict)
    severity: str = "note"
    server: str | None = None


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
            f"{SETTING} must be a dict from database aliases to their entries; got {_shown(given)}.",
            f"Write {_EXAMPLE}.",
        )
    for key in given:
        if not isinstance(key, str) or _CONNECTION.search(key):
            return SettingProblem(
                1,
                f"{SETTING} has a key that is not a database alias; got {_key(key)}.",
                f"Write {_EXAMPLE}. Write a database URL in its entry, as URL.",
            )
    return given


def _shown(value: object) -> str:
    """A value in a message: numbers as they are, of anything else the type."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    name = type(value).__name__
    empty = "empty " if isinstance(value, str | list | tuple | dict | set) and not value else ""
    return f"{'an' if (empty or name)[0] in 'aeiou' else 'a'} {empty}{name}"


def _key(key: object) -> str:
    """A key in a message; one that may hold a password is not shown."""
    if not isinstance(key, str):
        return _shown(key)
    return "a database URL or connection string" if _CONNECTION.search(key) else repr(key)


def _read(alias: str) -> tuple[Entry, list[SettingProblem]]:
    given = getattr(settings, SETTING)[alias]
    where = f"{SETTING}[{alias!r}]"
    if not isinstance(given, Mapping):
        hint = "Write {} to take every default."
        if isinstance(given, str) and _CONNECTION.search(given):
            hint = 'Write {"URL": …} to give a database URL.'
        problem = SettingProblem(2, f"{where} must be a dict; got {_shown(given)}.", hint)
        return Entry(alias), [problem]
    found = [_unknown(where, key) for key in given if key not in KEYS]
    values: dict[str, Any] = {}
    for key, (number, read, hint) in _READERS.items():
        value = given.get(key)
        if value is None and key != "MIGRATIONS_DIR":
            continue
        try:
            values[key.lower()] = read(value)
        except _Invalid as invalid:
            message = f"{where}[{key!r}] {invalid.requirement}"
            shown = f"; got {_shown(value)}." if invalid.show else ""
            found.append(SettingProblem(number, f"{message}{shown}", hint))
    made = Entry(alias, **values)
    if made.schema is not None and "." in made.table:
        found.append(
            SettingProblem(
                5,
                f"{where} has a SCHEMA, and its TABLE {made.table!r} names a schema too.",
                "Write the schema in one of the two.",
            )
        )
    if not any(problem.number == _URL for problem in found):
        found += _database(made, where)
    return made, found


class _Invalid(Exception):
    """A value that a key cannot have.

    Attributes:
        requirement: What it must be: `must be a dict`, or a whole sentence with `show=False`.
        show: Whether the message ends with what was given instead.
    """

    def __init__(self, requirement: str, *, show: bool = True) -> None:
        super().__init__(requirement)
        self.requirement = requirement
        self.show = show


def _unknown(where: str, key: object) -> SettingProblem:
    close = difflib.get_close_matches(str(key).upper(), KEYS, 1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return SettingProblem(
        2, f"{where} has an unknown key: {_key(key)}.", f"{hint}Known keys: {', '.join(KEYS)}."
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


def _text(value: Any, requirement: str) -> str:
    """A text that is not a way to connect."""
    if not isinstance(value, str) or not value:
        raise _Invalid(requirement)
    if _CONNECTION.search(value):
        raise _Invalid(f"{requirement}, not a database URL or connection string.", show=False)
    return value


def _folders(value: Any) -> tuple[Path, ...]:
    base = getattr(settings, "BASE_DIR", None)
    if value is None:
        if base is None:
            raise _Invalid("must be given: the settings have no BASE_DIR.", show=False)
        value = DEFAULT_FOLDER
    requirement = "must be a path or a list of paths"
    given = [value] if isinstance(value, str | os.PathLike) else value
    if not isinstance(given, list | tuple) or not given:
        raise _Invalid(requirement)
    if not all(isinstance(path, str | os.PathLike) for path in given):
        raise _Invalid(requirement)
    paths = [_text(os.fspath(path), requirement) for path in given]
    return tuple(Path(base, path) if base is not None else Path(path) for path in paths)


def _table(value: Any) -> str:
    requirement = "must be a table's name, such as 'name' or 'schema.name', of at most 57 bytes"
    text = _text(value, requirement)
    try:
        return Options(table=text).table
    except SettingsError:
        raise _Invalid(f"{requirement}.", show=False) from None


def _schema(value: Any) -> str:
    requirement = "must be a schema's name without a dot"
    text = _text(value, requirement)
    if "." in text:
        raise _Invalid(f"{requirement}.", show=False)
    return text


def _seconds(least: float, *, open_end: bool = False) -> Callable[[Any], float]:
    limit = f"more than {least:g}" if open_end else f"{least:g} or more"

    def read(value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < least or (open_end and value == least):
            raise _Invalid(f"must be a number of seconds, {limit}")
        return float(value)

    return read


def _retries(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _Invalid("must be a whole number, 0 or more")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Invalid("must be True or False")
    return value


def _placeholders(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _Invalid("must be a dict from names to strings")
    for name, text in value.items():
        if not isinstance(name, str) or not _PLACEHOLDER_NAME.fullmatch(name):
            raise _Invalid(
                "must have names of letters, digits and underscores that do not begin with a digit; got "
                f"{_key(name)}.",
                show=False,
            )
        if not isinstance(text, str):
            raise _Invalid(f"must have a str for {name!r}; got {_shown(text)}.", show=False)
    return dict(value)


def _choice(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise _Invalid(f"must be {_either(choices)}")
        if value not in choices:
            raise _Invalid(f"must be {_either(choices)}.", show=False)
        return value

    return read


def _either(choices: tuple[str, ...]) -> str:
    *others, last = map(repr, choices)
    return f"{', '.join(others)} or {last}"


def _mode(value: Any) -> Mode:
    return Mode(_choice(*_MODES)(value))


def _run_with_migrate(value: Any) -> RunWithMigrate:
    return RunWithMigrate(_choice("before", "after")(value))


def _lint(value: Any) -> LintChoices:
    # The rules are loaded only where a project chooses among them.
    from manticore_cockroachdb.lint.configuration import configure  # noqa: PLC0415 - see above

    if not isinstance(value, Mapping):
        raise _Invalid("must be a dict")
    unknown = sorted(set(map(str, value)) - {"rules", "severity", "server"})
    if unknown:
        raise _Invalid(f"has an unknown key {unknown[0]!r}.", show=False)
    rules, server = value.get("rules", {}), value.get("server")
    if not isinstance(rules, Mapping):
        raise _Invalid("must have a dict as 'rules'.", show=False)
    if isinstance(server, list | tuple):
        server = ",".join(map(str, server))
    if server is not None and not isinstance(server, str):
        raise _Invalid("must have a str or a list of str as 'server'.", show=False)
    severity = value.get("severity", "note")
    try:
        configure(server or "cockroachdb", rules, severity)
    except SettingsError as error:
        raise _Invalid(f"is invalid: {_sentence(error)}", show=False) from None
    return LintChoices(dict(rules), severity, server)


def _listeners(value: Any) -> tuple[Callable[[], Callable[[Event], None]], ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise _Invalid("must be a list of dotted paths")
    return tuple(map(_listener, value))


def _listener(path: str) -> Callable[[], Callable[[Event], None]]:
    """What makes the listener of a run: a class makes one for each, a function is one itself."""
    try:
        found = import_string(path)
    except ImportError as error:
        raise _Invalid(f"is invalid: {error}", show=False) from None
    return found if isinstance(found, type) else lambda: found


def _sentence(error: Exception) -> str:
    """What an error says, with a mark at its end."""
    text = str(error)
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise _Invalid("must be a list of strings")
    return tuple(value)


def _url(value: Any) -> str:
    if not isinstance(value, str):
        raise _Invalid("must be a str")
    try:
        ConnectionSettings.from_url(value)
    except SettingsError as error:
        raise _Invalid(f"is invalid: {_sentence(error)}", show=False) from None
    return value


_READERS: Final[dict[str, tuple[int, Callable[[Any], Any], str]]] = {
    "MIGRATIONS_DIR": (
        4,
        _folders,
        f'Write a path, such as BASE_DIR / "{DEFAULT_FOLDER}", or a list of paths.',
    ),
    "TABLE": (5, _table, f'Write a name, such as "{_DEFAULTS.table}".'),
    "SCHEMA": (5, _schema, 'Write a name, such as "public", or leave it out.'),
    "LOCK_TIMEOUT": (6, _seconds(0), "Write seconds, such as 600, or 0 to fail immediately."),
    "LEASE": (6, _seconds(1), "Write seconds, such as 30."),
    "STATEMENT_TIMEOUT": (6, _seconds(0, open_end=True), "Write seconds, or None for no limit."),
    "DDL_LOCK_TIMEOUT": (
        6,
        _seconds(0, open_end=True),
        "Write seconds, such as 2, or None to leave it to the session.",
    ),
    "LOCK_RETRIES": (6, _retries, "Write a number, such as 20, or 0 to fail at once."),
    "MODE": (7, _mode, f"Write {_either(_MODES)}, or leave it out."),
    "ALLOW_OUT_OF_ORDER": (8, _flag, "Write True or False."),
    "RECORD_SCHEMA": (31, _flag, "Write True or False."),
    "PLACEHOLDERS": (9, _placeholders, 'Write a dict of strings, such as {"owner": "app"}.'),
    "RUN_WITH_MIGRATE": (10, _run_with_migrate, 'Write "before" or "after", or leave it out.'),
    "LINT": (
        21,
        _lint,
        'Write a dict such as {"server": "cockroachdb:25.4", "rules": {"short-key": "off"}}.',
    ),
    "DRIFT_IGNORE": (16, _patterns, 'Write a list of patterns, such as ["table public.audit_*"].'),
    "LISTENERS": (
        22,
        _listeners,
        'Write a list of dotted paths, such as ["manticore_cockroachdb.telemetry.LogListener"].',
    ),
    "URL": (_URL, _url, "Write postgresql://user:password@host:port/database."),
}
