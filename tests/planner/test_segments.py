"""How scripts are cut into what is sent as a unit, and in which mode they run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb import Mode
from manticore_cockroachdb._backend.dialect import Server
from manticore_cockroachdb._planner.problems import header_problems
from manticore_cockroachdb._planner.segments import (
    Fingerprint,
    Sending,
    prepare,
    replay,
    segments,
)
from manticore_cockroachdb._sql.session_effects import Leaves
from tests.planner.planning import COCKROACHDB, POSTGRESQL, SERVERS, step

TABLE = "CREATE TABLE t (i INT8);"
ROW = "INSERT INTO t VALUES (1);"
SET = "SET search_path = s;"
INDEX = "CREATE INDEX CONCURRENTLY ON t (i);"
CLUSTER_SETTING = "SET CLUSTER SETTING a.b = 1;"

#: Header, statements, the default mode; then on each server: the mode, and if one transaction holds it.
MODES = [
    ("", ROW, None, ("atomic", True), ("atomic", True)),
    ("", TABLE, None, ("atomic", True), ("stepwise", False)),
    ("", SET, None, ("atomic", True), ("atomic", True)),
    ("", INDEX, None, ("stepwise", False), ("stepwise", False)),
    ("", CLUSTER_SETTING, None, ("atomic", True), ("stepwise", False)),
    ("", ROW, Mode.STEPWISE, ("stepwise", False), ("stepwise", False)),
    ("", TABLE, Mode.ATOMIC, ("atomic", True), ("atomic", False)),
    ("", INDEX, Mode.ATOMIC, ("stepwise", False), ("atomic", False)),
    ("", INDEX, Mode.AUTOCOMMIT, ("autocommit", False), ("autocommit", False)),
    ("", ROW, Mode.AUTOCOMMIT, ("autocommit", False), ("autocommit", False)),
    ("mode=atomic", TABLE, None, ("atomic", True), ("atomic", False)),
    ("mode=atomic", ROW, Mode.STEPWISE, ("atomic", True), ("atomic", True)),
    ("mode=stepwise", ROW, Mode.ATOMIC, ("stepwise", False), ("stepwise", False)),
    ("mode=autocommit", ROW, Mode.ATOMIC, ("autocommit", False), ("autocommit", False)),
]  # fmt: skip


@pytest.mark.parametrize(("header", "text", "default", "postgresql", "cockroachdb"), MODES)
def test_the_mode_is_the_files_or_the_default_or_what_is_right_for_the_server(
    header: str,
    text: str,
    default: Mode | None,
    postgresql: tuple[str, bool],
    cockroachdb: tuple[str, bool],
) -> None:
    read = step(f"-- manticore: {header}\n{text}" if header else text)
    for server, expected in ((POSTGRESQL, postgresql), (COCKROACHDB, cockroachdb)):
        found = prepare(read, server, default)
        assert (found.mode.value, found.one_transaction) == expected


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_what_changes_the_session_is_known(server: Server) -> None:
    assert prepare(step(TABLE), server).leaves is Leaves.NOTHING
    assert prepare(step(SET + ROW), server).leaves is Leaves.STATE
    # Settings of ours are needed to change the schema within a transaction.
    forced = prepare(step(f"-- manticore: mode=atomic\n{TABLE}"), server)
    assert forced.leaves is (Leaves.STATE if server is COCKROACHDB else Leaves.NOTHING)


#: Statements, mode, server, statements done; then the segments: how many statements, and how they are sent.
CUTS = [
    (ROW + ROW + TABLE + ROW, "stepwise", "postgresql", 0, "2 transaction, 1 transaction, 1 transaction"),
    (ROW + ROW + TABLE + ROW, "stepwise", "cockroachdb", 0, "2 transaction, 1 autocommit, 1 transaction"),
    (ROW + ROW + TABLE + ROW, "stepwise", "cockroachdb", 1, "1 transaction, 1 autocommit, 1 transaction"),
    (ROW + ROW + TABLE + ROW, "stepwise", "cockroachdb", 4, ""),
    (INDEX + TABLE, "stepwise", "postgresql", 0, "1 autocommit, 1 transaction"),
    (SET + TABLE, "stepwise", "cockroachdb", 0, "1 session, 1 autocommit"),
    (SET + ROW + SET, "stepwise", "cockroachdb", 0, "3 transaction"),
    (SET + ROW + ROW, "autocommit", "postgresql", 0, "1 session, 1 autocommit, 1 autocommit"),
    (TABLE + SET + SET + ROW, "autocommit", "cockroachdb", 0,
     "1 autocommit, 1 session, 1 session, 1 autocommit"),
    (TABLE + SET + ROW, "atomic", "cockroachdb", 0, "3 script transaction"),
    (TABLE + SET + ROW, "atomic", "cockroachdb", 3, ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "mode", "server", "done", "expected"), CUTS)
def test_a_script_is_cut_into_what_can_share_a_transaction_with_its_mark(
    text: str, mode: str, server: str, done: int, expected: str
) -> None:
    statements = step(text).statements()
    found = segments(statements, Mode(mode), SERVERS[server], start=done)
    said = ", ".join(f"{len(each.statements)} {each.sending.value}" for each in found)
    assert said == expected


@given(
    kinds=st.lists(st.sampled_from([TABLE, ROW, SET, INDEX])),
    mode=st.sampled_from([Mode.STEPWISE, Mode.AUTOCOMMIT]),
    server=st.sampled_from(sorted(SERVERS)),
    data=st.data(),
)
def test_cutting_loses_nothing_and_keeps_the_order(
    kinds: list[str], mode: Mode, server: str, data: st.DataObject
) -> None:
    statements = step("".join(kinds)).statements()
    done = data.draw(st.integers(0, len(statements)))
    found = segments(statements, mode, SERVERS[server], start=done)
    assert [each for segment in found for each in segment.statements] == list(statements[done:])
    at = done
    for segment in found:
        assert segment.start == at
        at = segment.end
        if segment.sending is Sending.AUTOCOMMIT:
            assert len(segment.statements) == 1
    assert {each.text for each in replay(statements, done)} <= {SET.rstrip(";")}


def test_only_settings_among_those_done_are_sent_again() -> None:
    statements = step(SET + TABLE + SET + ROW).statements()
    assert [each.line for each in replay(statements, 2)] == [1]
    assert replay(statements, 3) == (statements[0], statements[2])


def test_a_fingerprint_is_of_the_first_statements_only_and_of_nothing_around_them() -> None:
    one = Fingerprint(step(f"{TABLE}\n\n-- why\n{ROW}").statements())
    two = Fingerprint(step(f"{TABLE} {ROW.lower()}").statements())
    assert one.of(1) == two.of(1)
    assert one.of(2) != two.of(2)
    assert one.of(1) == two.of(1)  # asked again in falling order
    assert one.of(0) != one.of(1)
    assert one.of(5) == one.of(2)


@pytest.mark.parametrize(
    ("text", "server", "said"),
    [
        (f"-- manticore: mode=atomic\n{INDEX}", "postgresql",
         ("V1__a.sql:2: PostgreSQL does not run this statement inside a transaction, and the file says "
          "mode=atomic. Move it into a separate script, or remove the mode.")),
        (f"-- manticore: mode=atomic\n{INDEX}", "cockroachdb", None),
        (f"-- manticore: isolation=repeatable read\n{ROW}", "cockroachdb",
         ("V1__a.sql: on CockroachDB scripts run at isolation level serializable, and the file says "
          "isolation=repeatable read. Remove the option.")),
        (f"-- manticore: isolation=repeatable read\n{ROW}", "postgresql", None),
        (f"-- manticore: isolation=serializable\n{ROW}", "cockroachdb", None),
    ],
)  # fmt: skip
def test_a_header_that_asks_for_what_the_server_cannot_do_is_a_problem(
    text: str, server: str, said: str | None
) -> None:
    problems = [str(each) for each in header_problems(step(text), SERVERS[server])]
    assert problems == ([] if said is None else [said])
