"""What each key of an entry of the `MANTICORE` setting may hold, and the value that it is read into.

No message made here shows a value that may hold a password: of a text only its type is shown.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils.module_loading import import_string

from manticore_cockroachdb.errors import SettingsError
from manticore_cockroachdb.types import ConnectionSettings, Mode, Options

if TYPE_CHECKING:
    from manticore_cockroachdb.events import Event

DEFAULT_FOLDER: Final = "migrations_sql"
#: The check that reports a URL.
URL_CHECK: Final = 11
_PLACEHOLDER_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFAULTS: Final = Options()
_MODES: Final = tuple(mode.value for mode in Mode)

#: A text that reads like a way to connect may hold a password. On Windows, `C:\\…@…` is a path.
_DRIVE: Final = r"(?<!\A[A-Za-z])" if os.name == "nt" else ""
CONNECTION: Final = re.compile(rf"://|{_DRIVE}:[^@]*@|\bpass(?:word|wd)?\s*=", re.IGNORECASE)


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
        severity: The lowest severity to report.
        server: The servers to judge for, such as "cockroachdb:25.4"; None: the database's own.
    """

    rules: Mapping[str, str] = field(default_factory=dict)
    severity: str = "note"
    server: str | None = None


class Invalid(Exception):
    """A value that a key cannot have.

    Attributes:
        requirement: What it must be: `must be a dict`, or a whole sentence with `show=False`.
        show: Whether the message ends with what was given instead.
    """

    def __init__(self, requirement: str, *, show: bool = True) -> None:
        super().__init__(requirement)
        self.requirement = requirement
        self.show = show


def shown(value: object) -> str:
    """A value in a message: numbers as they are, of anything else the type."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    name = type(value).__name__
    empty = "empty " if isinstance(value, str | list | tuple | dict | set) and not value else ""
    return f"{'an' if (empty or name)[0] in 'aeiou' else 'a'} {empty}{name}"


def shown_key(key: object) -> str:
    """A key in a message; one that may hold a password is not shown."""
    if not isinstance(key, str):
        return shown(key)
    return "a database URL or connection string" if CONNECTION.search(key) else repr(key)


def _text(value: Any, requirement: str) -> str:
    """A text that is not a way to connect."""
    if not isinstance(value, str) or not value:
        raise Invalid(requirement)
    if CONNECTION.search(value):
        raise Invalid(f"{requirement}, not a database URL or connection string.", show=False)
    return value


def _folders(value: Any) -> tuple[Path, ...]:
    base = getattr(settings, "BASE_DIR", None)
    if value is None:
        if base is None:
            raise Invalid("must be given: the settings have no BASE_DIR.", show=False)
        value = DEFAULT_FOLDER
    requirement = "must be a path or a list of paths"
    given = [value] if isinstance(value, str | os.PathLike) else value
    if not isinstance(given, list | tuple) or not given:
        raise Invalid(requirement)
    if not all(isinstance(path, str | os.PathLike) for path in given):
        raise Invalid(requirement)
    paths = [_text(os.fspath(path), requirement) for path in given]
    return tuple(Path(base, path) if base is not None else Path(path) for path in paths)


def _table(value: Any) -> str:
    requirement = "must be a table's name, such as 'name' or 'schema.name', of at most 57 bytes"
    text = _text(value, requirement)
    try:
        return Options(table=text).table
    except SettingsError:
        raise Invalid(f"{requirement}.", show=False) from None


def _schema(value: Any) -> str:
    requirement = "must be a schema's name without a dot"
    text = _text(value, requirement)
    if "." in text:
        raise Invalid(f"{requirement}.", show=False)
    return text


def _seconds(least: float, *, open_end: bool = False) -> Callable[[Any], float]:
    limit = f"more than {least:g}" if open_end else f"{least:g} or more"

    def read(value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < least or (open_end and value == least):
            raise Invalid(f"must be a number of seconds, {limit}")
        return float(value)

    return read


def _retries(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Invalid("must be a whole number, 0 or more")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid("must be True or False")
    return value


def _placeholders(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise Invalid("must be a dict from names to strings")
    for name, text in value.items():
        if not isinstance(name, str) or not _PLACEHOLDER_NAME.fullmatch(name):
            raise Invalid(
                "must have names of letters, digits and underscores that do not begin with a digit; got "
                f"{shown_key(name)}.",
                show=False,
            )
        if not isinstance(text, str):
            raise Invalid(f"must have a str for {name!r}; got {shown(text)}.", show=False)
    return dict(value)


def _choice(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise Invalid(f"must be {_either(choices)}")
        if value not in choices:
            raise Invalid(f"must be {_either(choices)}.", show=False)
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
        raise Invalid("must be a dict")
    unknown = sorted(set(map(str, value)) - {"rules", "severity", "server"})
    if unknown:
        raise Invalid(f"has an unknown key {unknown[0]!r}.", show=False)
    rules, server = value.get("rules", {}), value.get("server")
    if not isinstance(rules, Mapping):
        raise Invalid("must have a dict as 'rules'.", show=False)
    if isinstance(server, list | tuple):
        server = ",".join(map(str, server))
    if server is not None and not isinstance(server, str):
        raise Invalid("must have a str or a list of str as 'server'.", show=False)
    severity = value.get("severity", "note")
    try:
        configure(server or "cockroachdb", rules, severity)
    except SettingsError as error:
        raise Invalid(f"is invalid: {_sentence(error)}", show=False) from None
    return LintChoices(dict(rules), severity, server)


def _listeners(value: Any) -> tuple[Callable[[], Callable[[Event], None]], ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise Invalid("must be a list of dotted paths")
    return tuple(map(_listener, value))


def _listener(path: str) -> Callable[[], Callable[[Event], None]]:
    """What makes the listener of a run: a class makes one for each, a function is one itself."""
    try:
        found = import_string(path)
    except ImportError as error:
        raise Invalid(f"is invalid: {error}", show=False) from None
    return found if isinstance(found, type) else lambda: found


def _sentence(error: Exception) -> str:
    """What an error says, with a mark at its end."""
    text = str(error)
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise Invalid("must be a list of strings")
    return tuple(value)


def _url(value: Any) -> str:
    if not isinstance(value, str):
        raise Invalid("must be a str")
    try:
        ConnectionSettings.from_url(value)
    except SettingsError as error:
        raise Invalid(f"is invalid: {_sentence(error)}", show=False) from None
    return value


#: For each key: the number of the check that reports it, what reads its value, and the hint.
READERS: Final[dict[str, tuple[int, Callable[[Any], Any], str]]] = {
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
    "URL": (URL_CHECK, _url, "Write postgresql://user:password@host:port/database."),
}
