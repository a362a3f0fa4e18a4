"""Statements that run in batches: every row exactly once, whatever dies in between."""

from __future__ import annotations

from typing import Any

import pytest

from manticore_cockroachdb.errors import MigrationFailed, PlanRefused
from manticore_cockroachdb.events import (
    BatchPaused,
    BatchProgress,
    Event,
    Reconnecting,
    StatementFinished,
)
from tests.fake_cockroach import drop_after, drop_before, error
from tests.harness import Cockroach, Harness

TABLE = (
    "CREATE TABLE t (id INT8 PRIMARY KEY, n INT8 NOT NULL);"
    "\nINSERT INTO t SELECT i, 0 FROM generate_series(1, 250) AS g(i);\n-- DOWN\nDROP TABLE t;"
)
#: Its windows have a hundred rows, also where a machine is busy and they take long.
ADD_ONE = "-- manticore: batch=100 target=60s\nUPDATE t SET n = n + 1;"
#: Floats next to each other.
ALMOST_ONE = (
    "CREATE TABLE t (k FLOAT8 PRIMARY KEY, n INT8 NOT NULL);\nINSERT INTO t "
    "SELECT 1.0::FLOAT8 + i::FLOAT8 * 2.220446049250313e-16::FLOAT8, 0 FROM generate_series(1, 12) AS g(i);"
)
NOT_STARTED = "V2__add.sql:2: {reason}. The batch was not started."


def add_one(harness: Harness, script: str = ADD_ONE) -> None:
    harness.write("V1__t", TABLE)
    harness.write("V2__add", script)


def counts(harness: Harness) -> list[tuple[Any, ...]]:
    return harness.ask("SELECT n, count(*) FROM t GROUP BY n ORDER BY n")


class Stopped(KeyboardInterrupt):
    """Ctrl-C, for the test."""


def stop_after(windows: int) -> Any:
    def listen(event: Event) -> None:
        if isinstance(event, BatchProgress) and event.windows == windows:
            raise Stopped

    return listen


async def test_each_window_is_a_transaction_and_each_row_is_changed_once(any_mode: Harness) -> None:
    add_one(any_mode)
    assert await any_mode.engine().migrate() == 2
    assert counts(any_mode) == [(1, 250)]
    progress = [(event.windows, event.rows) for event in any_mode.told(BatchProgress)]
    assert progress[-1] == (len(progress), 250)
    assert len(progress) >= 3
    assert [event.statement.line for event in any_mode.told(StatementFinished)][-1] == 2
    assert any_mode.ledger() == [1, 2]
    assert any_mode.record()["batch_position"] is None


async def test_a_run_that_was_stopped_continues_after_the_last_window(any_mode: Harness) -> None:
    add_one(any_mode)
    with pytest.raises(Stopped):
        await any_mode.engine(listener=stop_after(2)).migrate()
    assert counts(any_mode) == [(0, 50), (1, 200)]
    assert any_mode.ledger() == [1]
    record = any_mode.record()
    assert (record["batch_position"], record["batch_windows"]) == ('["200"]', 2)
    assert await any_mode.engine().migrate() == 1
    assert counts(any_mode) == [(1, 250)]
    assert [event.windows for event in any_mode.told(BatchProgress)] == [3]


async def test_a_batch_that_has_begun_must_not_be_edited(any_mode: Harness) -> None:
    add_one(any_mode)
    with pytest.raises(Stopped):
        await any_mode.engine(listener=stop_after(1)).migrate()
    any_mode.write("V2__add", ADD_ONE.replace("n + 1", "n + 2"))
    with pytest.raises(
        PlanRefused, match="and statement 1, of which 1 window is done, was changed"
    ):
        await any_mode.engine().migrate()
    any_mode.write("V2__add", ADD_ONE)
    assert await any_mode.engine().migrate() == 1
    assert counts(any_mode) == [(1, 250)]


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("cut", [drop_before, drop_after])
async def test_a_window_whose_answer_was_lost_is_neither_lost_nor_repeated(
    cockroach: Cockroach, cut: Any, nth: int
) -> None:
    add_one(cockroach)
    await cockroach.engine().migrate(1)
    cockroach.fake.rule("^COMMIT", nth=nth, then=cut())
    assert await cockroach.engine().migrate() == 1
    assert counts(cockroach) == [(1, 250)]


async def test_a_batch_survives_more_cut_connections_than_one_window_may_have(
    cockroach: Cockroach,
) -> None:
    add_one(cockroach, ADD_ONE.replace("100", "10"))
    await cockroach.engine().migrate(1)
    cuts = [
        cockroach.fake.rule("^COMMIT", nth=nth, then=drop_after() if nth % 2 else drop_before())
        for nth in (2, 5, 8, 11)
    ]
    assert await cockroach.engine().migrate() == 1
    assert [rule.fired for rule in cuts] == [1, 1, 1, 1]
    assert counts(cockroach) == [(1, 250)]
    assert {event.attempt for event in cockroach.told(Reconnecting)} == {1}


async def test_a_window_that_is_asked_to_try_again_is_tried_with_half_the_rows(
    cockroach: Cockroach,
) -> None:
    add_one(cockroach)
    await cockroach.engine().migrate(1)
    cockroach.fake.rule("^COMMIT", nth=1, then=error("40001", "restart transaction"))
    assert await cockroach.engine().migrate() == 1
    assert counts(cockroach) == [(1, 250)]
    assert cockroach.told(BatchProgress)[0].rows == 50


async def test_a_row_that_is_refused_fails_its_window_only(any_mode: Harness) -> None:
    any_mode.write(
        "V1__t", TABLE.replace("n INT8 NOT NULL", "n INT8 NOT NULL CHECK (id <> 150 OR n = 0)")
    )
    any_mode.write("V2__add", ADD_ONE)
    with pytest.raises(MigrationFailed, match=r"V2__add\.sql:2: UPDATE t SET n = n \+ 1"):
        await any_mode.engine().migrate()
    assert counts(any_mode) == [(0, 150), (1, 100)]
    any_mode.ask("DELETE FROM t WHERE id = 150")
    assert await any_mode.engine().migrate() == 1
    assert counts(any_mode) == [(1, 249)]


async def test_delete_and_insert_run_in_batches_on_the_way_down_too(any_mode: Harness) -> None:
    any_mode.write("V1__t", TABLE)
    any_mode.write(
        "V2__copy",
        "CREATE TABLE c (id INT8 PRIMARY KEY);\n"
        "-- manticore: batch=100\nINSERT INTO c SELECT x.id FROM t AS x WHERE x.id > 50 OR x.n > 0;\n"
        "-- DOWN\n-- manticore: batch=70\nDELETE FROM c;\nDROP TABLE c;",
    )
    assert await any_mode.engine().migrate() == 2
    assert any_mode.one("SELECT count(*) FROM c") == 200
    assert await any_mode.engine().rollback() == 1
    assert any_mode.ledger() == [1]


async def test_a_composite_key_is_followed_in_its_order(any_mode: Harness) -> None:
    any_mode.write(
        "V1__t",
        "CREATE TABLE t (a TEXT NOT NULL, b INT8 NOT NULL, n INT8 NOT NULL, id UUID, "
        "PRIMARY KEY (id), CONSTRAINT ab UNIQUE (a, b));\n"
        "INSERT INTO t SELECT 'x' || (i % 7)::TEXT, i, 0, gen_random_uuid() "
        "FROM generate_series(1, 200) AS g(i);",
    )
    any_mode.write("V2__add", "-- manticore: batch=30 key=a,b\nUPDATE t SET n = n + 1 WHERE b > 0;")
    any_mode.write("V3__add", "-- manticore: batch=30\nUPDATE t SET n = n + 1;")
    assert await any_mode.engine().migrate() == 3
    assert counts(any_mode) == [(2, 200)]


@pytest.mark.parametrize(
    ("table", "script", "reason"),
    [
        (
            "CREATE TABLE t (id INT8 UNIQUE, n INT8);",
            "-- manticore: batch=5 key=id\nUPDATE t SET n = 1;",
            (
                "id may be NULL, and such rows belong to no window; name another key, or set the column "
                "NOT NULL first"
            ),
        ),
        (
            "CREATE TABLE t (id INT8 PRIMARY KEY, n INT8);",
            "-- manticore: batch=5 key=n\nUPDATE t SET n = 1;",
            (
                "key=n: t has no unique index over exactly these columns, in this order. It has unique "
                "indexes over (id)."
            ),
        ),
        (
            "CREATE TABLE t (id INT8 PRIMARY KEY, n INT8);",
            "-- manticore: batch=5\nUPDATE t SET id = id + 1;",
            (
                "the statement writes id, a column of the key: rows would move between windows. Name "
                "another key with key="
            ),
        ),
        (
            "CREATE TABLE t1 (id INT8 PRIMARY KEY); CREATE VIEW t AS SELECT id FROM t1;",
            "-- manticore: batch=5\nDELETE FROM t;",
            "t is a view, and a batch follows the key of an ordinary table",
        ),
    ],
)
async def test_a_key_that_does_not_do_is_refused_before_the_first_row(
    any_mode: Harness, table: str, script: str, reason: str
) -> None:
    any_mode.write("V1__t", table)
    any_mode.write("V2__add", script)
    with pytest.raises(PlanRefused) as caught:
        await any_mode.engine().migrate()
    assert str(caught.value) == NOT_STARTED.format(reason=reason.rstrip("."))
    assert any_mode.ledger() == [1]


async def test_a_batch_waits_while_its_condition_is_true(any_mode: Harness) -> None:
    any_mode.write("V1__t", TABLE + "\n")
    any_mode.write(
        "V0002__gate", "CREATE TABLE gate (shut BOOL NOT NULL); INSERT INTO gate VALUES (true);"
    )
    any_mode.write(
        "V3__add",
        "-- manticore: batch=100 stop_if=SELECT bool_or(shut) FROM gate\nUPDATE t SET n = n + 1;",
    )
    opened = []

    def listen(event: Event) -> None:
        if isinstance(event, BatchPaused) and not opened:
            opened.append(event)
            any_mode.ask("UPDATE gate SET shut = false")

    assert await any_mode.engine(listener=listen).migrate() == 3
    assert counts(any_mode) == [(1, 250)]
    assert len(opened) == 1


async def test_mode_atomic_and_a_batch_do_not_go_together(harness: Harness) -> None:
    add_one(harness, "-- manticore: mode=atomic\n" + ADD_ONE)
    with pytest.raises(PlanRefused) as caught:
        await harness.engine().migrate()
    assert str(caught.value) == (
        "V2__add.sql:3: batch= runs this statement in its own transactions, and "
        "the file says mode=atomic. Move it into a separate script, or remove the mode. Nothing was run."
    )
    assert harness.tables() == []


async def test_a_condition_that_fails_is_reported_with_file_and_line(any_mode: Harness) -> None:
    add_one(
        any_mode,
        "-- manticore: batch=100 stop_if=SELECT shut FROM nowhere\nUPDATE t SET n = n + 1;",
    )
    with pytest.raises(MigrationFailed) as caught:
        await any_mode.engine().migrate()
    assert str(caught.value).startswith("V2__add.sql:2: ")
    assert (
        'its stop_if (SELECT shut FROM nowhere) failed: relation "nowhere" does not exist'
        in str(caught.value)
    )
    assert counts(any_mode) == [(0, 250)]
    any_mode.ask("CREATE TABLE nowhere AS SELECT false AS shut")
    assert await any_mode.engine().migrate() == 1
    assert counts(any_mode) == [(1, 250)]


@pytest.mark.needs_postgresql(
    "CockroachDB gives every table a primary key, and has no such partitions"
)
@pytest.mark.parametrize(
    ("table", "script", "reason"),
    [
        (
            "CREATE TABLE t (id INT8, n INT8);",
            "-- manticore: batch=5\nUPDATE t SET n = 1;",
            (
                "t has no primary key to follow. Name the columns of a unique index with key=. It has no "
                "unique index"
            ),
        ),
        (
            "CREATE TABLE t (id INT8 PRIMARY KEY, n INT8) PARTITION BY RANGE (id);",
            "-- manticore: batch=5\nUPDATE t SET n = 1;",
            (
                "t is a partitioned table: name one of its partitions, and a batch follows the key of an "
                "ordinary table"
            ),
        ),
        (
            "CREATE TABLE t (id INT8 NOT NULL, n INT8); CREATE UNIQUE INDEX few ON t (id) WHERE n > 0;",
            "-- manticore: batch=5 key=id\nUPDATE t SET n = 1;",
            "the index over id covers a part of the rows only; name a unique index of all rows with key=",
        ),
    ],
)
async def test_a_table_without_a_key_to_follow_is_refused(
    any_mode: Harness, table: str, script: str, reason: str
) -> None:
    any_mode.write("V1__t", table)
    any_mode.write("V2__add", script)
    with pytest.raises(PlanRefused) as caught:
        await any_mode.engine().migrate()
    assert str(caught.value) == NOT_STARTED.format(reason=reason)
    assert any_mode.ledger() == [1]


@pytest.mark.needs_postgresql("CockroachDB's statement_timeout has another message")
async def test_a_window_that_no_size_makes_small_enough_fails_with_what_is_done(
    harness: Harness,
) -> None:
    add_one(
        harness,
        "-- manticore: batch=8 target=60s\nUPDATE t SET n = n + 1 WHERE id <> 20 OR "
        "length(pg_sleep(30)::TEXT) = 0;",
    )
    with pytest.raises(MigrationFailed) as caught:
        await harness.engine(statement_timeout=0.5).migrate()
    message = str(caught.value)
    assert message.startswith("V2__add.sql:2: UPDATE t SET n = n + 1 WHERE id <> 20 OR")
    assert "canceling statement due to statement timeout (57014)" in message
    assert "This window had a single row, so no size helps." in message
    assert "windows of it are done and stay done." in message
    assert counts(harness) == [(0, 231), (1, 19)]


async def test_an_edited_batch_can_be_started_again_from_its_first_row(any_mode: Harness) -> None:
    add_one(any_mode)
    with pytest.raises(Stopped):
        await any_mode.engine(listener=stop_after(1)).migrate()
    any_mode.write("V2__add", ADD_ONE.replace("n + 1", "n + 10"))
    with pytest.raises(PlanRefused) as caught:
        await any_mode.engine().migrate()
    assert str(caught.value) == (
        "V2__add.sql:2: version 2 is partially applied, and statement 1, of which 1 "
        "window is done, was changed. Restore it and its batch= option; later ones may be edited. Or start "
        "it again from its first row with manticore_resolve --restart-batch 2: rows of the windows that "
        "are done are then changed again. Nothing was run."
    )
    await any_mode.engine().resolve.restart_batch(2)
    assert await any_mode.engine().migrate() == 1
    assert counts(any_mode) == [(10, 150), (11, 100)]


async def test_only_a_batch_that_has_begun_can_be_started_again(any_mode: Harness) -> None:
    add_one(any_mode)
    await any_mode.engine().migrate(1)
    with pytest.raises(PlanRefused) as caught:
        await any_mode.engine().resolve.restart_batch(2)
    assert str(caught.value) == (
        "no statement of version 2 has begun in batches; see status "
        "(manticore_showmigrations). Nothing was changed."
    )


async def test_a_statement_that_has_begun_in_batches_cannot_continue_as_a_whole(
    any_mode: Harness,
) -> None:
    add_one(any_mode)
    with pytest.raises(Stopped):
        await any_mode.engine(listener=stop_after(1)).migrate()
    any_mode.write("V2__add", "-- no batch any more\nUPDATE t SET n = n + 1;")
    with pytest.raises(PlanRefused, match=r"Restore it and its batch= option"):
        await any_mode.engine().migrate()
    assert counts(any_mode) == [(0, 150), (1, 100)]


async def test_a_batch_cannot_continue_along_another_key(any_mode: Harness) -> None:
    any_mode.write(
        "V1__t",
        TABLE.replace("n INT8 NOT NULL", "n INT8 NOT NULL, other INT8 NOT NULL UNIQUE").replace(
            "SELECT i, 0", "SELECT i, 0, 1000 - i"
        ),
    )
    any_mode.write("V2__add", ADD_ONE)
    with pytest.raises(Stopped):
        await any_mode.engine(listener=stop_after(1)).migrate()
    any_mode.write("V2__add", ADD_ONE.replace("batch=100", "batch=100 key=other"))
    with pytest.raises(PlanRefused) as caught:
        await any_mode.engine().migrate()
    assert str(caught.value) == (
        "V2__add.sql:2: the key that its windows follow, now (other), was "
        "changed since it began. Restore it, or start the batch again from its first row with "
        "manticore_resolve --restart-batch 2: rows of the windows that are done are then changed again. "
        "1 window of it is done and stays done. The batch was not continued."
    )
    any_mode.write("V2__add", ADD_ONE)
    assert await any_mode.engine().migrate() == 1
    assert counts(any_mode) == [(1, 250)]


@pytest.mark.needs_postgresql("CockroachDB sets a DateStyle by database since v22.1 only")
async def test_a_position_reads_the_same_whatever_style_the_next_session_has(
    any_mode: Harness,
) -> None:
    any_mode.write(
        "V1__t",
        "CREATE TABLE t (at TIMESTAMP PRIMARY KEY, n INT8 NOT NULL);\nINSERT INTO t SELECT "
        "TIMESTAMP '2024-01-01' + i * INTERVAL '1 day', 0 FROM generate_series(1, 250) AS g(i);",
    )
    any_mode.write("V2__add", ADD_ONE)
    name = any_mode.one("SELECT current_database()")
    any_mode.ask(f"ALTER DATABASE {name} SET datestyle = 'SQL, DMY'")
    with pytest.raises(Stopped):
        await any_mode.engine(listener=stop_after(1)).migrate()
    position = any_mode.one("SELECT batch_position FROM _migrations_state")
    assert position == '["2024-04-10 00:00:00"]'
    any_mode.ask(f"ALTER DATABASE {name} SET datestyle = 'SQL, MDY'")
    assert await any_mode.engine().migrate() == 1
    assert counts(any_mode) == [(1, 250)]


@pytest.mark.needs_postgresql("CockroachDB has collations of its own")
async def test_an_index_that_sorts_otherwise_than_its_column_changes_nothing(
    any_mode: Harness,
) -> None:
    any_mode.write(
        "V1__t",
        "CREATE TABLE t (k TEXT NOT NULL, n INT8 NOT NULL);\n"
        'CREATE UNIQUE INDEX by_bytes ON t (k COLLATE "C" DESC);\n'
        "INSERT INTO t SELECT chr(64 + i % 60) || i, 0 FROM generate_series(1, 250) AS g(i);",
    )
    any_mode.write("V2__add", ADD_ONE.replace("batch=100", "batch=100 key=k"))
    assert await any_mode.engine().migrate() == 2
    assert counts(any_mode) == [(1, 250)]


async def test_status_says_how_far_a_batch_has_come(any_mode: Harness) -> None:
    add_one(any_mode)
    with pytest.raises(Stopped):
        await any_mode.engine(listener=stop_after(2)).migrate()
    first, second = await any_mode.engine().status()
    assert first.batch is None
    batch = second.batch
    assert batch is not None
    assert (batch.line, batch.position, batch.windows, batch.rows, batch.scanned) == (
        2,
        ("200",),
        2,
        200,
        200,
    )
    assert batch.rate is not None
    assert batch.seconds > 0
    progress = any_mode.told(BatchProgress)[-1] if any_mode.told(BatchProgress) else None
    assert progress is None or progress.position == ("200",)


async def test_progress_has_position_pace_and_time_left(any_mode: Harness) -> None:
    add_one(any_mode)
    await any_mode.engine().migrate(1)
    any_mode.ask("ANALYZE t")
    await any_mode.engine().migrate()
    first, *_, last = any_mode.told(BatchProgress)
    assert first.position == ("100",)
    assert first.rate is not None
    if not any_mode.server_is_cockroachdb:
        assert first.remaining is not None
        assert first.remaining > 0
    assert (last.rows, last.remaining) == (250, 0.0)


async def test_rows_are_counted_after_a_script_has_touched_its_session(any_mode: Harness) -> None:
    add_one(any_mode, f"SET application_name = 'mine';\n{ADD_ONE}")
    with pytest.raises(Stopped):
        await any_mode.engine(listener=stop_after(2)).migrate()
    assert any_mode.record()["batch_rows"] >= 100
    assert await any_mode.engine().migrate() == 1
    assert counts(any_mode) == [(1, 250)]


@pytest.mark.needs_postgresql("CockroachDB before v22.1 has no roles to take")
async def test_rows_are_counted_exactly_as_another_role(harness: Harness) -> None:
    harness.write("V1__t", TABLE)
    await harness.engine().migrate()
    user = harness.one("SELECT 'batch_owner_' || substr(md5(current_database()), 1, 8)")
    harness.ask(f"CREATE ROLE {user}")
    harness.ask(f"GRANT SELECT, UPDATE ON t TO {user}")
    try:
        harness.write("V2__add", f"SET ROLE {user};\n{ADD_ONE}")
        with pytest.raises(Stopped):
            await harness.engine(listener=stop_after(2)).migrate()
        record = harness.record()
        assert (record["batch_rows"], record["owner"]) == (200, None), "the lease was given back"
        assert await harness.engine().migrate() == 1
        assert counts(harness) == [(1, 250)]
        assert harness.told(BatchProgress)[-1].rows == 250
    finally:
        harness.ask(f"DROP OWNED BY {user}; DROP ROLE {user}")


async def test_one_round_trip_sends_a_window_and_finds_the_next(cockroach: Cockroach) -> None:
    add_one(cockroach, ADD_ONE.replace("100", "10"))
    await cockroach.engine().migrate(1)
    cockroach.fake.statements.clear()
    assert await cockroach.engine().migrate() == 1
    assert counts(cockroach) == [(1, 250)]
    asked = [at for at, seen in enumerate(cockroach.fake.statements) if "OFFSET 9" in seen.sql]
    assert len(asked) == 26, "one for each window, and none is asked twice"


@pytest.mark.parametrize(
    ("answer", "said"), [("1", "1"), ("'f'::TEXT", "'f'"), ("count(*) FROM t", "250")]
)
async def test_a_condition_that_is_neither_true_nor_false_is_refused(
    any_mode: Harness, answer: str, said: str
) -> None:
    add_one(any_mode, f"-- manticore: batch=100 stop_if=SELECT {answer}\nUPDATE t SET n = n + 1;")
    with pytest.raises(MigrationFailed) as caught:
        await any_mode.engine().migrate()
    assert (
        f"its stop_if (SELECT {answer}) answered {said}, and a stop_if must answer true or false"
        in str(caught.value)
    )
    assert counts(any_mode) == [(0, 250)]


@pytest.mark.parametrize("answer", ["NULL::BOOL", "true WHERE false", "false"])
async def test_a_condition_without_a_true_answer_stops_nothing(
    any_mode: Harness, answer: str
) -> None:
    add_one(any_mode, f"-- manticore: batch=100 stop_if=SELECT {answer}\nUPDATE t SET n = n + 1;")
    assert await any_mode.engine().migrate() == 2
    assert counts(any_mode) == [(1, 250)]


async def test_a_condition_that_turns_bad_in_mid_way_fails_with_what_is_done(
    any_mode: Harness,
) -> None:
    condition = "stop_if=SELECT 1 / (1 - max(n)) = 5 FROM t"
    add_one(any_mode, ADD_ONE.replace("target=60s", f"target=60s {condition}"))
    with pytest.raises(MigrationFailed) as caught:
        await any_mode.engine().migrate()
    assert "1 window of it is done and stays done." in str(caught.value)
    assert counts(any_mode) == [(0, 150), (1, 100)]
    any_mode.write("V2__add", ADD_ONE)
    assert await any_mode.engine().migrate() == 1
    assert counts(any_mode) == [(1, 250)]


async def test_floats_that_differ_in_their_last_digit_are_each_a_row(harness: Harness) -> None:
    harness.write("V1__t", ALMOST_ONE)
    harness.write("V2__add", ADD_ONE.replace("batch=100", "batch=1"))
    if not harness.server_is_cockroachdb:
        name = harness.one("SELECT current_database()")
        harness.ask(f"ALTER DATABASE {name} SET extra_float_digits = 0")

    def listen(event: Event) -> None:
        harness.events.append(event)
        assert len(harness.told(BatchProgress)) < 20, "it does not get on"

    assert await harness.engine(listener=listen).migrate() == 2
    assert counts(harness) == [(1, 12)]


async def test_a_batch_whose_position_does_not_advance_is_given_up(cockroach: Cockroach) -> None:
    """PostgreSQL behind the stand-in rounds floats as decimals, which no CockroachDB does."""
    cockroach.write("V1__t", ALMOST_ONE)
    cockroach.write("V2__add", ADD_ONE.replace("batch=100", "batch=1"))
    with pytest.raises(MigrationFailed) as caught:
        await cockroach.engine().migrate()
    assert (
        "the row after 1 reads the same as text, so the batch would not advance; name another key with key="
    ) in str(caught.value)


async def test_intervals_which_cockroachdb_compares_otherwise_than_it_sorts_are_no_key(
    cockroach: Cockroach,
) -> None:
    """On v22.1 the second of these is less than the first, and comes after it in an index."""
    cockroach.write(
        "V1__t",
        "CREATE TABLE t (part INT8, i INTERVAL, n INT8 NOT NULL, PRIMARY KEY (part, i));\n"
        "INSERT INTO t VALUES (1, '-86 days 19:22:42', 0), (1, '-90 days 122:02:10', 0);",
    )
    cockroach.write("V2__add", ADD_ONE)
    with pytest.raises(PlanRefused) as caught:
        await cockroach.engine().migrate()
    reason = (
        "i is an INTERVAL, which CockroachDB compares otherwise than it sorts: windows would miss rows. "
        "Name another key with key="
    )
    assert str(caught.value) == NOT_STARTED.format(reason=reason)
    assert counts(cockroach) == [(0, 2)]


@pytest.mark.needs_postgresql("NOT NULL … NOT VALID is PostgreSQL's, from version 18 on")
async def test_a_key_whose_not_null_is_not_validated_may_hold_nulls(harness: Harness) -> None:
    if int(harness.one("SHOW server_version_num")) < 180000:
        pytest.skip("this server has no such constraints")
    harness.write(
        "V1__t",
        "CREATE TABLE t (id INT8 UNIQUE, n INT8);\nINSERT INTO t VALUES (1, 0), (NULL, 0);\n"
        "ALTER TABLE t ADD CONSTRAINT there NOT NULL id NOT VALID;",
    )
    harness.write("V2__add", ADD_ONE.replace("batch=100", "batch=100 key=id"))
    with pytest.raises(PlanRefused, match="id may be NULL, and such rows belong to no window"):
        await harness.engine().migrate()


async def test_rows_that_come_and_go_meanwhile_are_changed_once_if_they_are_ahead(
    any_mode: Harness,
) -> None:
    add_one(any_mode)

    def listen(event: Event) -> None:
        any_mode.events.append(event)
        if isinstance(event, BatchProgress) and event.windows == 1:
            any_mode.ask("DELETE FROM t WHERE id IN (50, 150, 199, 200)")
            any_mode.ask("INSERT INTO t VALUES (-5, 0), (151000, 0)")
            any_mode.ask("INSERT INTO t SELECT i, 0 FROM generate_series(1000, 1400) AS g(i)")

    assert await any_mode.engine(listener=listen).migrate() == 2
    assert any_mode.ask("SELECT id FROM t WHERE n <> 1 ORDER BY id") == [(-5,)]
    assert counts(any_mode) == [(0, 1), (1, 250 - 4 + 1 + 401)]
    assert max(event.size for event in any_mode.told(BatchProgress)) == 100


async def test_an_empty_table_and_one_without_rows_to_change_are_done_in_no_time(
    any_mode: Harness,
) -> None:
    any_mode.write("V1__t", "CREATE TABLE t (id INT8 PRIMARY KEY, n INT8 NOT NULL);")
    any_mode.write("V2__add", ADD_ONE)
    any_mode.write("V3__row", "INSERT INTO t VALUES (7, 0);")
    any_mode.write("V4__add", ADD_ONE)
    any_mode.write("V5__none", f"{ADD_ONE.rstrip(';')} WHERE n > 99 OR id = -1;")
    assert await any_mode.engine().migrate() == 5
    assert counts(any_mode) == [(1, 1)]
    assert [(event.windows, event.rows) for event in any_mode.told(BatchProgress)] == [
        (1, 0),
        (1, 1),
        (1, 0),
    ]


@pytest.mark.needs_postgresql("on CockroachDB nobody can define an aggregate")
@pytest.mark.parametrize("called", ["total", '"other".total'])
async def test_an_aggregate_that_a_user_has_defined_is_refused(
    harness: Harness, called: str
) -> None:
    """A function of the same name that does not aggregate is another one, on another path."""
    aggregate = "(INT8) (sfunc = int8pl, stype = INT8, initcond = '0')"
    harness.write(
        "V1__t",
        "CREATE TABLE t (id INT8 PRIMARY KEY);\nINSERT INTO t VALUES (1), (2);\n"
        "CREATE TABLE sums (n INT8);\nCREATE SCHEMA other;\n"
        f"CREATE AGGREGATE {called} {aggregate};\nCREATE AGGREGATE other.twice {aggregate};\n"
        "CREATE FUNCTION twice(INT8) RETURNS INT8 LANGUAGE sql AS 'SELECT 2 * $1';\n",
    )
    script = "-- manticore: batch=100\nINSERT INTO sums SELECT {} FROM t;"
    harness.write("V2__add", script.format(f"twice({called}(id))"))
    with pytest.raises(PlanRefused) as caught:
        await harness.engine().migrate()
    reason = "total works on all rows at once: over windows it would give one result each"
    assert str(caught.value) == NOT_STARTED.format(reason=reason)
    harness.write("V2__add", script.format("twice(id)"))
    assert await harness.engine().migrate() == 1
    assert harness.ask("SELECT n FROM sums ORDER BY n") == [(2,), (4,)]
