"""The fake CockroachDB itself: the testing package's proxy that plays CockroachDB on top."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import psycopg
from psycopg.conninfo import conninfo_to_dict

from manticore_cockroachdb.testing.proxy import Proxy, Traffic
from manticore_cockroachdb.testing.proxy.interception import Interception
from manticore_cockroachdb.testing.proxy.protocol import ServerError
from manticore_cockroachdb.testing.proxy.rules import matcher

from .dialect import Dialect, Replacement, version_of
from .interception import JobPassage
from .jobs import Jobs
from .transactions import Transaction

V21_1 = "CockroachDB CCL v21.1.21 (x86_64-unknown-linux-gnu, built 2022/09/15 01:28:12, go1.15.14)"
_LONGEST_LOOKED_AT = 64 * 1024  # characters; longer statements are data
#: The names of the settings that a server knows, by its host and port.
_settings_of: dict[tuple[str, str], frozenset[str]] = {}
_takes_advisory_lock = matcher(r"\bpg_advisory_(?:xact_)?lock(?:_shared)?\s*\(")


class FakeCockroach(Proxy):
    """A proxy in front of PostgreSQL that plays CockroachDB and fails on demand.

    Args:
        upstream_url: The PostgreSQL server, reached without TLS.
        cockroach: What `crdb_version` says. None: a transparent proxy that plays nothing.
        ignores_cancel: Whether cancel requests are swallowed, as v21.1 does.
        latency: Seconds a byte takes in either direction.

    Attributes:
        jobs: The schema-change jobs it claims to have.
    """

    def __init__(
        self,
        upstream_url: str,
        cockroach: str | None = V21_1,
        *,
        ignores_cancel: bool = False,
        latency: float = 0.0,
    ) -> None:
        self._upstream_url = upstream_url
        self._cockroach = cockroach
        version = (0, 0) if cockroach is None else version_of(cockroach)
        self._orders_transactions = cockroach is not None and version < (22, 1)
        self._transactions: defaultdict[int, Transaction] = defaultdict(Transaction)
        self.jobs = Jobs(
            str(conninfo_to_dict(upstream_url).get("user", "root")),
            shows_started=version < (25, 3),
            abridges=version >= (24, 1),
        )
        self.dialect = Dialect(cockroach, self.jobs, self._settings())
        super().__init__(upstream_url, self.dialect, ignores_cancel=ignores_cancel, latency=latency)

    def rewrite(self, pattern: str, replacement: Replacement, tag: str | None = None) -> None:
        """See `Dialect.rewrite`."""
        self.dialect.rewrite(pattern, replacement, tag)

    def answers(
        self,
        pattern: str,
        columns: Sequence[str] | Mapping[str, str],
        rows: Sequence[Sequence[object]],
    ) -> None:
        """See `Dialect.answers`."""
        self.dialect.answers(pattern, columns, rows)

    def reset(self) -> None:
        """Forget rules, rewrites, jobs and counts; connections stay."""
        self.dialect.clear()
        self.jobs.clear()
        super().reset()

    def interception(self, sql: str, traffic: Traffic) -> Interception:
        """Note a statement, and say what shall happen to it."""
        interception = super().interception(sql, traffic)
        if self._cockroach is not None and interception.error is None and _locks(sql):
            interception.error = ServerError("42883", "unknown function: pg_advisory_lock()")
        if self._cockroach is not None:
            transaction = self._transactions[traffic.number]
            if interception.error is not None:
                transaction.end()
            else:
                refusal = transaction.refusal(sql[:_LONGEST_LOOKED_AT])
                interception.error = refusal if self._orders_transactions else None
        return interception

    def _new_passage(self, sql: str, traffic: Traffic) -> Interception:
        return JobPassage(
            sql,
            database=traffic.database,
            began=self._transactions[traffic.number].began,
            attachments=self.jobs.attached_to(sql),
        )

    def _settings(self) -> frozenset[str]:
        """The names of the settings upstream knows."""
        if self._cockroach is None:
            return frozenset()
        upstream = conninfo_to_dict(self._upstream_url)
        server = str(upstream.get("host", "")), str(upstream.get("port", ""))
        if server not in _settings_of:
            with psycopg.connect(
                self._upstream_url, application_name="fake_cockroach"
            ) as connection:
                _settings_of[server] = frozenset(
                    name.lower() for (name,) in connection.execute("SELECT name FROM pg_settings")
                )
        return _settings_of[server]


def _locks(sql: str) -> bool:
    return len(sql) < _LONGEST_LOOKED_AT and _takes_advisory_lock(sql)
