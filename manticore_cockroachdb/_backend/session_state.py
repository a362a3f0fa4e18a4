"""What a session is made of, and how it is brought back to its start. Makes statements, sends none.

One place knows what a script can leave in a session (settings, role, temporary tables, prepared
statements, cursors, advisory locks, subscriptions), which settings every connection of ours is pinned to,
and how our own statements are made as ourselves while a script has taken another role.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .._sql.server_kind import ServerKind
from .protocol import COMMIT, Command

#: Sent in the connection's first packet, before the user's own options, which win. So a default of a role
#: or a database cannot cut a migration short, and `RESET` returns to these. Every supported server knows
#: these names. On CockroachDB `statement_timeout` ends the wait for a schema change, not the change.
AT_START: Mapping[str, str] = MappingProxyType(
    {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
)

#: Set after connecting where the server knows them and the user's options do not name them: PostgreSQL
#: refuses a connection whose options hold an unknown name.
#: https://www.postgresql.org/docs/current/runtime-config-client.html
#: https://www.cockroachlabs.com/docs/stable/session-variables
_WHERE_KNOWN: Mapping[str, str] = MappingProxyType(
    {"idle_session_timeout": "0", "idle_in_session_timeout": "0", "transaction_timeout": "0"}
)

#: CockroachDB stays SERIALIZABLE, whatever the cluster's default.
_COCKROACHDB: Mapping[str, str] = MappingProxyType(
    {"default_transaction_isolation": "serializable"}
)

#: Reads of the past: a ledger as it was some seconds ago. Nobody's options may ask for that.
#: https://www.cockroachlabs.com/docs/stable/follower-reads
_NEVER: Mapping[str, str] = MappingProxyType({"default_transaction_use_follower_reads": "off"})

#: What may forbid CockroachDB to read our own tables, and the values that allow it.
#: https://www.cockroachlabs.com/docs/stable/session-variables
_HINDRANCES: Mapping[str, str] = MappingProxyType(
    {"disallow_full_table_scans": "off", "transaction_rows_read_err": "0"}
)

#: Styles of dates, intervals and floats whose text any session reads alike: how each of them begins.
#: https://www.postgresql.org/docs/current/datatype-datetime.html#DATATYPE-DATETIME-OUTPUT
#: https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-EXTRA-FLOAT-DIGITS
_PLAIN_STYLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "datestyle": ("iso",),
        "intervalstyle": ("iso_8601", "postgres"),
        "extra_float_digits": ("1", "2", "3"),
    }
)

_ROLE = "role"
_LOOK = "statement_timeout"

#: Every setting whose value a new connection is asked for.
ASKED = (*AT_START, *_WHERE_KNOWN, *_COCKROACHDB, *_NEVER, *_HINDRANCES, *_PLAIN_STYLES, _ROLE)

_OPTION = re.compile(r"(?:^|\s)(?:-c\s*|--)((?:[\w.-])+)=")


def named_in(options: str) -> frozenset[str]:
    """The settings that libpq's `options` name, as `-c name=value` or `--name=value`."""
    return frozenset(name.lower().replace("-", "_") for name in _OPTION.findall(options))


def startup_options(theirs: str, explicit: Mapping[str, str]) -> str:
    """The `options` of a connection of ours: ours, then the user's own, then this run's.

    Args:
        theirs: The user's own options.
        explicit: Settings that the run was given as arguments; they win over the user's options.
    """
    parts = [*_options(AT_START), theirs, *_options(explicit)]
    return " ".join(part for part in parts if part)


def _options(settings: Mapping[str, str]) -> list[str]:
    return [f"-c {name}={_escape(value)}" for name, value in settings.items()]


def _escape(value: str) -> str:
    """A value inside libpq's `options`: spaces and backslashes are escaped by a backslash."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


@dataclass(frozen=True, slots=True)
class SessionState:
    """How one session is kept as it began.

    Attributes:
        kind: The server.
        pins: Settings that are not part of the connection's start, so that a reset must set them again.
        hindrances: Settings that forbid our own reads, which must be lifted around them.
        has_role: Whether a script can take another role.
        resets: Whether the session can be reset inside a stream of statements; if not, a new connection
            takes its place.
        styles: Settings for a text that reads the same in any session, where the session has others.
    """

    kind: ServerKind
    pins: Mapping[str, str]
    hindrances: Mapping[str, str]
    has_role: bool
    resets: bool
    styles: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def found(
        cls,
        kind: ServerKind,
        values: Mapping[str, str],
        *,
        options: str,
        explicit: Mapping[str, str],
        resets: bool,
    ) -> SessionState:
        """From what a new connection answered.

        Args:
            kind: The server.
            values: The settings of `ASKED` that it knows, and their values.
            options: The options that the connection was made with, as libpq sent them.
            explicit: Settings that the run was given as arguments.
            resets: Whether it knows RESET ALL.
        """
        theirs = named_in(options)
        wanted = {**AT_START, **_WHERE_KNOWN, **explicit}
        if kind is ServerKind.COCKROACHDB:
            wanted = {**wanted, **_COCKROACHDB, **_NEVER}
            theirs -= frozenset(_NEVER)
        pins = {
            name: value
            for name, value in wanted.items()
            if name in values and name not in theirs and not _same(values[name], value)
        }
        hindrances = {
            name: value
            for name, value in _HINDRANCES.items()
            if values.get(name, value).lower() != value
        }
        has_role = kind is ServerKind.POSTGRESQL or _ROLE in values
        styles = {
            name: plain[0]
            for name, plain in _PLAIN_STYLES.items()
            if not values.get(name, plain[0]).lower().startswith(plain)
            # CockroachDB rounds floats by default; `next_upper` of a batch knows.
            and (kind is ServerKind.POSTGRESQL or name != "extra_float_digits")
        }
        return cls(kind, pins, hindrances, has_role, resets, styles)

    @property
    def carries_values(self) -> bool:
        """Whether a transaction can carry values of ours, set by `set_config('manticore.…', …, true)`.

        CockroachDB does since v22.1, as it has roles.
        """
        return self.has_role

    def pin(self) -> tuple[Command, ...]:
        """Set what the connection's start could not."""
        return (_set(self.pins),) if self.pins else ()

    def clean(self) -> tuple[Command, ...]:
        """Bring the session back to its start: what DISCARD ALL consists of, in its own transaction.

        DISCARD ALL itself is refused after other statements of a stream, by both servers. Plans are
        left: they are no state that a script could notice.
        https://www.postgresql.org/docs/current/sql-discard.html
        """
        if self.kind is ServerKind.COCKROACHDB:
            role = (Command("SET role = DEFAULT"),) if self.has_role else ()
            rest = (Command("RESET ALL"), Command("DEALLOCATE ALL"), Command("CLOSE ALL"))
            return (_PLAIN_BEGIN, *role, *rest, *self.pin(), COMMIT)
        unlock = "pg_catalog.pg_advisory_unlock_all()"
        return (
            _PLAIN_BEGIN,
            Command("CLOSE ALL"),
            Command("SET SESSION AUTHORIZATION DEFAULT"),
            Command("RESET ALL"),
            Command("RESET ROLE"),
            Command("DEALLOCATE ALL"),
            Command("UNLISTEN *"),
            Command("DISCARD TEMP"),
            Command("DISCARD SEQUENCES"),
            _set(self.pins, unlock),
            COMMIT,
        )

    def alone(self, write: Command, *, as_ourselves: bool) -> tuple[Command, ...]:
        """A write of ours in its own transaction, with other commands after it.

        Args:
            write: The write.
            as_ourselves: Whether a script may have touched the session.
        """
        if as_ourselves:
            commands = self.as_ourselves((write,))
            if len(commands) > 1:
                return commands
        return (_PLAIN_BEGIN, write, COMMIT)

    def as_ourselves(self, commands: Iterable[Command]) -> tuple[Command, ...]:
        """Statements of ours in their own transaction, as if no script had touched the session.

        CockroachDB before v22.1 has neither roles to take nor settings that end with a transaction.
        """
        if self.kind is ServerKind.COCKROACHDB and not self.resets:
            return (_WRITING_BEGIN, *commands, COMMIT)
        return (_WRITING_BEGIN, *self._ours(), *commands, COMMIT)

    def inside(self, *commands: Command) -> tuple[Command, ...]:
        """Statements of ours inside a script's transaction; the script's role is taken again after them."""
        if not self.has_role:
            return commands
        if self.kind is ServerKind.COCKROACHDB:
            saved = "pg_catalog.set_config('manticore.role', current_setting('role'), true)"
            again = "pg_catalog.set_config('role', current_setting('manticore.role'), true)"
            return (
                Command(f"SELECT {saved}"),
                *self._role(),
                *commands,
                Command(f"SELECT {again}"),
            )
        names = ("session_authorization", "role")
        save = ", ".join(
            f"pg_catalog.set_config('manticore.{name}', pg_catalog.current_setting('{name}'), true)"
            for name in names
        )
        restore = tuple(
            Command(
                f"SELECT pg_catalog.set_config('{name}', "
                f"pg_catalog.current_setting('manticore.{name}'), true)"
            )
            for name in names
        )
        return (Command(f"SELECT {save}"), *self._role(), *commands, *restore)

    def at_end(self, *commands: Command) -> tuple[Command, ...]:
        """Statements of ours as the last ones of a script's transaction."""
        return (*self._role(), *commands)

    def unambiguous(self, question: Command) -> tuple[Command, ...]:
        """A question whose dates and intervals come in a style that reads the same in any session."""
        if not self.styles:
            return (question,)
        settings = (Command(f"SET LOCAL {name} = '{value}'") for name, value in self.styles.items())
        return (_PLAIN_BEGIN, *settings, question, COMMIT)

    def reading(self, seconds: int, *commands: Command) -> tuple[Command, ...]:
        """Reads of our tables that wait for other transactions for a few seconds at most.

        The caller's commands are together, with others before and after them.
        """
        before = _set({_LOOK: str(seconds * 1000), **self.hindrances})
        if not self.hindrances:
            return (before, *commands, *self.after_reading())
        # CockroachDB takes what is sent together for one transaction, and counts what that has read when
        # the settings are back.
        lifted = (_PLAIN_BEGIN, before, COMMIT, _PLAIN_BEGIN, *commands, COMMIT)
        return (*lifted, _PLAIN_BEGIN, *self.after_reading(), COMMIT)

    def after_reading(self) -> tuple[Command, ...]:
        """What brings the settings of `reading` back."""
        names = (_LOOK, *self.hindrances)
        resets = tuple(Command(f"RESET {name}") for name in names if name not in self.pins)
        pinned = {name: self.pins[name] for name in names if name in self.pins}
        return (*resets, *((_set(pinned),) if pinned else ()))

    def _ours(self) -> tuple[Command, ...]:
        settings = {"statement_timeout": "0", "lock_timeout": "0", "client_encoding": "UTF8"}
        calls = ", ".join(
            f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in settings.items()
        )
        return (*self._role(), Command(f"SELECT {calls}"))

    def _role(self) -> tuple[Command, ...]:
        if not self.has_role:
            return ()
        if self.kind is ServerKind.COCKROACHDB:
            return (Command("SET LOCAL role = DEFAULT"),)
        return (
            Command("SET LOCAL session_authorization TO DEFAULT"),
            Command("SET LOCAL role TO DEFAULT"),
        )


def _same(shown: str, value: str) -> bool:
    """Whether a setting has the value; v21.1 shows no time at all as an interval."""
    return shown.lower() == value or (value == "0" and shown in ("0s", "00:00:00"))


_PLAIN_BEGIN = Command("BEGIN")
#: A script may have made read-only transactions its session's default.
_WRITING_BEGIN = Command("BEGIN READ WRITE")


def _set(settings: Mapping[str, str], *calls: str) -> Command:
    """Set these for the session, and call functions, in one statement."""
    each = [
        f"pg_catalog.set_config('{name}', '{value}', false)" for name, value in settings.items()
    ]
    return Command(f"SELECT {', '.join([*each, *calls])}")
