"""Statements that run in batches: every row exactly once, whatever dies in between."""

from __future__ import annotations

from typing import Any

import pytest

from manticore_cockroachdb.errors import MigrationFailed, PlanRefused
from manticore_cockroachdb.events import BatchPaused, BatchProgress, Event, StatementFinished
from tests.engine.bench import Bench, Cockroach
from tests.standin import drop_after, drop_before, error

TABLE = (
    "CREATE TABLE t (id INT8 PRIMARY KEY, n INT8 NOT NULL);"
    "\nINSERT INTO t SELECT i, 0 FROM generate_series(1, 250) AS g(i);\n-- DOWN\nDROP TABLE t;"
)
ADD_ONE = "-- manticore: batch=100\nUPDATE t SET n = n + 1;"
NOT_STARTED = "A batch was not started: V2__add.sql:2: {reason}. Nothing of this statement was run."


def add_one(bench: Bench, script: str = ADD_ONE) -> None:
    bench.write("V1__t", TABLE)
    bench.write("V2__add", script)


def counts(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.ask("SELECT n, count(*) FROM t GROUP BY n ORDER BY n")


class Stopped(KeyboardInterrupt):
    """Ctrl-C, for the test."""


def stop_after(windows: int) -> Any:
    def listen(event: Event) -> None:
        if isinstance(event, BatchProgress) and event.windows == windows:
            raise Stopped

    return listen


async def test_each_window_is_a_transaction_and_each_row_is_changed_once(anywhere: Bench) -> None:
    add_one(anywhere)
    assert await anywhere.engine().migrate() == 2
    assert counts(anywhere) == [(1, 250)]
    progress = [(event.windows, event.rows) for event in anywhere.told(BatchProgress)]
    assert progress[-1] == (len(progress), 250)
    assert len(progress) >= 3
    assert [event.statement.line for event in anywhere.told(StatementFinished)][-1] == 2
    assert anywhere.ledger() == [1, 2]
    assert anywhere.record()["batch_position"] is None


async def test_a_run_that_was_stopped_continues_after_the_last_window(anywhere: Bench) -> None:
    add_one(anywhere)
    with pytest.raises(Stopped):
        await anywhere.engine(listener=stop_after(2)).migrate()
    assert counts(anywhere) == [(0, 50), (1, 200)]
    assert anywhere.ledger() == [1]
    record = anywhere.record()
    assert (record["batch_position"], record["batch_windows"]) == ('["200"]', 2)
    assert await anywhere.engine().migrate() == 1
    assert counts(anywhere) == [(1, 250)]
    assert [event.windows for event in anywhere.told(BatchProgress)] == [3]


async def test_a_batch_that_has_begun_must_not_be_edited(anywhere: Bench) -> None:
    add_one(anywhere)
    with pytest.raises(Stopped):
        await anywhere.engine(listener=stop_after(1)).migrate()
    anywhere.write("V2__add", ADD_ONE.replace("n + 1", "n + 2"))
    with pytest.raises(PlanRefused, match="its first statement, which is done or under way"):
        await anywhere.engine().migrate()
    anywhere.write("V2__add", ADD_ONE)
    assert await anywhere.engine().migrate() == 1
    assert counts(anywhere) == [(1, 250)]


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("cut", [drop_before, drop_after])
async def test_a_window_whose_answer_was_lost_is_neither_lost_nor_repeated(
    cockroach: Cockroach, cut: Any, nth: int
) -> None:
    add_one(cockroach)
    await cockroach.engine().migrate(1)
    cockroach.standin.rule("^COMMIT", nth=nth, then=cut())
    assert await cockroach.engine().migrate() == 1
    assert counts(cockroach) == [(1, 250)]


async def test_a_window_that_is_asked_to_try_again_is_tried_with_half_the_rows(
    cockroach: Cockroach,
) -> None:
    add_one(cockroach)
    await cockroach.engine().migrate(1)
    cockroach.standin.rule("^COMMIT", nth=1, then=error("40001", "restart transaction"))
    assert await cockroach.engine().migrate() == 1
    assert counts(cockroach) == [(1, 250)]
    assert cockroach.told(BatchProgress)[0].rows == 50


async def test_a_row_that_is_refused_fails_its_window_only(anywhere: Bench) -> None:
    anywhere.write(
        "V1__t", TABLE.replace("n INT8 NOT NULL", "n INT8 NOT NULL CHECK (id <> 150 OR n = 0)")
    )
    anywhere.write("V2__add", ADD_ONE)
    with pytest.raises(MigrationFailed, match=r"V2__add\.sql:2: UPDATE t SET n = n \+ 1"):
        await anywhere.engine().migrate()
    assert counts(anywhere) == [(0, 150), (1, 100)]
    anywhere.ask("DELETE FROM t WHERE id = 150")
    assert await anywhere.engine().migrate() == 1
    assert counts(anywhere) == [(1, 249)]


async def test_delete_and_insert_run_in_batches_on_the_way_down_too(anywhere: Bench) -> None:
    anywhere.write("V1__t", TABLE)
    anywhere.write(
        "V2__copy",
        "CREATE TABLE c (id INT8 PRIMARY KEY);\n"
        "-- manticore: batch=100\nINSERT INTO c SELECT x.id FROM t AS x WHERE x.id > 50 OR x.n > 0;\n"
        "-- DOWN\n-- manticore: batch=70\nDELETE FROM c;\nDROP TABLE c;",
    )
    assert await anywhere.engine().migrate() == 2
    assert anywhere.one("SELECT count(*) FROM c") == 200
    assert await anywhere.engine().rollback() == 1
    assert anywhere.ledger() == [1]


async def test_a_composite_key_is_followed_in_its_order(anywhere: Bench) -> None:
    anywhere.write(
        "V1__t",
        "CREATE TABLE t (a TEXT NOT NULL, b INT8 NOT NULL, n INT8 NOT NULL, id UUID, "
        "PRIMARY KEY (id), CONSTRAINT ab UNIQUE (a, b));\n"
        "INSERT INTO t SELECT 'x' || (i % 7)::TEXT, i, 0, gen_random_uuid() "
        "FROM generate_series(1, 200) AS g(i);",
    )
    anywhere.write("V2__add", "-- manticore: batch=30 key=a,b\nUPDATE t SET n = n + 1 WHERE b > 0;")
    anywhere.write("V3__add", "-- manticore: batch=30\nUPDATE t SET n = n + 1;")
    assert await anywhere.engine().migrate() == 3
    assert counts(anywhere) == [(2, 200)]


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
    anywhere: Bench, table: str, script: str, reason: str
) -> None:
    anywhere.write("V1__t", table)
    anywhere.write("V2__add", script)
    with pytest.raises(PlanRefused) as caught:
        await anywhere.engine().migrate()
    assert str(caught.value) == NOT_STARTED.format(reason=reason.rstrip("."))
    assert anywhere.ledger() == [1]


async def test_a_batch_waits_while_its_condition_is_true(anywhere: Bench) -> None:
    anywhere.write("V1__t", TABLE + "\n")
    anywhere.write(
        "V0002__gate", "CREATE TABLE gate (shut BOOL NOT NULL); INSERT INTO gate VALUES (true);"
    )
    anywhere.write(
        "V3__add",
        "-- manticore: batch=100 stop_if=SELECT bool_or(shut) FROM gate\nUPDATE t SET n = n + 1;",
    )
    opened = []

    def listen(event: Event) -> None:
        if isinstance(event, BatchPaused) and not opened:
            opened.append(event)
            anywhere.ask("UPDATE gate SET shut = false")

    assert await anywhere.engine(listener=listen).migrate() == 3
    assert counts(anywhere) == [(1, 250)]
    assert len(opened) == 1


async def test_mode_atomic_and_a_batch_do_not_go_together(bench: Bench) -> None:
    add_one(bench, "-- manticore: mode=atomic\n" + ADD_ONE)
    with pytest.raises(PlanRefused) as caught:
        await bench.engine().migrate()
    assert str(caught.value) == (
        "Nothing was run: V2__add.sql:3: batch= runs this statement in transactions of its own, and the "
        "file says mode=atomic. Move it into a script of its own, or remove the mode."
    )
    assert bench.tables() == []


async def test_a_condition_that_fails_is_told_with_file_and_line(anywhere: Bench) -> None:
    add_one(
        anywhere,
        "-- manticore: batch=100 stop_if=SELECT shut FROM nowhere\nUPDATE t SET n = n + 1;",
    )
    with pytest.raises(MigrationFailed) as caught:
        await anywhere.engine().migrate()
    assert str(caught.value).startswith("V2__add.sql:2: ")
    assert (
        'its stop_if (SELECT shut FROM nowhere) failed: relation "nowhere" does not exist'
        in str(caught.value)
    )
    assert counts(anywhere) == [(0, 250)]
    anywhere.ask("CREATE TABLE nowhere AS SELECT false AS shut")
    assert await anywhere.engine().migrate() == 1
    assert counts(anywhere) == [(1, 250)]
