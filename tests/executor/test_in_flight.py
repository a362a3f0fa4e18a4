"""A statement was in flight when its runner died or its connection was cut: what the next run does.

Other databases of the cluster have the same tables, and the same user changes them: none of their jobs
may count for this one's.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from manticore_cockroachdb.errors import JobFailed, MigrationFailed, OutcomeUnknown, PlanRefused
from manticore_cockroachdb.events import JobsAwaited, Reconciled
from tests.fake_cockroach import drop_after, drop_before, drop_during, error, error_after
from tests.harness import Cockroach, Harness, eventually
from tests.waiting import PATIENCE

#: The same user's jobs in a database beside this one, on tables of the same names.
NEXT_DOOR = {
    "CREATE UNIQUE INDEX t_v ON t (v)": "CREATE UNIQUE INDEX t_v ON next_door.public.t (v)",
    "ALTER TABLE t ADD CHECK (v > 0)": "ALTER TABLE next_door.public.t ADD CHECK (v > 0)",
    "ALTER TABLE t ADD COLUMN w INT8": "ALTER TABLE next_door.public.t ADD COLUMN w INT8",
    "CREATE TABLE x9 (a INT8)": "DROP TABLE next_door.public.x9",
    "DROP TABLE IF EXISTS lo": "TRUNCATE TABLE next_door.public.lo",
    "TRUNCATE lo": "TRUNCATE TABLE next_door.public.lo",
    "ALTER TABLE t DROP COLUMN v": "ALTER TABLE next_door.public.t DROP COLUMN v",
}


@pytest.fixture
def ready(cockroach: Cockroach) -> Cockroach:
    """Tables with rows, and every schema statement makes its jobs, as on CockroachDB."""
    cockroach.fake.jobs.made_by_all = True
    cockroach.write(
        "V1__tables",
        "CREATE TABLE t (v INT8, s TEXT); CREATE TABLE lo (v INT8); INSERT INTO lo VALUES (1), (2)",
    )
    return cockroach


async def applied(harness: Cockroach, *versions: int) -> None:
    assert await harness.engine().migrate(versions[-1]) == len(versions)


def findings(harness: Harness) -> list[str]:
    return [event.finding for event in harness.told(Reconciled)]


def catalog(harness: Harness) -> dict[str, Any]:
    """What the statements of these tests leave."""
    return {
        "tables": [name for name in harness.tables() if not name.startswith("_")],
        "columns": harness.ask(
            "SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 "
            "AND NOT attisdropped ORDER BY 1"
        ),
        "indexes": harness.ask("SELECT indexname FROM pg_indexes WHERE tablename = 't' ORDER BY 1"),
        "checks": harness.ask(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass "
            "ORDER BY 1"
        ),
        "rows": harness.ask("SELECT count(*) FROM lo") if "lo" in harness.tables() else None,
    }


@pytest.mark.parametrize("status", ["succeeded", "failed", "paused"])
@pytest.mark.parametrize("sql", NEXT_DOOR)
async def test_what_never_arrived_is_sent_again_whatever_another_database_does(
    ready: Cockroach, sql: str, status: str
) -> None:
    ready.write("V2__change", sql)
    await applied(ready, 1)
    ready.fake.rule(
        lambda text: text == sql and bool(ready.fake.jobs.add(NEXT_DOOR[sql], status)),
        then=drop_before(),
    )
    assert await ready.engine().migrate() == 1
    assert len(ready.sent(sql)) == 2
    there = catalog(ready)
    match sql.split():
        case ["CREATE", "UNIQUE", *_]:
            assert there["indexes"] == [("t_v",)]
        case ["CREATE", "TABLE", *_]:
            assert there["tables"] == ["lo", "t", "x9"]
        case ["DROP", *_]:
            assert there["tables"] == ["t"]
        case ["TRUNCATE", *_]:
            assert there["rows"] == [(0,)]
        case [*_, "COLUMN", "v"]:
            assert there["columns"] == [("s",)]
        case [*_, "w", "INT8"]:
            assert there["columns"] == [("s",), ("v",), ("w",)]
        case _:
            assert there["checks"] == [("CHECK ((v > 0))",)]
    assert ready.ledger() == [1, 2]
    assert ready.free()


@pytest.mark.parametrize("cut", [drop_after(), drop_during()])
@pytest.mark.parametrize("sql", [sql for sql in NEXT_DOOR if not sql.startswith("CREATE TABLE")])
async def test_what_took_effect_is_known_by_its_own_job(
    ready: Cockroach, sql: str, cut: Any
) -> None:
    ready.write("V2__change", sql)
    await applied(ready, 1)
    ready.fake.rule(
        lambda text: text == sql and bool(ready.fake.jobs.add(NEXT_DOOR[sql], "failed")),
        then=cut,
    )
    assert await ready.engine().migrate() == 1
    assert len(ready.sent(sql)) == 1
    (finding,) = findings(ready)
    assert finding.startswith("its job ")
    assert finding.endswith(" succeeded")
    assert ready.warnings() == []


async def test_a_job_by_hand_on_the_same_table_is_not_the_scripts(ready: Cockroach) -> None:
    sql = "ALTER TABLE t ADD CHECK (v > 0)"
    ready.write("V2__change", sql)
    await applied(ready, 1)

    def by_hand(text: str) -> bool:
        if text != sql or len(ready.sent(sql)) > 1:
            return False
        ready.ask("CREATE INDEX by_hand ON t (v)")
        ready.ask("ALTER TABLE t ADD UNIQUE (v)")
        ready.fake.jobs.add(f"CREATE INDEX by_hand ON {ready.place}.t (v)", "succeeded")
        return True

    ready.fake.rule(by_hand, then=drop_before())
    assert await ready.engine().migrate() == 1
    assert findings(ready) == ["it did not take effect; it is sent again"]
    assert ("CHECK ((v > 0))",) in catalog(ready)["checks"]


@pytest.mark.parametrize(
    ("sql", "cut", "sent", "finding"),
    [
        ("CREATE INDEX ON t (v, s)", drop_before(), 2, "it did not take effect; it is sent again"),
        ("CREATE INDEX ON t (v, s)", drop_after(), 1, "what it does is done"),
        ("ALTER TABLE t ADD CHECK (v > 0 AND s <> 'x')", drop_after(), 1, "what it does is done"),
        ("TRUNCATE lo", drop_before(), 2, "it did not take effect; it is sent again"),
        ("DROP TABLE lo", drop_after(), 1, "what it does is done"),
        ("ALTER TABLE t DROP COLUMN v", drop_after(), 1, "what it does is done"),
    ],
)
async def test_the_catalogs_tell_where_the_server_has_no_job(
    ready: Cockroach, sql: str, cut: Any, sent: int, finding: str
) -> None:
    ready.fake.jobs.made_by_all = False
    ready.write("V2__change", sql)
    await applied(ready, 1)

    def somebody_adds_an_index(text: str) -> bool:
        if text == sql and "INDEX" in sql and len(ready.sent(sql)) == 1:
            ready.ask("CREATE INDEX by_hand ON t (s)")
        return text == sql

    ready.fake.rule(somebody_adds_an_index, then=cut)
    assert await ready.engine().migrate() == 1
    assert len(ready.sent(sql)) == sent
    assert findings(ready) == [finding]


async def test_evidence_is_taken_in_the_schema_the_statement_will_use(ready: Cockroach) -> None:
    ready.fake.jobs.made_by_all = False
    ready.ask("CREATE SCHEMA tenant; CREATE TABLE tenant.t (v INT8)")
    ready.write(
        "V2__index",
        "CREATE TABLE n (i INT8);\nSET search_path = tenant, public;\nCREATE INDEX ON t (v);",
    )
    await applied(ready, 1)

    def somebody_adds_one_in_public(text: str) -> bool:
        if text == "CREATE INDEX ON t (v)" and len(ready.sent(text)) == 1:
            ready.ask("CREATE INDEX ON public.t (v)")
            return True
        return False

    ready.fake.rule(somebody_adds_one_in_public, then=drop_before())
    assert await ready.engine().migrate() == 1
    assert findings(ready) == ["it did not take effect; it is sent again"]
    assert ready.one("SELECT count(*) FROM pg_indexes WHERE schemaname = 'tenant'") == 1


async def test_a_job_in_another_schema_of_the_path_is_not_surely_ours(ready: Cockroach) -> None:
    ready.fake.jobs.made_by_all = False
    ready.ask("CREATE SCHEMA tenant; CREATE TABLE tenant.t (v INT8)")
    ready.write("V2__index", "SET search_path = tenant, public;\nCREATE INDEX i ON t (v);")
    await applied(ready, 1)
    place = ready.place.removesuffix(".public")
    ready.fake.rule(
        lambda text: (
            text == "CREATE INDEX i ON t (v)"
            and bool(ready.fake.jobs.add(f"CREATE INDEX i ON {place}.public.t (v)", "succeeded"))
        ),
        then=drop_before(),
    )
    assert await ready.engine().migrate() == 1
    assert findings(ready) == ["nothing shows that it took effect; it is sent again"]
    assert ready.one("SELECT count(*) FROM pg_indexes WHERE schemaname = 'tenant'") == 1


# -- what a second sending would destroy ------------------------------------------------------------

UNKNOWN = (
    "V2__change.sql:1: {0} has an unknown outcome: the previous run ended before the server "
    "answered, and {1}. It was not sent "
    "again, because sending it again could delete what was created since. Look at the database; if the "
    "statement took effect, finish the rest of the script by hand and record that version 2 is applied, or "
    "revert it by hand and record the opposite, with manticore_resolve --applied 2 or --not-applied 2."
)
NOTHING_TELLS = "nothing on the server shows whether it took effect"


async def crashed(harness: Cockroach, sql: str, *, days: int = 0) -> None:
    """A runner died with version 2 in flight; what it sent took effect, and new rows came since."""
    harness.write("V2__change", sql)
    await applied(harness, 1)
    harness.ask(
        "UPDATE _migrations_state SET version = 2, direction = 'up', statements_done = 0, "
        "in_flight = true, "
        f"sent_at = clock_timestamp() - INTERVAL '{days} days 1 minute', traces = NULL"
    )


@pytest.mark.parametrize("sql", ["TRUNCATE lo", "DROP TABLE lo", "ALTER TABLE lo DROP COLUMN v"])
async def test_what_takes_rows_away_is_not_sent_again_days_later(
    ready: Cockroach, sql: str
) -> None:
    await crashed(ready, sql, days=2)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown) as caught:
            await ready.engine().migrate()
        assert str(caught.value) == UNKNOWN.format(sql, NOTHING_TELLS)
        assert (caught.value.version, caught.value.line) == (2, 1)
    assert ready.sent(sql) == []
    assert ready.one("SELECT count(*) FROM lo") == 2
    assert ready.ledger() == [1]


async def test_a_young_one_without_any_job_never_arrived(ready: Cockroach) -> None:
    await crashed(ready, "TRUNCATE lo")
    assert await ready.engine().migrate() == 1
    assert findings(ready) == ["the server has no job of it, so it did not take effect"]
    assert ready.one("SELECT count(*) FROM lo") == 0


async def test_a_young_one_beside_a_job_that_may_be_its_own_is_not_sent_again(
    ready: Cockroach,
) -> None:
    await crashed(ready, "TRUNCATE lo")
    place = ready.place.replace("public", "archive")
    job = ready.fake.jobs.add(f"TRUNCATE TABLE {place}.lo", "succeeded")
    with pytest.raises(OutcomeUnknown) as caught:
        await ready.engine().migrate()
    reason = (
        "the jobs that may be its own do not show whether it took "
        f"effect (job {job.job_id}, succeeded: TRUNCATE TABLE {place}.lo)"
    )
    assert str(caught.value) == UNKNOWN.format("TRUNCATE lo", reason)


async def test_its_own_job_of_days_ago_still_counts(ready: Cockroach) -> None:
    await crashed(ready, "TRUNCATE lo", days=2)
    ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=2)
    job = ready.fake.jobs.add(f"TRUNCATE TABLE {ready.place}.lo", "succeeded", created=ago)
    assert await ready.engine().migrate() == 1
    assert findings(ready) == [f"its job {job.job_id} succeeded"]
    assert ready.one("SELECT count(*) FROM lo") == 2


@pytest.mark.parametrize(("name", "printed"), [("vw", "vw"), ('"V w"', '\\"V w\\"')])
@pytest.mark.parametrize("cut", [drop_after(), drop_during()])
async def test_a_view_whose_rows_are_not_there_yet_is_not_taken_for_done(
    ready: Cockroach, name: str, printed: str, cut: Any
) -> None:
    sql = f"CREATE MATERIALIZED VIEW {name} AS SELECT v FROM t"
    ready.write("V2__view", sql)
    await applied(ready, 1)
    description = f'CREATE VIEW "{printed}" AS "SELECT v FROM {ready.place}.t"'
    next_door = f'CREATE VIEW "{printed}" AS "SELECT v FROM next_door.public.t"'
    ready.fake.jobs.add(next_door, "paused")
    job = ready.fake.jobs.add(description, "paused")
    ready.fake.rule(lambda text: text == sql and len(ready.sent(sql)) == 1, then=cut)
    with pytest.raises(JobFailed) as caught:
        await ready.engine().migrate()
    assert (caught.value.job_id, caught.value.status) == (job.job_id, "paused")
    assert ready.ledger() == [1]
    job.to("succeeded")
    assert await ready.engine().migrate() == 1
    assert ready.ledger() == [1, 2]


async def test_a_value_that_is_still_being_added_is_not_taken_for_done(ready: Cockroach) -> None:
    sql = "ALTER TYPE mood ADD VALUE 'für''s'"
    ready.write("V2__type", "CREATE TYPE mood AS ENUM ('a')")
    ready.write("V3__value", sql)
    await applied(ready, 1, 2)
    ready.fake.jobs.made_by_all = False
    description = f"ALTER TYPE {ready.place}.mood ADD VALUE e'f\\u00FCr\\'s'"
    other = ready.fake.jobs.add(description, "paused", user_name="somebody")
    ready.ask(sql)
    ready.fake.rule(lambda text: text == sql and len(ready.sent(sql)) == 1, then=drop_before())
    with pytest.raises(JobFailed) as caught:
        await ready.engine().migrate()
    assert (caught.value.job_id, caught.value.status) == (other.job_id, "paused")
    assert ready.ledger() == [1, 2]


# -- IF [NOT] EXISTS --------------------------------------------------------------------------------

SEVERAL = "ALTER TABLE t ADD COLUMN IF NOT EXISTS w INT8, ADD CHECK (v > 0), ADD UNIQUE (v)"


@pytest.mark.parametrize("status", ["running", "paused"])
@pytest.mark.parametrize(
    "description",
    [
        "ALTER TABLE {0}.t ADD COLUMN id INT8",
        "CREATE INDEX by_hand ON {0}.t (v)",
        "ALTER TABLE {0}.lo ADD COLUMN w INT8",
        "ALTER TABLE next_door.public.t ADD COLUMN w INT8",
    ],
)
async def test_a_change_of_something_else_does_not_hold_it_up(
    ready: Cockroach, description: str, status: str
) -> None:
    ready.fake.jobs.add(description.format(ready.place), status, user_name="somebody")
    ready.write("V2__several", SEVERAL)
    assert await ready.engine().migrate() == 2
    assert len(ready.sent(SEVERAL)) == 1
    assert catalog(ready)["checks"] == [("CHECK ((v > 0))",), ("UNIQUE (v)",)]
    assert ready.told(JobsAwaited) == []


async def test_a_change_of_the_very_column_is_waited_for_and_nothing_done_twice(
    ready: Cockroach,
) -> None:
    ready.write("V2__several", SEVERAL)
    await applied(ready, 1)
    description = f"ALTER TABLE {ready.place}.t ADD COLUMN w INT8"
    other = ready.fake.jobs.add(description, "running", user_name="somebody")
    done: list[int] = []

    async def migrate() -> None:
        done.append(await ready.engine().migrate())

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(migrate)
            await eventually(lambda: ready.told(JobsAwaited))
            assert ready.ledger() == [1]
            other.to("succeeded")
    assert done == [1]
    assert len(ready.sent(SEVERAL)) == 1
    assert catalog(ready)["checks"] == [("CHECK ((v > 0))",), ("UNIQUE (v)",)]


async def test_where_that_change_failed_a_person_is_asked(ready: Cockroach) -> None:
    ready.write("V2__several", SEVERAL)
    await applied(ready, 1)
    description = f"ALTER TABLE {ready.place}.t ADD COLUMN w INT8"
    other = ready.fake.jobs.add(description, ["running", "failed"], user_name="somebody")
    with pytest.raises(OutcomeUnknown) as caught:
        await ready.engine().migrate()
    assert str(caught.value) == (
        "V2__several.sql:1: ALTER TABLE t ADD COLUMN IF NOT EXISTS w INT8, ADD CHECK (v… was answered "
        "while another schema change of the same object ran, which then did not leave it as this statement "
        f"wants it (job {other.job_id}, failed: {description}). It was not sent again, because it could "
        "take effect twice. Look at the database; if the statement took effect, finish the rest of "
        "the script by hand and record that version 2 is applied, or revert it by hand and record "
        "the opposite, with manticore_resolve --applied 2 or --not-applied 2."
    )
    assert len(ready.sent(SEVERAL)) == 1


# -- a dropped column beside a change that may fail ---------------------------------------------------

ISSUE = "https://github.com/cockroachdb/cockroach/issues/46541"


async def test_a_dropped_column_beside_a_change_that_may_fail_is_refused(
    cockroach: Cockroach,
) -> None:
    cockroach.write("V1__t", "CREATE TABLE t (a INT8, b INT8)")
    cockroach.write("V2__both", "SELECT 1;\nALTER TABLE t DROP b, ADD CONSTRAINT u UNIQUE (a);")
    with pytest.raises(PlanRefused) as caught:
        await cockroach.engine().migrate()
    assert str(caught.value) == (
        "V2__both.sql:2: this statement drops column b and makes another change that "
        "fails if the rows do not fit. If that fails, CockroachDB brings the column back with every value "
        f"NULL ({ISSUE}). Write two statements: first an ALTER TABLE with the other changes, then "
        "ALTER TABLE … DROP COLUMN b. Nothing was run."
    )
    assert "t" not in cockroach.tables()


async def test_in_one_transaction_two_statements_are_one(cockroach: Cockroach) -> None:
    cockroach.write("V1__t", "CREATE TABLE t (a INT8, b INT8)")
    cockroach.write(
        "V2__both",
        "-- manticore: mode=atomic\nALTER TABLE t DROP COLUMN b;\nCREATE UNIQUE INDEX u ON t (a);",
    )
    with pytest.raises(PlanRefused) as caught:
        await cockroach.engine().migrate()
    assert str(caught.value) == (
        "V2__both.sql:2: this statement drops column b in one transaction with the one "
        "in line 3, which fails if the rows do not fit. If that fails, CockroachDB brings the column back "
        f"with every value NULL ({ISSUE}). Remove mode=atomic and drop the column after that statement, "
        "or in a later script. Nothing was run."
    )


@pytest.mark.needs_postgresql("CockroachDB refuses such a statement before it runs")
async def test_postgresql_takes_both_back(harness: Harness) -> None:
    harness.write("V1__t", "CREATE TABLE t (a INT8, b INT8); INSERT INTO t VALUES (1, 10), (1, 20)")
    harness.write("V2__both", "ALTER TABLE t DROP COLUMN b, ADD CONSTRAINT u UNIQUE (a)")
    with pytest.raises(MigrationFailed):
        await harness.engine().migrate()
    assert harness.ask("SELECT b FROM t ORDER BY 1") == [(10,), (20,)]


async def test_after_a_job_with_a_dropped_column_failed_the_loss_is_reported(
    ready: Cockroach,
) -> None:
    sql = "ALTER TABLE t DROP COLUMN v, ADD COLUMN n INT8 DEFAULT 0"
    await crashed(ready, sql)
    description = f"ALTER TABLE {ready.place}.t DROP COLUMN v, ADD COLUMN n INT8 DEFAULT 0"
    job = ready.fake.jobs.add(description, "canceled")
    with pytest.raises(JobFailed) as caught:
        await ready.engine().migrate()
    assert str(caught.value) == (
        f"V2__change.sql:1: its schema change did not succeed: job {job.job_id}, canceled: {description}.\n"
        "  What column t.v held may be lost: when the server restores a dropped column, it "
        "leaves NULLs in it "
        f"({ISSUE}). Look at the table before you run again.\n"
        "  The server rolled the change back. Fix the cause (the rows, or the statement) and run again."
    )


# -- canceled, by a limit or a person -------------------------------------------------------------------

CANCELED = "query execution canceled due to statement timeout"


async def test_a_schema_change_that_outlives_its_canceled_statement_is_waited_for(
    ready: Cockroach,
) -> None:
    sql = "CREATE INDEX t_v ON t (v)"
    ready.write("V2__change", sql)
    await applied(ready, 1)
    ready.fake.rule(lambda text: text == sql, then=error_after("57014", CANCELED))
    assert await ready.engine().migrate() == 1
    assert len(ready.sent(sql)) == 1
    (finding,) = findings(ready)
    assert finding.startswith("its job ")
    assert finding.endswith(" succeeded")
    assert ready.ledger() == [1, 2]


async def test_a_schema_change_that_is_always_canceled_is_reported_with_file_and_line(
    ready: Cockroach,
) -> None:
    sql = "CREATE INDEX t_v ON t (v)"
    ready.fake.jobs.made_by_all = False
    ready.write("V2__change", f"SELECT 1;\n{sql};")
    await applied(ready, 1)
    rule = ready.fake.rule(lambda text: text == sql, nth=None, then=error("57014", CANCELED))
    with pytest.raises(MigrationFailed) as caught:
        await ready.engine().migrate()
    assert str(caught.value) == (
        f"V2__change.sql:2: the server twice canceled {sql}: {CANCELED} (57014)\n"
        "  It is not sent a third time. Version 2 is not recorded as finished. Raise the limit "
        "(statement_timeout, STATEMENT_TIMEOUT), or find out who cancels the statement, and migrate again: "
        "a schema change that continues in the server is waited for."
    )
    assert (caught.value.line, caught.value.sqlstate, rule.fired) == (2, "57014", 2)
    assert ready.ledger() == [1]
