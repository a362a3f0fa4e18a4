"""What rules claim of rewrites and scans, as a real PostgreSQL shows it.

A rewrite is seen from a second session: the table's file has another number. A scan is seen in what
the server says at DEBUG1: `verifying table`.
"""

from __future__ import annotations

import psycopg
import pytest

from manticore_cockroachdb._model.actions import SetType
from manticore_cockroachdb._model.commands import AlterTable
from manticore_cockroachdb._model.reading import read
from manticore_cockroachdb._model.values import Name
from manticore_cockroachdb._sql.lexer import split_script
from manticore_cockroachdb.lint.rule import NEXT
from manticore_cockroachdb.lint.rules.rewriting import changes_zone, keeps_storage
from manticore_cockroachdb.types import ServerKind
from tests.lint.scripts import judge
from tests.model.test_folding import folded

pytestmark = pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")

GIVEN = """
    CREATE TABLE rides (id BIGINT PRIMARY KEY, city VARCHAR(20), price NUMERIC(10, 2), seats INT);
    CREATE TABLE drivers (id BIGINT PRIMARY KEY);
    INSERT INTO rides SELECT n, 'Rome', 5, 2 FROM generate_series(1, 10) n;
    INSERT INTO drivers SELECT n FROM generate_series(1, 10) n;
    CREATE DOMAIN stars AS INT CHECK (VALUE BETWEEN 1 AND 5);
    CREATE TABLE events (at DATE NOT NULL) PARTITION BY RANGE (at);
    CREATE TABLE events_2020 (at DATE NOT NULL);
    INSERT INTO events_2020 VALUES ('2020-05-05');
"""
REWRITING = {
    "change-column-type": "ALTER TABLE rides ALTER COLUMN seats TYPE BIGINT",
    "volatile-default": "ALTER TABLE rides ADD COLUMN token UUID DEFAULT gen_random_uuid()",
    "add-numbered-column": "ALTER TABLE rides ADD COLUMN number BIGSERIAL",
    "add-stored-column": "ALTER TABLE rides ADD COLUMN n INT GENERATED ALWAYS AS (seats * 2) STORED",
    "add-domain-column": "ALTER TABLE rides ADD COLUMN rating stars",
    "rewrite-table": "ALTER TABLE rides SET UNLOGGED",
}


def _file(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute("SELECT pg_relation_filenode('rides')").fetchone()
    return row[0] if row else 0


@pytest.mark.parametrize("rule", REWRITING)
def test_the_reported_form_writes_the_table_again_and_the_safer_one_does_not(
    database_url: str, rule: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(GIVEN)
        version = other.info.server_version // 10000
        report = judge(REWRITING[rule], given=GIVEN, server=f"postgresql:{version}")
        (finding,) = [one for one in report.findings if one.rule == rule]

        before = _file(other)
        for raw in split_script((finding.safer or "").replace(NEXT, "")):
            with psycopg.connect(database_url, autocommit=True) as one:
                one.execute(raw.text)
        assert _file(other) == before

        with psycopg.connect(database_url, autocommit=True) as one:
            one.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            one.execute(GIVEN)
            before = _file(other)
            one.execute(REWRITING[rule])
        assert _file(other) != before


def test_a_rewriting_command_writes_the_table_again(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as one:
        one.execute(GIVEN)
        for sql in ("VACUUM FULL rides", "CLUSTER rides USING rides_pkey"):
            before = _file(one)
            one.execute(sql)
            assert _file(one) != before
        before = _file(one)
        one.execute("VACUUM rides")
        assert _file(one) == before


def test_a_constant_and_a_stable_default_are_not_reported_and_write_nothing_again(
    database_url: str,
) -> None:
    sql = "ALTER TABLE rides ADD at TIMESTAMPTZ NOT NULL DEFAULT now(), ADD n INT DEFAULT 5"
    with psycopg.connect(database_url, autocommit=True) as one:
        one.execute(GIVEN)
        before = _file(one)
        one.execute(sql)
        assert _file(one) == before

    rules = {one.rule for one in judge(sql, given=GIVEN, server="postgresql").findings}
    assert rules & set(REWRITING) == set()


TYPES = [
    "VARCHAR(20)", "VARCHAR(30)", "VARCHAR(10)", "VARCHAR", "TEXT", "CHAR(20)", "NUMERIC(10, 2)",
    "NUMERIC(12, 2)", "NUMERIC(8, 2)", "NUMERIC(10, 3)", "NUMERIC", "TIMESTAMP", "TIMESTAMP(3)",
    "TIMESTAMP(5)", "TIMESTAMPTZ", "TIME(2)", "TIME", "INTERVAL", "INTERVAL(3)", "INT", "BIGINT",
    "SMALLINT", "BIT VARYING(4)", "BIT VARYING(8)", "BIT VARYING", "CIDR", "INET", "JSON", "JSONB",
    "TEXT[]", "VARCHAR(20)[]", "DATE", "REAL", "DOUBLE PRECISION", "XML",
]  # fmt: skip


@pytest.mark.parametrize("zone", ["Europe/Rome", "UTC"])
def test_which_changes_of_type_write_the_table_again(database_url: str, zone: str) -> None:
    """Each pair of types: what `keeps_storage` and `changes_zone` say is what the server does."""
    wrong = []
    with psycopg.connect(database_url, autocommit=True) as one:
        one.execute(f"SET timezone = '{zone}'")
        for old in TYPES:
            one.execute(f"DROP TABLE IF EXISTS rides; CREATE TABLE rides (a {old})")
            (column,) = _table(f"CREATE TABLE rides (a {old})").columns
            assert column.type is not None
            for new in TYPES:
                command = read(f"ALTER TABLE rides ALTER a TYPE {new}", ServerKind.POSTGRESQL)
                assert isinstance(command, AlterTable)
                (action,) = command.actions
                assert isinstance(action, SetType)
                try:
                    with one.transaction(force_rollback=True):
                        before = _file(one)
                        one.execute(f"ALTER TABLE rides ALTER a TYPE {new}")
                        kept = _file(one) == before
                except psycopg.Error:
                    continue  # there is no such cast
                # Saying that a table is written again when it is not is a false alarm; the opposite
                # is a danger.
                said = keeps_storage(column.type, action.type)
                said = said or (zone == "UTC" and changes_zone(column.type, action.type))
                if said != kept:
                    wrong.append((old, new, kept))

    assert wrong == []


def _table(sql: str):  # type: ignore[no-untyped-def]
    found = folded(sql).table(Name(None, "rides"))
    assert found is not None
    return found


# The rule, the form it reports, and the scripts of the safer form; only the last of them may scan.
SCANNING = {
    "constraint-scan": "ALTER TABLE rides ADD CONSTRAINT positive CHECK (price > 0)",
    "set-not-null-scan": "ALTER TABLE rides ALTER COLUMN city SET NOT NULL",
    "attach-partition-scan": "ALTER TABLE events ATTACH PARTITION events_2020 "
    "FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
}
STRONG = ("AccessExclusiveLock", "ShareRowExclusiveLock", "ShareLock")


@pytest.mark.parametrize("rule", SCANNING)
@pytest.mark.parametrize("version", [17, 18])
def test_the_reported_form_scans_under_a_strong_lock_and_the_safer_one_never_does(
    database_url: str, rule: str, version: int
) -> None:
    with psycopg.connect(database_url, autocommit=True) as one:
        if one.info.server_version // 10000 < version:
            pytest.skip(f"the safer form is for PostgreSQL {version}")
        one.execute(GIVEN)
        report = judge(SCANNING[rule], given=GIVEN, server=f"postgresql:{version}")
        (finding,) = [found for found in report.findings if found.rule == rule]

        assert _scans_under_a_strong_lock(one, SCANNING[rule], undo=True)
        for part in (finding.safer or "").split(NEXT):
            assert not _scans_under_a_strong_lock(one, part, undo=False)


def _scans_under_a_strong_lock(
    connection: psycopg.Connection[tuple[int]], sql: str, *, undo: bool
) -> bool:
    said: list[str] = []
    connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    connection.execute("SET client_min_messages = debug1")
    with connection.transaction(force_rollback=undo):
        for raw in split_script(sql):
            connection.execute(raw.text)
        locked = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode = ANY (%s) "
            "AND relation IN ('rides'::regclass, 'events_2020'::regclass)",
            (list(STRONG),),
        ).fetchone()
    connection.execute("RESET client_min_messages")
    scanned = any(text.startswith("verifying table") for text in said)
    return scanned and bool(locked and locked[0])
