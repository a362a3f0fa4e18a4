"""A harness: a database, a folder of scripts, engines over both, and their events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import anyio
import psycopg
import psycopg.conninfo
import pytest
from psycopg.rows import dict_row

from manticore_cockroachdb.errors import MigrationFailed
from manticore_cockroachdb.events import Event, Warned
from tests.fake_cockroach import FakeCockroach
from tests.flavors import Flavour
from tests.waiting import PATIENCE

T = TypeVar("T")
E = TypeVar("E", bound=Event)


async def eventually(ask: Callable[[], T], *, seconds: float = PATIENCE) -> T:
    """Ask again and again until the answer is true."""
    deadline = time.monotonic() + seconds
    while not (answer := await anyio.to_thread.run_sync(ask)):
        assert time.monotonic() < deadline, f"not so within {seconds} s: {ask}"
        await anyio.sleep(0.02)
    return answer


class Harness:
    """Engines of one flavor over a database and a folder of the test.

    Attributes:
        flavour: The flavor.
        url: Where engines connect.
        direct: Where the test itself looks: past any fake CockroachDB.
        folder: The scripts.
        events: The events of every engine, in order.
        defaults: Options every engine is given.
    """

    def __init__(
        self, flavour: Flavour, url: str, direct: str, folder: Path, **defaults: Any
    ) -> None:
        self.flavour = flavour
        self.url = url
        self.direct = direct
        self.folder = folder
        self.events: list[Event] = []
        self.defaults = defaults
        folder.mkdir(exist_ok=True)

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a script (its name without the ending)."""
        path = self.folder / f"{name}.sql"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def database(self, **options: Any) -> Any:
        """A database of the flavor, closed after the test."""
        return self.flavour.database(self.url, **options)

    def engine(self, **options: Any) -> Any:
        """An engine with its own connections."""
        told = {"listener": self.events.append, **self.defaults, **options}
        return self.flavour.migration(self.database(), self.folder, **told)

    @cached_property
    def server_is_cockroachdb(self) -> bool:
        """Whether the server itself is a CockroachDB, so that its answers are."""
        with psycopg.connect(self.direct) as connection:
            return connection.info.parameter_status("crdb_version") is not None

    @property
    def on_cockroachdb(self) -> bool:
        """Whether engines take the server for a CockroachDB."""
        return self.server_is_cockroachdb

    @property
    def is_stepwise(self) -> bool:
        """Whether scripts with a schema statement run step by step."""
        return self.on_cockroachdb or self.defaults.get("mode") == "stepwise"

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """What the database says, past the engine."""
        with psycopg.connect(self.direct, autocommit=True, application_name="test") as connection:
            cursor = connection.execute(question.encode())
            return cursor.fetchall() if cursor.description else []

    def one(self, question: str) -> Any:
        """The first value of the first row."""
        return self.ask(question)[0][0]

    def ledger(self) -> list[int]:
        """The versions in the ledger, as they were applied."""
        return [
            v for (v,) in self.ask("SELECT version FROM _migrations ORDER BY applied_at, version")
        ]

    def record(self) -> dict[str, Any]:
        """The run state."""
        with psycopg.connect(self.direct, autocommit=True, row_factory=dict_row) as connection:
            row = connection.execute("SELECT * FROM _migrations_state").fetchone()
        assert row is not None
        return row

    def free(self) -> bool:
        """Whether nobody has the lease and nothing is unfinished."""
        record = self.record()
        return (record["owner"], record["version"], record["in_flight"]) == (None, None, False)

    def tables(self) -> list[str]:
        """The tables there are."""
        found = self.ask(
            "SELECT table_name FROM information_schema.tables WHERE table_schema NOT IN "
            "('pg_catalog', 'information_schema', 'crdb_internal', 'pg_extension') ORDER BY 1"
        )
        return [name for (name,) in found]

    def indexes(self, table: str) -> list[str]:
        """The indexes that somebody asked for: CockroachDB lists the primary one as well.

        It has one on every table, a hidden one where no key was given: `primary` before v22.1,
        `<table>_pkey` since.
        """
        found = self.ask(f"SELECT indexname FROM pg_indexes WHERE tablename = '{table}' ORDER BY 1")
        return [name for (name,) in found if name not in ("primary", f"{table}_pkey")]

    def primary_index(self, table: str) -> str:
        """The name of the index of a table's key."""
        before_v22 = self.ask(
            f"SELECT 1 FROM pg_indexes WHERE tablename = '{table}' AND indexname = 'primary'"
        )
        return "primary" if before_v22 else f"{table}_pkey"

    @property
    def gate(self) -> str:
        """A table of one row, made by `make_lockable_table`.

        CockroachDB shows who waits for it in all its databases: none has another's name there.
        """
        return "gate" + (urlsplit(self.direct).path[-12:] if self.server_is_cockroachdb else "")

    def make_lockable_table(self) -> None:
        """Make the table that `locked_table` locks."""
        self.ask(f"CREATE TABLE {self.gate} AS SELECT 1 AS i")

    @asynccontextmanager
    async def locked_table(self) -> AsyncIterator[None]:
        """While this is open, whoever reads that table waits."""
        async with await psycopg.AsyncConnection.connect(
            self.direct, application_name="gate"
        ) as connection:
            if self.server_is_cockroachdb:
                # It has no table locks; readers wait for the end of a transaction that wrote.
                await connection.execute(f"UPDATE {self.gate} SET i = i".encode())
            else:
                await connection.execute(
                    f"LOCK TABLE {self.gate} IN ACCESS EXCLUSIVE MODE".encode()
                )
            yield
            await connection.rollback()

    def waits_for_lock(self) -> int:
        """How many statements wait there."""
        question = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{self.gate}'::regclass"
        if self.server_is_cockroachdb:
            # A statement that waits for its job is not an active query.
            question = (
                "SELECT (SELECT count(*) FROM [SHOW SESSIONS] WHERE active_queries LIKE "
                f"'%{self.gate}%' AND active_queries NOT LIKE '%SHOW%') + (SELECT count(*) FROM "
                f"[SHOW JOBS] WHERE status = 'running' AND description LIKE '%{self.gate}%')"
            )
        found: int = self.one(question)
        return found

    def told(self, kind: type[E]) -> list[E]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def warnings(self) -> list[str]:
        """What was warned of."""
        return [event.message for event in self.told(Warned)]


class Cockroach(Harness):
    """A harness whose engines believe they speak to CockroachDB.

    Attributes:
        fake_cockroach: What they speak to.
        place: The database and schema of its tables, as job descriptions qualify names.
    """

    def __init__(
        self, flavour: Flavour, fake_cockroach: FakeCockroach, direct: str, folder: Path
    ) -> None:
        super().__init__(flavour, fake_cockroach.url, direct, folder)
        self.fake = fake_cockroach
        self.place = f"{psycopg.conninfo.conninfo_to_dict(direct)['dbname']}.public"

    @property
    def on_cockroachdb(self) -> bool:
        return True

    def sent(self, pattern: str) -> list[str]:
        """The statements sent that contain a text."""
        return [seen.sql for seen in list(self.fake.statements) if pattern in seen.sql]


def with_options(harness: Harness, options: str) -> Harness:
    """The same harness, with libpq options in its URL."""
    mark = "&" if "?" in harness.url else "?"
    harness.url = f"{harness.url}{mark}options={quote(options)}"
    return harness


async def fails(harness: Harness, **options: Any) -> str:
    with pytest.raises(MigrationFailed) as caught:
        await harness.engine(**options).migrate()
    return str(caught.value)
