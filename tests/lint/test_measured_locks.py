"""What rules claim of locks, as a second session of a real PostgreSQL sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from manticore_cockroachdb._model.reading import read
from manticore_cockroachdb._sql.lexer import split_script
from manticore_cockroachdb.lint.locks import table_lock, table_locks
from manticore_cockroachdb.testing import RunningServer
from manticore_cockroachdb.types import ServerKind
from tests.model.test_folding import folded
from tests.waiting import PATIENCE

pytestmark = pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")

GIVEN = """
    CREATE TABLE drivers (id INT PRIMARY KEY);
    CREATE TABLE rides (id INT PRIMARY KEY, driver_id INT, city TEXT, price INT CHECK (price > 0));
    CREATE INDEX by_city ON rides (city);
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER g BEFORE INSERT ON rides FOR EACH ROW EXECUTE FUNCTION f();
    ALTER TABLE rides ADD CONSTRAINT waits CHECK (price < 100) NOT VALID;
    CREATE MATERIALIZED VIEW prices AS SELECT id, price FROM rides;
    CREATE UNIQUE INDEX ON prices (id);
    INSERT INTO drivers VALUES (1); INSERT INTO rides VALUES (1, 1, 'Rome', 5);
"""
MODES = {
    "ShareUpdateExclusiveLock": 1,
    "ShareLock": 2,
    "ShareRowExclusiveLock": 3,
    "AccessExclusiveLock": 4,
}
NAMES = {
    None: 1,
    "SHARE": 2,
    "SHARE ROW EXCLUSIVE": 3,
    "ACCESS EXCLUSIVE": 4,
}
LOCKING = [
    "ALTER TABLE rides ADD COLUMN note TEXT",
    "ALTER TABLE rides DROP COLUMN city",
    "ALTER TABLE rides ALTER COLUMN city SET NOT NULL",
    "ALTER TABLE rides ALTER COLUMN city SET DEFAULT 'x'",
    "ALTER TABLE rides ALTER COLUMN city TYPE VARCHAR(90)",
    "ALTER TABLE rides ADD CONSTRAINT c CHECK (id > 0)",
    "ALTER TABLE rides ADD CONSTRAINT c CHECK (id > 0) NOT VALID",
    "ALTER TABLE rides ADD CONSTRAINT u UNIQUE (city)",
    "ALTER TABLE rides ADD CONSTRAINT k FOREIGN KEY (driver_id) REFERENCES drivers (id)",
    "ALTER TABLE rides ADD CONSTRAINT k FOREIGN KEY (driver_id) REFERENCES drivers NOT VALID",
    "ALTER TABLE rides VALIDATE CONSTRAINT waits",
    "ALTER TABLE rides RENAME COLUMN city TO town",
    "ALTER TABLE rides RENAME TO trips",
    "ALTER TABLE rides SET (fillfactor = 70)",
    "ALTER TABLE rides ALTER COLUMN city SET STATISTICS 50",
    "ALTER TABLE rides DISABLE TRIGGER g",
    "ALTER TABLE rides SET UNLOGGED",
    "CREATE INDEX i ON rides (price)",
    "CREATE TRIGGER h AFTER INSERT ON rides FOR EACH ROW EXECUTE FUNCTION f()",
    "DROP INDEX by_city",
    "TRUNCATE rides",
    "REINDEX TABLE rides",
    "REINDEX INDEX by_city",
    "CLUSTER rides USING by_city",
    "COMMENT ON TABLE rides IS 'x'",
    "INSERT INTO rides VALUES (2, 1, 'Oslo', 6)",
]


@pytest.mark.parametrize("sql", LOCKING)
def test_a_statement_takes_the_lock_the_rules_think(database_url: str, sql: str) -> None:
    with psycopg.connect(database_url) as one, psycopg.connect(database_url) as other:
        one.execute(GIVEN)
        one.commit()
        (oid,) = one.execute("SELECT 'rides'::regclass::oid").fetchone() or (0,)
        one.execute(sql)
        taken = other.execute(
            "SELECT mode FROM pg_locks WHERE relation = %s AND granted AND pid = %s",
            (oid, one.info.backend_pid),
        ).fetchall()
        strongest = max((MODES.get(mode, 1) for (mode,) in taken), default=1)
        one.rollback()

    expected = table_lock(read(sql, ServerKind.POSTGRESQL), folded(GIVEN))

    assert strongest == NAMES[expected.mode if expected else None]


TO_DRIVERS = [
    "CREATE TABLE trips (id INT PRIMARY KEY, driver_id INT REFERENCES drivers)",
    "CREATE TABLE trips (id INT, driver_id INT, FOREIGN KEY (driver_id) REFERENCES drivers (id))",
    "ALTER TABLE rides ADD CONSTRAINT k FOREIGN KEY (driver_id) REFERENCES drivers NOT VALID",
    "ALTER TABLE rides ADD COLUMN other_id INT REFERENCES drivers",
]


@pytest.mark.parametrize("sql", TO_DRIVERS)
def test_a_foreign_key_locks_the_table_it_refers_to(database_url: str, sql: str) -> None:
    with psycopg.connect(database_url) as one, psycopg.connect(database_url) as other:
        one.execute(GIVEN)
        one.commit()
        (oid,) = one.execute("SELECT 'drivers'::regclass::oid").fetchone() or (0,)
        one.execute(sql)
        taken = other.execute(
            "SELECT mode FROM pg_locks WHERE relation = %s AND granted AND pid = %s",
            (oid, one.info.backend_pid),
        ).fetchall()
        one.rollback()

    found = table_locks(read(sql, ServerKind.POSTGRESQL), folded(GIVEN))

    assert ("ShareRowExclusiveLock",) in taken
    assert [lock.mode for lock in found if lock.table.name == "drivers"] == ["SHARE ROW EXCLUSIVE"]


# The rule, the form it reports, the form it calls safer, and what others try to do meanwhile.
SIDE_BY_SIDE = [
    ("create-index-blocking", "CREATE INDEX i ON rides (price)",
     "CREATE INDEX CONCURRENTLY i ON rides (price)", "UPDATE rides SET price = 6"),
    ("drop-index-blocking", "DROP INDEX by_city", "DROP INDEX CONCURRENTLY by_city",
     "SELECT * FROM rides"),
    ("reindex-blocking", "REINDEX TABLE rides", "REINDEX TABLE CONCURRENTLY rides",
     "UPDATE rides SET price = 6"),
    ("refresh-view-blocking", "REFRESH MATERIALIZED VIEW prices",
     "REFRESH MATERIALIZED VIEW CONCURRENTLY prices", "SELECT * FROM prices"),
    ("unique-constraint-blocking", "ALTER TABLE rides ADD CONSTRAINT u UNIQUE (price)",
     "CREATE UNIQUE INDEX CONCURRENTLY u ON rides (price)", "SELECT * FROM rides"),
    ("constraint-scan", "ALTER TABLE rides ADD CONSTRAINT c CHECK (price < 50)",
     "ALTER TABLE rides VALIDATE CONSTRAINT waits", "SELECT * FROM rides"),
    ("lock-timeout", "ALTER TABLE rides ADD COLUMN note TEXT",
     "SET lock_timeout = '50ms'; ALTER TABLE rides ADD COLUMN note TEXT", "SELECT * FROM rides"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "safer", "meanwhile"),
    [(bad, safer, other) for _, bad, safer, other in SIDE_BY_SIDE],
    ids=[rule for rule, *_ in SIDE_BY_SIDE],
)
def test_others_wait_for_the_reported_form_and_not_for_the_safer_one(
    server: RunningServer, bad: str, safer: str, meanwhile: str
) -> None:
    assert _waits(server, bad, meanwhile)
    assert not _waits(server, safer, meanwhile)


def _waits(server: RunningServer, sql: str, meanwhile: str) -> bool:
    """Whether others wait while a statement waits for a transaction that has used the table."""
    url = server.new_database()
    try:
        with psycopg.connect(url, autocommit=True) as third:
            third.execute(GIVEN)
            with _using_the_table(url) as let_go, _in_a_thread(url, sql) as (pid, ended):
                _until(lambda: ended.is_set() or _waiting(third, pid))
                try:
                    if ended.wait(PATIENCE if "lock_timeout" in sql else 0):
                        return False
                    return _has_to_wait(third, meanwhile)
                finally:
                    let_go()
    finally:
        server.drop_database(url)


def _has_to_wait(connection: psycopg.Connection[Any], sql: str) -> bool:
    connection.execute("SET lock_timeout = '200ms'")
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql)
    except psycopg.errors.LockNotAvailable:
        return True
    return False


@contextmanager
def _using_the_table(url: str) -> Iterator[Callable[[], None]]:
    """A transaction that has written to the table and read the view, and is not over yet."""
    with psycopg.connect(url) as user:
        user.execute("INSERT INTO rides VALUES (50, 1, 'Bern', 9); SELECT * FROM prices")
        yield user.rollback
        user.rollback()


@contextmanager
def _in_a_thread(url: str, sql: str) -> Iterator[tuple[int, threading.Event]]:
    """Runs statements beside the test; yields the session's pid and the end."""
    ended = threading.Event()
    connection = psycopg.connect(url, autocommit=True)

    def run() -> None:
        try:
            for raw in split_script(sql):
                connection.execute(raw.text)
        except psycopg.errors.LockNotAvailable:
            pass  # what lock_timeout is for
        finally:
            ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    yield connection.info.backend_pid, ended
    thread.join(PATIENCE)
    connection.close()


def _waiting(connection: psycopg.Connection[Any], pid: int) -> bool:
    row = connection.execute(
        "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", (pid,)
    ).fetchone()
    return bool(row and row[0])


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it neither waited nor ended"
        time.sleep(0.01)
