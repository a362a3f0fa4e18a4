"""What fails is tried again for as long as a script gets on, and no longer."""

from __future__ import annotations

import pytest

from manticore_cockroachdb import Mode
from manticore_cockroachdb.errors import ConnectionLost, MigrationFailed
from manticore_cockroachdb.events import Reconnecting, Retrying, StepStarted
from tests.fake_cockroach import FakeCockroach, drop_before, error
from tests.harness import Cockroach, Harness

pytestmark = pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses of a run that gives up take a minute: chance makes them short here."""
    monkeypatch.setattr("random.uniform", lambda low, high: 0.001)


@pytest.mark.usefixtures("quick")
async def test_a_script_with_a_setting_that_always_gets_40001_is_given_up(
    cockroach: Cockroach,
) -> None:
    cockroach.ask("CREATE TABLE t (i INT8)")
    cockroach.write("V1__a", "SET application_name = 'x';\nINSERT INTO t VALUES (1)")
    rule = cockroach.fake.rule("INSERT INTO t ", nth=None, then=error("40001", "restart"))
    with pytest.raises(MigrationFailed) as failed:
        await cockroach.engine().migrate()
    assert str(failed.value) == (
        "V1__a.sql:2: INSERT INTO t VALUES (1) failed: restart (40001)\n"
        "  Nothing of version 1 was applied. Fix the file (or the rows) and migrate again."
    )
    assert rule.fired == 24
    assert [event.attempt for event in cockroach.told(Retrying)] == list(range(1, 24))


@pytest.mark.usefixtures("quick")
async def test_a_connection_that_is_cut_once_at_each_of_many_statements_is_made_again(
    cockroach: Cockroach,
) -> None:
    tables = range(1, 29)
    cockroach.write("V1__a", ";\n".join(f"CREATE TABLE t{n} (i INT8)" for n in tables))
    for n in tables:
        cockroach.fake.rule(rf"CREATE TABLE t{n} ", nth=1, then=drop_before())
    assert await cockroach.engine().migrate() == 1
    assert len(cockroach.told(Reconnecting)) == len(tables)
    assert {event.attempt for event in cockroach.told(Reconnecting)} == {1}
    assert cockroach.ledger() == [1]


@pytest.mark.parametrize("mode", ["atomic", "stepwise"])
@pytest.mark.usefixtures("quick")
async def test_a_statement_that_ends_its_own_session_is_sent_twice_and_no_more(
    harness: Harness, mode: str
) -> None:
    with FakeCockroach(harness.url, None) as link:
        harness.url = link.url
        harness.write("V1__a", "CREATE TABLE t (i INT8)")
        harness.write(
            "V2__b", "INSERT INTO t VALUES (1);\nSELECT pg_terminate_backend(pg_backend_pid());"
        )
        with pytest.raises(MigrationFailed) as failed:
            await harness.engine(mode=mode).migrate()
        sent = [seen for seen in link.statements if "pg_terminate_backend(pg" in seen.sql]
    said = str(failed.value)
    assert said.startswith(
        "V2__b.sql:2: the connection was lost twice while the server worked on SELECT "
        "pg_terminate_backend(pg_backend_pid()): "
    )
    assert said.endswith(
        "\n  It is not sent a third time: a statement can end its own session, or the server by using up "
        "its memory. Version 2 is not recorded as finished. See the server's log, fix the statement or the "
        "server, and migrate again."
    )
    assert len(sent) == 2
    assert (failed.value.version, failed.value.line) == (2, 2)
    assert harness.ledger() == [1]
    assert harness.record()["owner"] is None
    harness.url = harness.direct
    harness.write("V2__b", "INSERT INTO t VALUES (1);")
    assert await harness.engine(mode=mode).migrate() == 1
    assert harness.ask("SELECT * FROM t") == [(1,)]


async def test_a_statement_alone_that_ends_its_own_session_is_sent_twice_and_no_more(
    harness: Harness,
) -> None:
    harness.write(
        "V1__a",
        "-- manticore: mode=stepwise\nCREATE TABLE t (i INT8);\nCREATE TABLE u AS SELECT "
        "pg_terminate_backend(pg_backend_pid()) AS i;",
    )
    with pytest.raises(MigrationFailed) as failed:
        await harness.engine().migrate()
    assert str(failed.value).startswith(
        "V1__a.sql:3: the connection was lost twice while the server worked on CREATE TABLE u AS"
    )
    assert harness.record()["owner"] is None


@pytest.mark.usefixtures("quick")
async def test_losing_the_connection_between_statements_does_not_count_against_one(
    cockroach: Cockroach,
) -> None:
    cockroach.write("V1__a", "CREATE TABLE t (i INT8);\nCREATE TABLE u (i INT8)")
    # The write of "done" after the first statement, three times.
    for _ in range(3):
        cockroach.fake.rule(
            lambda sql: "SET expires_at" in sql and "statements_done = $6" in sql,
            nth=2,
            then=drop_before(),
        )
    assert await cockroach.engine().migrate() == 1
    assert cockroach.ledger() == [1]


CHECK = (
    "  Check the server's log, the network, and any connection pooler in between, and {0}: the run "
    "continues at the first statement that is not recorded."
)


@pytest.mark.parametrize("verb", ["migrate", "rollback"])
@pytest.mark.usefixtures("quick")
async def test_a_connection_that_is_always_lost_between_statements_names_file_and_line(
    cockroach: Cockroach, verb: str
) -> None:
    cockroach.write(
        "V1__a",
        "CREATE TABLE t (i INT8);\n\nCREATE TABLE u (i INT8);\nCREATE TABLE v (i INT8);\n-- DOWN\n"
        "DROP TABLE v;\nDROP TABLE u;\nDROP TABLE t;",
    )
    line, again = (
        ("3: the", "migrate again") if verb == "migrate" else ("7: the", "roll back again")
    )
    what = "CREATE TABLE u (i INT8)" if verb == "migrate" else "DROP TABLE u"
    if verb == "rollback":
        assert await cockroach.engine().migrate() == 1
        cockroach.events.clear()
    # The write of "done" after the second statement.
    cockroach.fake.rule(
        lambda sql: "SET expires_at" in sql and bool(cockroach.sent(what)),
        nth=None,
        then=drop_before(),
    )
    with pytest.raises(MigrationFailed) as failed:
        await getattr(cockroach.engine(), verb)()
    said = str(failed.value).replace(lost(failed.value), "…")
    assert said == (
        f"V1__a.sql:{line} connection was lost 24 times in a row around {what}: …\n"
        f"{CHECK.format(again)}"
    )
    assert (failed.value.version, failed.value.line) == (1, int(line[0]))
    assert [event.attempt for event in cockroach.told(Reconnecting)] == list(range(1, 24))
    cockroach.fake.reset()
    assert await getattr(cockroach.engine(), verb)() == 1
    assert cockroach.ledger() == ([1] if verb == "migrate" else [])
    assert cockroach.free()


def lost(error: MigrationFailed | ConnectionLost) -> str:
    """The driver's own words, which differ from system to system."""
    assert isinstance(error.__cause__, ConnectionLost)
    return str(error.__cause__)


@pytest.mark.usefixtures("quick")
async def test_a_connection_that_is_always_lost_before_any_statement_says_so(
    cockroach: Cockroach,
) -> None:
    cockroach.write("V1__a", "CREATE TABLE t (i INT8)")
    cockroach.fake.rule("INSERT INTO .* AS held", nth=None, then=drop_before())
    with pytest.raises(ConnectionLost) as failed:
        await cockroach.engine().migrate()
    assert str(failed.value).replace(lost(failed.value), "…") == (
        "The connection was lost 24 times in a row before any statement of a script was sent: …\n"
        f"{CHECK.format('run the same command again')}"
    )


async def test_a_new_enum_value_used_at_once_names_the_mode_that_helps(harness: Harness) -> None:
    harness.ask("CREATE TYPE mood AS ENUM ('a'); CREATE TABLE t (m mood)")
    text = "ALTER TYPE mood ADD VALUE 'b';\nINSERT INTO t VALUES ('b');"
    harness.write("V1__a", text)
    with pytest.raises(MigrationFailed) as failed:
        await harness.engine().migrate()
    assert str(failed.value) == (
        "V1__a.sql:2: INSERT INTO t VALUES ('b') failed: unsafe use of new value \"b\" of enum type mood "
        "(55P04)\n"
        "  Hint: New enum values must be committed before they can be used.\n"
        "  Nothing of version 1 was applied. Fix the file (or the rows) and migrate again.\n"
        "  A new enum value can be used only after the transaction that added it. With '-- manticore: "
        "mode=stepwise' as the file's first line, each schema statement has its own transaction."
    )
    harness.write("V1__a", f"-- manticore: mode=stepwise\n{text}")
    assert await harness.engine().migrate() == 1
    assert [event.mode for event in harness.told(StepStarted)][-1] is Mode.STEPWISE
    assert harness.ask("SELECT m::TEXT FROM t") == [("b",)]
