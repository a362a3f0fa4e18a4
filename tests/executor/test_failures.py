"""A statement fails: the message, what is recorded, and how the next run continues."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from manticore_cockroachdb import State
from manticore_cockroachdb._executor import concurrency
from manticore_cockroachdb.errors import LeaseLost, MigrationFailed, PartiallyApplied, PlanRefused
from manticore_cockroachdb.events import Reconciled, Retrying, StepStarted
from tests.fake_cockroach import drop_after, drop_before, error, error_after, hold
from tests.harness import Cockroach, Harness

TABLE = "CREATE TABLE t (id INT8 PRIMARY KEY);\n-- DOWN\nDROP TABLE t;"
BROKEN = """\
CREATE TABLE u (i INT8);
INSERT INTO u VALUES (1);

INSERT INTO t VALUES (1), (1);
CREATE TABLE w (i INT8);
-- DOWN
DROP TABLE w;
DELETE FROM nowhere;
DROP TABLE u
"""
NOTHING_DONE = "  Nothing of version {0} was applied. Fix the file (or the rows) and migrate again."


def duplicate(harness: Harness) -> str:
    """What the server says of a second row with a key of table t."""
    return (
        f'duplicate key value violates unique constraint "{harness.primary_index("t")}" (23505)\n'
        "  Detail: Key (id)=(1) already exists.\n"
    )


def broken(harness: Harness) -> None:
    harness.write("V1__t", TABLE)
    harness.write("V2__broken", BROKEN)
    harness.write("V3__never", "CREATE TABLE never (i INT8)")


def repaired(harness: Harness) -> None:
    harness.write("V2__broken", BROKEN.replace("(1), (1)", "(1), (2)"))


async def fails(verb: Any, *arguments: Any) -> MigrationFailed:
    with pytest.raises(MigrationFailed) as caught:
        await verb(*arguments)
    return caught.value


async def refuses(kind: type[PlanRefused], verb: Any, *arguments: Any) -> str:
    with pytest.raises(kind) as caught:
        await verb(*arguments)
    return str(caught.value)


async def test_a_failed_statement_is_named_and_fixed_in_the_file(any_mode: Harness) -> None:
    broken(any_mode)
    engine = any_mode.engine()
    failed = await fails(engine.migrate)
    head = "V2__broken.sql:4: INSERT INTO t VALUES (1), (1) failed: "
    if any_mode.is_stepwise:
        assert str(failed) == (
            f"{head}{duplicate(any_mode)}"
            "  Its first statement is done and recorded; version 2 is partially applied. Fix statement "
            "3 in the file (or the rows) and migrate again: the run continues there. Do "
            "not edit the statements before it."
        )
        names = ("owner", "version", "direction", "statements_done", "in_flight", "sent_by")
        assert [any_mode.record()[name] for name in names] == [None, 2, "up", 1, False, None]
        assert [s.state for s in await engine.status()][1:] == [
            State.PARTIALLY_APPLIED,
            State.PENDING,
        ]
        assert "u" in any_mode.tables()
    else:
        assert str(failed) == f"{head}{duplicate(any_mode)}{NOTHING_DONE.format(2)}"
        assert any_mode.free()
        assert [s.state for s in await engine.status()][1:] == [State.PENDING] * 2
        assert "u" not in any_mode.tables()
    assert (failed.version, failed.line, failed.sqlstate) == (2, 4, "23505")
    assert failed.path == any_mode.folder / "V2__broken.sql"
    assert "23505" in any_mode.record()["error"]
    assert any_mode.ledger() == [1]

    repaired(any_mode)
    any_mode.events.clear()
    assert await engine.migrate() == 2
    assert [event.resumed_at for event in any_mode.told(StepStarted)] == [
        1 if any_mode.is_stepwise else 0,
        0,
    ]
    assert any_mode.ask("SELECT * FROM u") == [(1,)]
    assert any_mode.ledger() == [1, 2, 3]
    assert any_mode.free()
    assert any_mode.record()["error"] is None


@pytest.mark.parametrize("kind", ["stepwise", "cockroach"])
async def test_what_is_partially_applied_is_finished_by_migrating_only(
    request: pytest.FixtureRequest, flavour: object, kind: str
) -> None:
    harness: Harness = request.getfixturevalue(kind)
    broken(harness)
    engine = harness.engine()
    await fails(engine.migrate)
    other = (
        "V2__broken.sql: version 2 is partially applied and this would not finish it. Migrate to "
        "version 2 or higher first. Nothing was run."
    )
    assert await refuses(PartiallyApplied, engine.rollback) == other
    assert await refuses(PartiallyApplied, engine.migrate, 1) == other
    assert await refuses(PartiallyApplied, engine.migrate, 0) == other
    assert await refuses(PartiallyApplied, engine.plan_rollback) == other

    harness.write("V2__broken", BROKEN.replace("u (i INT8)", "u (i INT8, j INT8)"))
    assert await refuses(PlanRefused, engine.migrate) == (
        "V2__broken.sql: version 2 is partially applied, and its first statement, which "
        "is done or running, was changed. Restore it; later ones may be edited. Or record "
        "what is true with manticore_resolve --applied 2 or --not-applied 2. Nothing was run."
    )
    (harness.folder / "V2__broken.sql").unlink()
    assert await refuses(PartiallyApplied, engine.migrate) == (
        "version 2 is partially applied and its file is not in the folder. Restore the file and "
        "run again, or record what is true with manticore_resolve --applied 2 or --not-applied 2. "
        "Nothing was run."
    )
    repaired(harness)
    assert await engine.migrate(2) == 1
    assert harness.ledger() == [1, 2]


async def test_what_is_partially_reverted_is_finished_by_rolling_back_only(
    any_mode: Harness,
) -> None:
    broken(any_mode)
    repaired(any_mode)
    engine = any_mode.engine()
    await engine.migrate(2)
    failed = await fails(engine.rollback)
    head = (
        "V2__broken.sql:8: DELETE FROM nowhere failed: "
        'relation "nowhere" does not exist (42P01)\n  '
    )
    if not any_mode.is_stepwise:
        assert str(failed) == (
            f"{head}Nothing of version 2 was reverted. Fix the file (or the rows) and roll back "
            "again."
        )
        assert any_mode.ledger() == [1, 2]
    else:
        assert str(failed) == (
            f"{head}Its first statement is done and recorded; version 2 is partially reverted. Fix "
            "statement 2 in the file (or the rows) and roll back again: the run continues there. "
            "Do not edit the statements before it."
        )
        assert await refuses(PartiallyApplied, engine.migrate) == (
            "V2__broken.sql: version 2 is partially reverted and this would not finish it. Roll "
            "it back first. Nothing was run."
        )
        assert [s.state for s in await engine.status()][1] is State.PARTIALLY_REVERTED
    path = any_mode.folder / "V2__broken.sql"
    path.write_text(path.read_text().replace("DELETE FROM nowhere", "DELETE FROM u"))
    assert await engine.rollback() == 1
    assert any_mode.ledger() == [1]
    assert any_mode.free()


async def test_a_failure_inside_a_long_statement_names_its_line_too(any_mode: Harness) -> None:
    any_mode.write("V1__t", "-- a comment\n\nCREATE TABLE t (\n  a INT8,\n  b NOTYPE\n);")
    failed = await fails(any_mode.engine().migrate)
    # CockroachDB says no place within a statement.
    place = "" if any_mode.server_is_cockroachdb else " (at line 5)"
    assert str(failed) == (
        f"V1__t.sql:3: CREATE TABLE t ( a INT8, b NOTYPE ) failed{place}: "
        f'type "notype" does not exist (42704)\n{NOTHING_DONE.format(1)}'
    )
    assert any_mode.tables() == ["_migrations", "_migrations_state"]
    assert any_mode.free()


async def test_the_servers_hint_is_passed_on(any_mode: Harness) -> None:
    any_mode.write("V1__t", "CREATE TABLE t (name TEXT)")
    wrong, refusal, hint = (
        "UPDATE t SET name = nam",
        'column "nam" does not exist (42703)',
        'Perhaps you meant to reference the column "t.name".',
    )
    if any_mode.server_is_cockroachdb:
        wrong, refusal, hint = (
            "SELECT 1 +",
            'at or near "EOF": syntax error (42601)\n  Detail: source SQL:\nSELECT 1 +\n          ^',
            "try \\h SELECT",
        )
    any_mode.write("V2__typo", wrong)
    failed = await fails(any_mode.engine().migrate)
    assert str(failed) == (
        f"V2__typo.sql:1: {wrong} failed: {refusal}\n  Hint: {hint}\n{NOTHING_DONE.format(2)}"
    )


@pytest.mark.needs_postgresql("CockroachDB has no deferrable constraints")
async def test_a_transaction_that_cannot_be_committed_is_reported(any_mode: Harness) -> None:
    any_mode.write(
        "V1__t",
        "CREATE TABLE a (i INT8 PRIMARY KEY); "
        "CREATE TABLE b (a INT8 REFERENCES a DEFERRABLE INITIALLY DEFERRED)",
    )
    any_mode.write("V2__rows", "CREATE TABLE c (i INT8);\nINSERT INTO b VALUES (7);")
    engine = any_mode.engine()
    failed = await fails(engine.migrate)
    way_on = (
        "  Its first statement is done and recorded; version 2 is partially applied. Fix statement 2 in "
        "the file (or the rows) and migrate again: the run continues there. Do not edit "
        "the statements before it."
    )
    assert str(failed) == (
        "V2__rows.sql: its transaction could not be committed: insert or update on table "
        '"b" violates foreign key constraint "b_a_fkey" (23503)\n'
        '  Detail: Key (a)=(7) is not present in table "a".\n'
        f"{way_on if any_mode.is_stepwise else NOTHING_DONE.format(2)}"
    )
    any_mode.ask("INSERT INTO a VALUES (7)")
    assert await engine.migrate() == 1
    assert any_mode.ask("SELECT * FROM b") == [(7,)]


async def test_a_unique_index_over_duplicates_rolls_back_nothing_else(any_mode: Harness) -> None:
    any_mode.write("V1__t", "CREATE TABLE t (a INT8); INSERT INTO t VALUES (1), (1)")
    any_mode.write("V2__unique", "CREATE UNIQUE INDEX t_a ON t (a)\n-- DOWN\nDROP INDEX t_a")
    engine = any_mode.engine()
    failed = await fails(engine.migrate)
    refusal = 'could not create unique index "t_a" (23505)\n  Detail: Key (a)=(1) is duplicated.\n'
    if any_mode.server_is_cockroachdb:
        (job,) = any_mode.ask(
            "SELECT job_id FROM [SHOW JOBS] WHERE status = 'failed' AND description = "
            "'CREATE UNIQUE INDEX t_a ON ' || current_database() || '.public.t (a)'"
        )
        refusal = (
            "failed to ingest index entries during backfill: duplicate key value violates unique "
            'constraint "t_a" (23505)\n  Detail: Key (a)=(1) already exists.\n'
            f"  Job {job[0]} carried it out: failed.\n"
        )
    assert str(failed) == (
        "V2__unique.sql:1: CREATE UNIQUE INDEX t_a ON t (a) failed: "
        f"{refusal}{NOTHING_DONE.format(2)}"
    )
    assert any_mode.ledger() == [1]
    any_mode.ask("DELETE FROM t")
    assert await engine.migrate() == 1
    assert any_mode.free()


# -- settings inside a script ---------------------------------------------------------------------


async def test_a_setting_that_is_refused_is_reported_like_any_statement(any_mode: Harness) -> None:
    any_mode.write("V1__x", "CREATE TABLE a (i INT8);\nSET nonsense = 1;\nSELECT 1")
    engine = any_mode.engine()
    failed = await fails(engine.migrate)
    way_on = (
        "  Its first statement is done and recorded; version 1 is partially applied. Fix statement 2 in "
        "the file (or the rows) and migrate again: the run continues there. Do not edit "
        "the statements before it."
    )
    assert str(failed) == (
        "V1__x.sql:2: SET nonsense = 1 failed: unrecognized configuration parameter "
        f'"nonsense" (42704)\n{way_on if any_mode.is_stepwise else NOTHING_DONE.format(1)}'
    )
    any_mode.write("V1__x", "CREATE TABLE a (i INT8);\nSET DateStyle = 'ISO';\nSELECT 1")
    assert await engine.migrate() == 1
    assert any_mode.free()


async def test_what_is_unfinished_can_be_faked_to_its_end(cockroach: Cockroach) -> None:
    broken(cockroach)
    engine = cockroach.engine()
    await fails(engine.migrate)
    assert await engine.migrate(fake=True) == 2
    assert cockroach.ledger() == [1, 2, 3]
    assert cockroach.free()


async def test_a_partially_applied_script_below_others_is_finished_first(
    cockroach: Cockroach,
) -> None:
    cockroach.write("V1__t", TABLE)
    cockroach.write("V3__three", "CREATE TABLE three (i INT8);\n-- DOWN\nDROP TABLE three;")
    engine = cockroach.engine(allow_out_of_order=True)
    await engine.migrate()
    cockroach.write("V2__broken", BROKEN)
    await fails(engine.migrate)
    cockroach.write("V4__four", "CREATE TABLE four (i INT8)")
    repaired(cockroach)
    assert [step.version for step in await cockroach.engine().plan()] == [2, 4]
    assert await cockroach.engine().migrate() == 2
    assert cockroach.ledger() == [1, 3, 2, 4]


async def test_a_run_that_continues_after_a_setting_sends_it_again(cockroach: Cockroach) -> None:
    cockroach.write(
        "V1__x",
        "CREATE TABLE a (i INT8);\nSET DateStyle = 'German';\n"
        "CREATE TABLE b AS SELECT DATE '2020-01-31'::TEXT AS d;\nSELECT oops;",
    )
    engine = cockroach.engine()
    failed = await fails(engine.migrate)
    assert str(failed).startswith("V1__x.sql:4: SELECT oops failed: ")
    assert cockroach.ask("SELECT d FROM b") == [("31.01.2020",)]
    path = cockroach.folder / "V1__x.sql"
    path.write_text(
        path.read_text().replace("SELECT oops", "INSERT INTO b SELECT DATE '2020-02-01'")
    )
    cockroach.fake.rule("SET DateStyle", then=error("22023", "no such style"))
    before = cockroach.record()
    failed = await fails(engine.migrate)
    assert str(failed) == (
        "V1__x.sql:2: SET DateStyle = 'German' failed: no such style (22023)\n  Its first 3 of 4 "
        "statements are done and recorded; version 1 is partially applied. This one is a setting, which "
        "every run that continues after it sends again: make the server accept it, and migrate again."
    )
    after = cockroach.record()
    for changing in ("epoch", "acquired_at", "error"):
        before.pop(changing), after.pop(changing)
    assert after == before
    assert await engine.migrate() == 1
    assert cockroach.ask("SELECT d FROM b") == [("31.01.2020",), ("01.02.2020",)]


async def test_a_statement_cut_off_behind_a_setting_is_found_again(cockroach: Cockroach) -> None:
    cockroach.write(
        "V1__x", "CREATE TABLE a (i INT8);\nSET DateStyle = 'ISO';\nCREATE TABLE b (i INT8);"
    )
    cockroach.fake.rule("CREATE TABLE b", then=drop_after())
    assert await cockroach.engine().migrate() == 1
    assert cockroach.tables() == ["_migrations", "_migrations_state", "a", "b"]
    assert cockroach.ledger() == [1]


# -- the server says: try again -------------------------------------------------------------------


@pytest.mark.parametrize("where", ["INSERT INTO t", "CREATE TABLE u", "CREATE TABLE t", "^COMMIT"])
async def test_what_the_server_asks_to_try_again_is_tried_again(
    cockroach: Cockroach, where: str
) -> None:
    cockroach.write("V1__t", "CREATE TABLE t (i INT8); INSERT INTO t VALUES (1)")
    cockroach.write("V2__rows", "INSERT INTO t VALUES (2)")
    cockroach.write("V3__u", "CREATE TABLE u (i INT8)")
    for nth in (1, 2):
        cockroach.fake.rule(where, nth=nth, then=error("40001", "restart transaction"))
    assert await cockroach.engine().migrate() == 3
    assert [(event.sqlstate, event.attempt) for event in cockroach.told(Retrying)] == [
        ("40001", 1),
        ("40001", 2),
    ]
    assert cockroach.ask("SELECT i FROM t ORDER BY i") == [(1,), (2,)]
    assert cockroach.ledger() == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("CREATE TABLE t (i INT8)", "CREATE TABLE t (i INT8)"),
        ("INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (1)"),
        ("CREATE TABLE b (i INT8); SELECT 1; INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (1)"),
    ],
)
async def test_trying_again_has_an_end(
    cockroach: Cockroach, monkeypatch: pytest.MonkeyPatch, text: str, shown: str
) -> None:
    async def at_once(seconds: float) -> None:
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(concurrency, "sleep", lambda seconds: None)
    monkeypatch.setattr(concurrency, "async_sleep", at_once)
    cockroach.write("V1__a", "CREATE TABLE a (i INT8)")
    cockroach.write("V2__x", text)
    await cockroach.engine().migrate(1)
    rule = cockroach.fake.rule(
        lambda sql: shown in sql, nth=None, then=error("40001", "restart transaction")
    )
    failed = await fails(cockroach.engine().migrate)
    assert str(failed).startswith(f"V2__x.sql:1: {shown} failed: restart transaction (40001)\n")
    assert rule.fired == 24
    assert len(cockroach.told(Retrying)) == 23
    assert cockroach.ledger() == [1]
    cockroach.fake.reset()
    assert await cockroach.engine().migrate() == 1
    assert cockroach.free()


# -- one transaction where the server's schema changes outlive it ---------------------------------

PARTIALLY_COMMITTED = (
    "V2__torn.sql: the transaction committed, but a schema change in it failed: "
    "transaction committed but schema change aborted with error: (23505): duplicate key (XXA00)\n"
    "  Part of version 2 exists and part does not, and it is not recorded as applied. Compare "
    "the schema with "
    "the file, fix one of them by hand, then record what is true with manticore_resolve --applied 2 or "
    "--not-applied 2. Without mode=atomic in the file, each schema statement is recorded separately and "
    "this cannot happen."
)


async def test_a_torn_transaction_is_not_in_the_ledger_until_a_person_says_so(
    cockroach: Cockroach,
) -> None:
    cockroach.write("V1__t", "CREATE TABLE t (a INT8)")
    engine = cockroach.engine()
    await engine.migrate()
    cockroach.write(
        "V2__torn",
        "-- manticore: mode=atomic\nCREATE UNIQUE INDEX t_a ON t (a);\nINSERT INTO t VALUES (1), (1);\n"
        "-- DOWN\nDROP INDEX t_a",
    )
    cockroach.fake.rewrite("CREATE UNIQUE INDEX", "CREATE INDEX")  # there until its job fails
    cockroach.fake.rule(
        "^COMMIT",
        then=error_after(
            "XXA00",
            "transaction committed but schema change aborted with error: (23505): duplicate key",
        ),
    )
    for _ in range(2):
        failed = await fails(engine.migrate)
        assert str(failed) == PARTIALLY_COMMITTED
        assert failed.version == 2
        assert cockroach.ledger() == [1]
        record = cockroach.record()
        assert (record["owner"], record["version"], record["in_flight"]) == (None, 2, True)
        assert [s.state for s in await engine.status()] == [State.APPLIED, State.PARTIALLY_APPLIED]
    cockroach.ask("DROP INDEX t_a; DELETE FROM t")
    await engine.resolve.not_applied(2)
    assert cockroach.free()
    assert await engine.migrate() == 1
    assert cockroach.ledger() == [1, 2]


async def test_forced_atomic_mode_refuses_what_no_transaction_takes(cockroach: Cockroach) -> None:
    cockroach.write("V1__a", "-- manticore: mode=atomic\nSELECT 1;\nSET CLUSTER SETTING a.b = 1;")
    cockroach.write("V2__b", "-- manticore: mode=atomic\nBACKUP INTO 'x'")
    what = (
        "CockroachDB does not run this statement inside a transaction, and the file says mode=atomic. "
        "Move it into a separate script, or remove the mode."
    )
    assert await refuses(PlanRefused, cockroach.engine().migrate) == (
        f"2 problems. Nothing was run:\n  - V1__a.sql:3: {what}\n  - V2__b.sql:2: {what}"
    )
    assert cockroach.tables() == []


# -- the lease is lost ----------------------------------------------------------------------------


async def test_a_runner_whose_lease_went_to_another_writes_nothing_more(
    cockroach: Cockroach,
) -> None:
    cockroach.write("V1__t", "CREATE TABLE t (i INT8); CREATE TABLE u (i INT8)")
    gate = threading.Event()
    rule = cockroach.fake.rule("CREATE TABLE t", then=hold(gate))
    caught: list[BaseException] = []

    async def run() -> None:
        with pytest.raises(LeaseLost) as info:
            await cockroach.engine().migrate()
        caught.append(info.value)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.to_thread.run_sync(rule.wait)
        cockroach.ask(
            "UPDATE _migrations_state SET owner = 'other:1:aa', epoch = epoch + 1, "
            "expires_at = now() + INTERVAL '1 hour'"
        )
        before = cockroach.record()
        gate.set()
    assert str(caught[0]) == (
        "The lease was lost: it expired while this runner was paused, or was broken by hand, "
        "and another runner may hold it now. This runner has written nothing since and stops here; "
        "run again to finish what is left."
    )
    assert cockroach.record() == before
    assert "t" in cockroach.tables()
    assert "u" not in cockroach.tables()
    cockroach.ask("UPDATE _migrations_state SET owner = NULL, expires_at = NULL")
    assert await cockroach.engine().migrate() == 1
    findings = [event.finding for event in cockroach.told(Reconciled)]
    assert (
        findings[-1]
        == 'the server reported on the second attempt: relation "t" already exists (42P07)'
    )
    assert cockroach.tables() == ["_migrations", "_migrations_state", "t", "u"]


async def test_a_temporary_table_that_went_with_its_connection_is_thought_of(
    cockroach: Cockroach,
) -> None:
    cockroach.write(
        "V1__copy",
        "CREATE TABLE t (a INT8);\n"
        "CREATE TEMPORARY TABLE tt AS SELECT 1 AS a;\n"
        "CREATE INDEX ti ON t (a);\n"
        "INSERT INTO t SELECT a FROM tt;",
    )
    cockroach.fake.rule("CREATE INDEX", then=drop_before())
    with pytest.raises(MigrationFailed) as refused:
        await cockroach.engine().migrate()
    assert str(refused.value) == (
        'V1__copy.sql:4: INSERT INTO t SELECT a FROM tt failed: relation "tt" does not exist (42P01)\n'
        "  Its first 3 of 4 statements are done and recorded; version 1 is partially applied. Fix "
        "statement 4 in the file (or the rows) and migrate again: the run continues there. Do "
        "not edit the statements before it.\n"
        "  A statement that is done created a temporary table; it was dropped with its connection. "
        "If that is what is missing, use an ordinary table, or mode=atomic where the server allows it."
    )
