"""Scripts of rows on CockroachDB: brief ones share a transaction, and nobody notices."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from manticore_cockroachdb._planner import pace
from manticore_cockroachdb.errors import LeaseLost, LeaseTimeout, MigrationFailed
from manticore_cockroachdb.events import StepFinished
from tests.fake_cockroach import drop_after, drop_before, error, hold
from tests.harness import Cockroach, eventually
from tests.waiting import PATIENCE

pytestmark = pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")

SCRIPTS = 40


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, as many scripts are sent together as on a fast one."""
    monkeypatch.setattr(pace, "QUICK", 600.0)


@pytest.fixture
def harness(cockroach: Cockroach) -> Cockroach:
    cockroach.ask("CREATE TABLE t (i INT8 PRIMARY KEY)")
    for version in range(1, SCRIPTS + 1):
        cockroach.write(
            f"V{version}__row",
            f"INSERT INTO t VALUES ({version});\n-- DOWN\nDELETE FROM t WHERE i = {version};",
        )
    return cockroach


def rows(harness: Cockroach) -> list[int]:
    return [i for (i,) in harness.ask("SELECT i FROM t ORDER BY i")]


async def migrate(harness: Cockroach, **options: Any) -> int:
    """Run an engine; for one that runs beside others."""
    count: int = await harness.engine(**options).migrate()
    return count


def all_up_to(last: int) -> list[int]:
    return list(range(1, last + 1))


async def test_brief_scripts_that_are_sent_together_share_a_transaction(harness: Cockroach) -> None:
    assert await harness.engine().migrate() == SCRIPTS
    transactions = harness.sent("BEGIN TRANSACTION")
    assert len(transactions) <= 5
    # One proof of the lease in each, which also keeps others out.
    assert len(harness.sent("WITH fence")) == len(transactions)
    assert rows(harness) == harness.ledger() == all_up_to(SCRIPTS)
    assert [event.number for event in harness.told(StepFinished)] == all_up_to(SCRIPTS)
    assert await harness.engine().rollback(SCRIPTS) == SCRIPTS
    assert rows(harness) == harness.ledger() == []


async def test_when_one_of_them_fails_those_before_it_are_applied_and_none_after_it(
    harness: Cockroach,
) -> None:
    harness.write("V31__row", "INSERT INTO t VALUES (31);\n\nINSERT INTO t VALUES (7);")
    with pytest.raises(MigrationFailed) as failed:
        await harness.engine().migrate()
    assert str(failed.value) == (
        "V31__row.sql:3: INSERT INTO t VALUES (7) failed: duplicate key value violates unique constraint "
        '"t_pkey" (23505)\n'
        "  Detail: Key (i)=(7) already exists.\n"
        "  Nothing of version 31 was applied. Fix the file (or the rows) and migrate again."
    )
    assert rows(harness) == harness.ledger() == all_up_to(30)
    assert harness.free()
    harness.write("V31__row", "INSERT INTO t VALUES (31);")
    assert await harness.engine().migrate() == SCRIPTS - 30
    assert rows(harness) == harness.ledger() == all_up_to(SCRIPTS)


@pytest.mark.parametrize("at", ["before", "after"])
async def test_a_cut_connection_loses_and_repeats_nothing(harness: Cockroach, at: str) -> None:
    then = drop_before() if at == "before" else drop_after()
    for text in (r"VALUES \(25\)", "COMMIT"):
        harness.fake.rule(text, nth=3 if text == "COMMIT" else 1, then=then)
    assert await harness.engine().migrate() == SCRIPTS
    assert rows(harness) == harness.ledger() == all_up_to(SCRIPTS)


async def test_a_transaction_that_the_server_asks_to_retry_is_sent_again(
    harness: Cockroach,
) -> None:
    harness.fake.rule("COMMIT", nth=3, then=error("40001", "restart"))
    harness.fake.rule(r"VALUES \(9\)", nth=2, then=error("40001", "restart"))
    assert await harness.engine().migrate() == SCRIPTS
    assert rows(harness) == harness.ledger() == all_up_to(SCRIPTS)


async def test_a_runner_that_lost_its_lease_writes_nothing(harness: Cockroach) -> None:
    await harness.engine().initialize()
    harness.ask(
        "CREATE FUNCTION taken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF new.i = 12 THEN UPDATE _migrations_state SET epoch = epoch + 1; END IF; RETURN new; END $$"
    )
    harness.ask("CREATE TRIGGER taken AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION taken()")
    with pytest.raises(LeaseLost):
        await harness.engine().migrate()
    last = harness.ledger()[-1]
    assert rows(harness) == harness.ledger() == all_up_to(last)
    assert 12 <= last < SCRIPTS


async def test_nobody_takes_the_lease_over_while_a_shared_transaction_is_open(
    harness: Cockroach,
) -> None:
    # Frozen on its way to the server for longer than the lease lasts; the transaction stays open.
    release = threading.Event()
    frozen = harness.fake.rule(r"VALUES \(20\)", then=hold(release))
    running = asyncio.create_task(migrate(harness, lease=1.0))
    await eventually(lambda: frozen.fired > 0)
    expired = "SELECT expires_at < clock_timestamp() - INTERVAL '2 seconds' FROM _migrations_state"
    await eventually(lambda: harness.one(expired))
    other = harness.engine(lock_timeout=0.0)
    with pytest.raises(LeaseTimeout):
        await other.migrate()
    assert rows(harness) == harness.ledger()
    release.set()
    assert await running == SCRIPTS
    assert rows(harness) == harness.ledger() == all_up_to(SCRIPTS)


@pytest.mark.parametrize("at", ["before", "after"])
async def test_another_runner_continues_after_a_shared_transaction_whose_answer_was_lost(
    harness: Cockroach, at: str
) -> None:
    then = drop_before() if at == "before" else drop_after()
    harness.fake.rule("COMMIT", nth=3, then=then)
    harness.write("V33__row", "INSERT INTO t VALUES (33);\nINSERT INTO t VALUES (1033);")
    counts = await asyncio.gather(*(migrate(harness, lock_timeout=PATIENCE) for _ in range(3)))
    assert sum(counts) == SCRIPTS
    assert rows(harness) == [*all_up_to(SCRIPTS), 1033]
    assert harness.ledger() == all_up_to(SCRIPTS)
    assert harness.free()


async def test_scripts_that_were_not_the_cause_are_applied_whatever_was_refused(
    harness: Cockroach,
) -> None:
    """A limit on the rows of a transaction refuses them together, and takes each alone."""
    harness.ask(
        "CREATE FUNCTION few() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (SELECT count(*) FROM "
        "_migrations WHERE applied_at = now()) > 2 THEN RAISE 'too many rows' USING ERRCODE = '54000'; "
        "END IF; RETURN new; END $$"
    )
    harness.ask("CREATE TRIGGER few AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION few()")
    assert await harness.engine().migrate() == SCRIPTS
    assert rows(harness) == harness.ledger() == all_up_to(SCRIPTS)
    assert harness.free()


async def test_bootstrap_changes_the_schema_before_it_writes(cockroach: Cockroach) -> None:
    cockroach.write("V1__a", "CREATE TABLE a (i INT8);\nCREATE INDEX ON a (i);")
    cockroach.write("V2__b", "INSERT INTO a VALUES (1);\nCREATE TABLE b (i INT8);")
    cockroach.write("V3__c", "INSERT INTO a VALUES (2);")
    assert await cockroach.engine().bootstrap() == 3
    sent = [seen.sql.split(" (")[0] for seen in cockroach.fake.statements]
    first = next(n for n, sql in enumerate(sent) if sql.startswith("BEGIN"))
    assert sent[first + 1] == "CREATE TABLE a"
    assert sent[first + 2].startswith("WITH fence")
    assert len(cockroach.sent("BEGIN TRANSACTION")) == 1
    assert cockroach.ledger() == [1, 2, 3]


async def test_a_whole_script_changes_the_schema_before_our_mark(cockroach: Cockroach) -> None:
    cockroach.write(
        "V1__a", "-- manticore: mode=atomic\nCREATE TABLE a (i INT8);\nCREATE INDEX ON a (i);"
    )
    assert await cockroach.engine().migrate() == 1
    sent = [seen.sql.split(" (")[0] for seen in cockroach.fake.statements]
    first = next(n for n, sql in enumerate(sent) if sql.startswith("BEGIN"))
    assert sent[first + 1] == "CREATE TABLE a"
    assert sent[first + 2].startswith("WITH fence")
