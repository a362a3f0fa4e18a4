"""The options of a run, with their defaults. Sends nothing."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._scripts.script import Mode
from .._store.ledger import DEFAULT_TABLE, split_table
from ..errors import SettingsError
from ..events import Event

#: Seconds a lease lasts unless it is extended; the watcher extends it after a third of that.
DEFAULT_LEASE = 30.0
#: Seconds to wait for another runner at most.
DEFAULT_LOCK_TIMEOUT = 600.0
#: How often a statement is tried again that did not get its lock; about four minutes of pauses.
DEFAULT_LOCK_RETRIES = 20


def unheard(event: Event) -> None:
    """The listener of a run that was given none."""


def mode_named(mode: str | Mode | None) -> Mode | None:
    """The mode of that name.

    Raises:
        SettingsError: There is none.
    """
    try:
        return Mode(mode) if isinstance(mode, str) else mode
    except ValueError:
        known = ", ".join(repr(each.value) for each in Mode)
        raise SettingsError(
            f"The mode {mode!r} is unknown; write one of {known}, or None to let the server and "
            "the script decide."
        ) from None


@dataclass(frozen=True, slots=True)
class Options:
    """How an engine runs.

    Attributes:
        table: The ledger's table, `name` or `schema.name`.
        lock_timeout: Seconds to wait for another runner at most; 0: not at all.
        lease: Seconds the lease lasts unless it is extended.
        statement_timeout: Seconds the server may work on one statement; None: as long as it takes.
        ddl_lock_timeout: Seconds that a statement which changes the schema waits for a lock at most, on
            PostgreSQL, before it is rolled back and retried; None: as the session has it.
        lock_retries: How often a statement that did not get its lock is tried again; 0: not at all.
        mode: Mode of scripts whose file names none; None means the server's default.
        allow_out_of_order: Apply pending scripts below the highest applied one, too.
        record_schema: Record a hash of the schema at the end of a run.
        placeholders: What `${name}` in a script stands for; None: `${` means nothing special.
    """

    table: str = DEFAULT_TABLE
    lock_timeout: float = DEFAULT_LOCK_TIMEOUT
    lease: float = DEFAULT_LEASE
    statement_timeout: float | None = None
    ddl_lock_timeout: float | None = None
    lock_retries: int = DEFAULT_LOCK_RETRIES
    mode: Mode | None = None
    allow_out_of_order: bool = False
    record_schema: bool = False
    placeholders: Mapping[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what is invalid.

        Raises:
            SettingsError: A value is out of its range.
        """
        split_table(self.table)
        if self.lock_timeout < 0:
            raise SettingsError(
                f"lock_timeout is {self.lock_timeout}; it must be 0 or more seconds."
            )
        if self.lease < 1:
            raise SettingsError(f"lease is {self.lease}; it must be 1 second or more.")
        if self.statement_timeout is not None and self.statement_timeout <= 0:
            raise SettingsError(
                f"statement_timeout is {self.statement_timeout}; it must be more than 0 seconds, or "
                "None for no limit."
            )
        if self.ddl_lock_timeout is not None and self.ddl_lock_timeout <= 0:
            raise SettingsError(
                f"ddl_lock_timeout is {self.ddl_lock_timeout}; it must be more than 0 seconds, or None "
                "for no limit."
            )
        if self.lock_retries < 0:
            raise SettingsError(f"lock_retries is {self.lock_retries}; it must be 0 or more.")

    @property
    def pinned(self) -> dict[str, str]:
        """Session variables that these options ask for."""
        if self.statement_timeout is None:
            return {}
        return {"statement_timeout": str(int(self.statement_timeout * 1000))}


#: Session names must fit what servers keep of an application name, with room for what is appended.
_HOST_CHARACTERS = 28


def new_owner() -> str:
    """A name for one run: host, process and a random part."""
    host = socket.gethostname().encode("ascii", "replace").decode()[:_HOST_CHARACTERS]
    return f"{host}:{os.getpid()}:{secrets.token_hex(4)}"
