"""Who keeps a PostgreSQL session from a lock: the questions, and what they answer.

https://www.postgresql.org/docs/current/functions-info.html
https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .protocol import Command, Result

#: Characters of another session's statement that are read.
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that holds a lock, or waits for one in front of us.

    Attributes:
        pid: Its process; 0 stands for a prepared transaction, which has none.
        user: Its user; "" where it has none, as a worker of the server.
        application: Its application name.
        state: What it does, in the server's words: `active`, `idle in transaction`; "" where we may not see
            that.
        since: Seconds since its transaction began; None where that is not known.
        statement: What it runs, or ran last, on one line; "" where we may not see that.
        lock: The lock that it holds, where it was asked for: mode and table.
    """

    pid: int
    user: str
    application: str
    state: str
    since: float | None
    statement: str
    lock: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return "a prepared transaction"
        who = ", ".join(filter(None, (self.user, self.application)))
        began = f" for {self.since:.0f} s" if self.since is not None else ""
        doing = f", {self.state}{began}" if self.state else ""
        what = f": {self.statement}" if self.statement else ""
        return f"pid {self.pid} ({who or 'unknown'}{doing}){what}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A session of ours that waits for a lock.

    Attributes:
        statement: The statement that waits, as far as the server shows it.
        blockers: Who is in front of it.
        sessions: Those sessions' transactions, so that their end can be noticed.
    """

    statement: str
    blockers: tuple[Blocker, ...]
    sessions: frozenset[tuple[int, str]]


_COLUMNS: Final = (
    "coalesce(a.usename, a.backend_type, '')::TEXT, coalesce(a.application_name, '')::TEXT, "
    "coalesce(a.state, '')::TEXT, extract(epoch FROM now() - a.xact_start)::FLOAT8, "
    f"coalesce(left(a.query, {_SHOWN}), '')::TEXT, "
    "coalesce(a.xact_start, a.backend_start)::TEXT"
)


def blocking(pid: int) -> Command:
    """Who is in front of a session that waits for a lock; no row while it waits for none."""
    return Command(
        f"SELECT me.query::TEXT, b.pid::INT8, {_COLUMNS} "
        "FROM pg_catalog.pg_stat_activity me "
        "CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(me.pid)) AS b (pid) "
        "LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid "
        "WHERE me.pid = $1::INT4 AND me.wait_event_type = 'Lock' ORDER BY b.pid",
        (str(pid),),
    )


def read_waiting(result: Result) -> Waiting | None:
    """What `blocking` answered."""
    if not result.rows:
        return None
    blockers = tuple(dict.fromkeys(_blocker(row[1:7]) for row in result.rows))
    sessions = frozenset((row[1], row[7] or "") for row in result.rows)
    return Waiting(result.rows[0][0], blockers, sessions)


def still_there(sessions: Iterable[tuple[int, str]]) -> Command:
    """How many of some sessions are still in the same transaction.

    A prepared transaction counts as there, and so does a session whose times we may not see.
    """
    pairs = sorted(sessions)
    same = " OR ".join(
        f"(pid = {pid:d} AND coalesce(coalesce(xact_start, backend_start)::TEXT, '') = ${number})"
        for number, (pid, _) in enumerate(pairs, 1)
    )
    prepared = sum(not pid for pid, _ in pairs)
    return Command(
        f"SELECT count(*) + {prepared:d} FROM pg_catalog.pg_stat_activity WHERE {same or 'false'}",
        tuple(began for _, began in pairs),
    )


def holders(tables: Sequence[str]) -> Command:
    """Who holds locks on some tables, the oldest transactions first.

    Args:
        tables: The tables, as scripts write them; those that are not there are left out.
    """
    places = ", ".join(f"to_regclass(${number})" for number in range(1, len(tables) + 1))
    return Command(
        f"SELECT a.pid::INT8, {_COLUMNS}, l.mode || ' on ' || l.relation::REGCLASS::TEXT "
        "FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid "
        "WHERE l.locktype = 'relation' AND l.granted AND a.pid <> pg_catalog.pg_backend_pid() "
        "AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) "
        f"AND l.relation = ANY (ARRAY[{places or 'NULL'}]::REGCLASS[]::OID[]) "
        "ORDER BY a.xact_start, a.pid, l.mode",
        tuple(tables),
    )


def blocking_runners(owner: str) -> Command:
    """Who is in front of the sessions of a runner, which waits for a lock."""
    name = owner.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return Command(
        f"SELECT b.pid::INT8, {_COLUMNS} FROM pg_catalog.pg_stat_activity me "
        "CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(me.pid)) AS b (pid) "
        "LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid "
        "WHERE me.application_name LIKE $1::TEXT AND me.wait_event_type = 'Lock' ORDER BY b.pid",
        (f"{name}/%",),
    )


def read_blockers(*results: Result) -> tuple[Blocker, ...]:
    """What `blocking_runners` and `holders` answered, each session with each lock once."""
    found = [
        _blocker(row[:6], row[7] if len(row) > 7 else "")
        for result in results
        for row in result.rows
    ]
    return tuple(dict.fromkeys(found))


def _blocker(row: Sequence[object], lock: str = "") -> Blocker:
    pid, user, application, state, since, statement = row
    return Blocker(
        pid=pid if isinstance(pid, int) else 0,
        user=str(user or ""),
        application=str(application or ""),
        state=str(state or ""),
        since=since if isinstance(since, float) else None,
        statement=" ".join(str(statement or "").split()),
        lock=lock,
    )
