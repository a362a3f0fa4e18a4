"""What is decided about a statement whose answer never came: the table at the top of `decisions`."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manticore_cockroachdb._backend.dialect import Server
from manticore_cockroachdb._backend.jobs import Job
from manticore_cockroachdb._planner.decisions import (
    JOBS_KEPT,
    Action,
    Decision,
    Sent,
    after_others,
    alone_unknown,
    decide,
    outcome_unknown,
    proves_done,
)
from manticore_cockroachdb._planner.evidence import Evidence
from manticore_cockroachdb._sql.lexer import RawStatement
from manticore_cockroachdb._sql.likeness import NameContext
from manticore_cockroachdb._sql.schema_change import Repeat
from manticore_cockroachdb._sql.server_kind import ServerKind
from manticore_cockroachdb._sql.statement import Statement, classify, repeatable

COCKROACH = Server(ServerKind.COCKROACHDB, "v22.1", "d", "public", "root", ("public",))
POSTGRES = Server(ServerKind.POSTGRESQL, "18", "d", "public", "root", ("public",))
HERE = NameContext("d", ("public",), "root")
SENT_AT = 1000.0

#: A statement of each kind of repetition, as sent and as a job of it is described.
SAFE = "CREATE INDEX i ON t (v)", "CREATE INDEX i ON d.public.t (v)"
LOSES = "TRUNCATE t", "TRUNCATE TABLE d.public.t"
UNNAMED = "ALTER TABLE t ADD CHECK (v > 0)", "ALTER TABLE d.public.t ADD CHECK (v > 0)"
UNSAFE = (
    "ALTER TABLE t ALTER PRIMARY KEY USING COLUMNS (v)",
    "ALTER TABLE d.public.t ALTER PRIMARY KEY USING COLUMNS (v)",
)
ALL = (SAFE, LOSES, UNNAMED, UNSAFE)
JOBLESS = "CREATE TABLE x9 (a INT)"

#: Descriptions that may be of one of them, and may not.
MAYBE = {
    SAFE[0]: "CREATE INDEX i ON d.other.t (v)",
    LOSES[0]: "TRUNCATE TABLE d.other.t",
    UNNAMED[0]: "ALTER TABLE d.public.t ADD CHECK (v > 1)",
    UNSAFE[0]: "ALTER TABLE d.other.t ALTER PRIMARY KEY USING COLUMNS (v)",
}


def statement(sql: str) -> Statement:
    return classify(RawStatement(sql, 1))


def job(description: str, status: str, job_id: int = 7, **fields: object) -> Job:
    values: dict[str, object] = {"created": SENT_AT + 1, "user": "root", **fields}
    return Job(
        job_id,
        "SCHEMA CHANGE",
        description,
        status,
        "",
        values.pop("created"),
        0.0,
        "",  # type: ignore[arg-type]
        **values,
    )  # type: ignore[arg-type]


def decided(
    sql: str,
    *jobs: Job,
    server: Server = COCKROACH,
    evidence: Evidence = Evidence.UNCLEAR,
    age: float = 60.0,
    hidden_from: str | None = None,
) -> Decision:
    sent = Sent(statement(sql), HERE, SENT_AT, age, hidden_from)
    return decide(sent, server, jobs, evidence)


def test_the_statements_here_are_one_of_each_kind() -> None:
    assert [repeatable(statement(sql)) for sql, _ in ALL] == [
        Repeat.SAFE,
        Repeat.DESTRUCTIVE,
        Repeat.UNNAMED,
        Repeat.UNSAFE,
    ]


# -- its own job ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "action"),
    [
        (("running",), Action.WAIT),
        (("pending",), Action.WAIT),
        (("reverting",), Action.WAIT),
        (("succeeded",), Action.DONE),
        (("failed",), Action.REVERTED),
        (("canceled",), Action.REVERTED),
        (("paused",), Action.BLOCKED),
        (("revert-failed",), Action.BLOCKED),
        (("succeeded", "running"), Action.WAIT),
        (("failed", "running"), Action.WAIT),
        (("succeeded", "failed"), Action.REVERTED),
        (("paused", "failed"), Action.REVERTED),
        (("succeeded", "paused"), Action.BLOCKED),
        (("succeeded", "succeeded"), Action.DONE),
    ],
)
@pytest.mark.parametrize(("sql", "described"), ALL)
@pytest.mark.parametrize("evidence", Evidence)
def test_what_its_own_jobs_say_holds_whatever_the_catalogs_show(
    sql: str, described: str, statuses: tuple[str, ...], action: Action, evidence: Evidence
) -> None:
    jobs = [job(described, status, number) for number, status in enumerate(statuses, 1)]
    assert decided(sql, *jobs, evidence=evidence).action is action


def test_the_decision_says_why() -> None:
    sql, described = SAFE
    done, failed = job(described, "succeeded"), job(described, "failed", 8)
    assert decided(sql, done) == Decision(Action.DONE, "its job 7 succeeded", (done,))
    assert decided(sql, done, failed) == Decision(
        Action.REVERTED, f"job 8, failed: {described}", (failed,)
    )
    running = job(described, "running", 9)
    assert decided(sql, done, running) == Decision(
        Action.WAIT, "its schema-change job is still running", (running,)
    )


# -- somebody else's job ----------------------------------------------------------------------------

FOREIGN = [
    "CREATE INDEX i ON d2.public.t (v)",
    "TRUNCATE TABLE d2.public.t",
    "ALTER TABLE d2.public.t ADD CHECK (v > 0)",
    "CREATE INDEX by_hand ON d.public.t (v)",
    "DROP TABLE d.public.x9",
    "ALTER TABLE d.public.t ADD COLUMN v INT8",
]
STATUSES = ["running", "paused", "succeeded", "failed", "canceled", "revert-failed"]


@pytest.mark.parametrize("sql", [*(sql for sql, _ in ALL), JOBLESS])
@pytest.mark.parametrize("server", [COCKROACH, POSTGRES])
def test_a_foreign_job_changes_nothing(sql: str, server: Server) -> None:
    alone = decided(sql, server=server)
    for description, status in product(FOREIGN, STATUSES):
        assert decided(sql, job(description, status), server=server) == alone


def test_a_job_from_before_the_sending_or_of_another_user_changes_nothing() -> None:
    sql, described = LOSES
    alone = decided(sql)
    for status in STATUSES:
        assert decided(sql, job(described, status, created=SENT_AT - 0.1)) == alone
        assert decided(sql, job(described, status, user="somebody")) == alone


# -- a job that may be somebody else's --------------------------------------------------------------


@pytest.mark.parametrize("sql", MAYBE)
@pytest.mark.parametrize("evidence", Evidence)
def test_a_job_that_may_be_its_own_is_waited_for(sql: str, evidence: Evidence) -> None:
    running = job(MAYBE[sql], "running")
    assert decided(sql, running, evidence=evidence) == Decision(
        Action.WAIT, "a schema-change job that may be its own is running", (running,)
    )


@pytest.mark.parametrize("status", ["paused", "succeeded", "failed", "canceled", "revert-failed"])
@pytest.mark.parametrize("sql", MAYBE)
def test_how_it_ended_decides_nothing(sql: str, status: str) -> None:
    decision = decided(sql, job(MAYBE[sql], status))
    if sql == SAFE[0]:
        assert decision.action is Action.SEND
        return
    assert decision == Decision(
        Action.ASK,
        "the jobs that may be its own do not show whether it took "
        f"effect (job 7, {status}: {MAYBE[sql]})",
    )


# -- another user's jobs are hidden -----------------------------------------------------------------

HIDDEN = Decision(
    Action.ASK,
    "user ann may not see the schema-change jobs of user root, who sent it. Run again as root or as an "
    "administrator",
)


@pytest.mark.parametrize(("sql", "described"), ALL)
def test_where_jobs_are_hidden_only_what_is_seen_counts(sql: str, described: str) -> None:
    for evidence in (Evidence.ABSENT, Evidence.UNCLEAR):
        assert decided(sql, evidence=evidence, hidden_from="ann") == HIDDEN
    assert decided(sql, evidence=Evidence.PRESENT, hidden_from="ann").action is Action.DONE
    running = job(described, "running")
    assert decided(sql, running, hidden_from="ann").action is Action.WAIT


def test_hidden_jobs_hide_nothing_of_a_statement_that_makes_none() -> None:
    assert decided(JOBLESS, hidden_from="ann") == decided(JOBLESS)


# -- no job -----------------------------------------------------------------------------------------

YOUNG, OLD = 60.0, JOBS_KEPT + 1
NEVER_ARRIVED = "the server has no job of it, so it did not take effect"
NOTHING_SHOWS = "nothing shows that it took effect; it is sent again"
NOTHING_TELLS = "nothing on the server shows whether it took effect"


@pytest.mark.parametrize(
    ("sql", "server", "age", "action", "reason"),
    [
        (SAFE[0], COCKROACH, YOUNG, Action.SEND, NOTHING_SHOWS),
        (SAFE[0], COCKROACH, OLD, Action.SEND, NOTHING_SHOWS),
        (SAFE[0], POSTGRES, YOUNG, Action.SEND, NOTHING_SHOWS),
        (JOBLESS, COCKROACH, OLD, Action.SEND, NOTHING_SHOWS),
        (LOSES[0], COCKROACH, YOUNG, Action.SEND, NEVER_ARRIVED),
        (LOSES[0], COCKROACH, OLD, Action.ASK, NOTHING_TELLS),
        (LOSES[0], POSTGRES, YOUNG, Action.ASK, NOTHING_TELLS),
        (UNNAMED[0], COCKROACH, YOUNG, Action.SEND, NEVER_ARRIVED),
        (UNNAMED[0], COCKROACH, OLD, Action.ASK, NOTHING_TELLS),
        (UNNAMED[0], POSTGRES, YOUNG, Action.ASK, NOTHING_TELLS),
        (UNSAFE[0], COCKROACH, YOUNG, Action.SEND, NEVER_ARRIVED),
        (UNSAFE[0], COCKROACH, OLD, Action.ASK, NOTHING_TELLS),
        # These make no schema-change job: that there is none says nothing.
        ("DROP OWNED BY r", COCKROACH, YOUNG, Action.ASK, NOTHING_TELLS),
        ("BACKUP INTO 'x'", COCKROACH, YOUNG, Action.ASK, NOTHING_TELLS),
        ("FROBNICATE t", COCKROACH, YOUNG, Action.ASK, NOTHING_TELLS),
    ],
)
def test_without_a_job_it_is_sent_again_only_where_that_does_no_harm(
    sql: str, server: Server, age: float, action: Action, reason: str
) -> None:
    assert decided(sql, server=server, age=age) == Decision(action, reason)


@pytest.mark.parametrize(
    ("evidence", "decision"),
    [
        (Evidence.PRESENT, Decision(Action.DONE, "what it does is done")),
        (Evidence.ABSENT, Decision(Action.SEND, "it did not take effect; it is sent again")),
    ],
)
@pytest.mark.parametrize("age", [YOUNG, OLD])
@pytest.mark.parametrize("server", [COCKROACH, POSTGRES])
@pytest.mark.parametrize("sql", [LOSES[0], UNNAMED[0]])
def test_what_the_catalogs_show_needs_no_job(
    sql: str, server: Server, age: float, evidence: Evidence, decision: Decision
) -> None:
    assert decided(sql, server=server, age=age, evidence=evidence) == decision


@given(
    sql=st.sampled_from([*(sql for sql, _ in ALL), JOBLESS]),
    found=st.lists(
        st.tuples(
            st.sampled_from([*FOREIGN, *MAYBE.values(), *(text for _, text in ALL)]),
            st.sampled_from(STATUSES),
            st.sampled_from(["root", "somebody"]),
            st.floats(SENT_AT - 5, SENT_AT + 5),
        ),
        max_size=4,
    ),
    server=st.sampled_from([COCKROACH, POSTGRES]),
    age=st.sampled_from([YOUNG, OLD]),
)
def test_without_a_job_of_the_very_statement_nothing_is_ever_called_done_or_failed(
    sql: str, found: list[tuple[str, str, str, float]], server: Server, age: float
) -> None:
    own = dict(ALL).get(sql)
    jobs = [
        job(text, status, user=user, created=created)
        for text, status, user, created in found
        if text != own
    ]
    action = decided(sql, *jobs, server=server, age=age).action
    assert action in (Action.WAIT, Action.SEND, Action.ASK)
    if repeatable(statement(sql)) is not Repeat.SAFE and action is Action.SEND:
        assert (server, age) == (COCKROACH, YOUNG)


# -- answers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sqlstate", "unknown"),
    [(None, True), ("08006", False), ("57014", False), ("42P07", False)],
)
def test_which_errors_are_no_answer(sqlstate: str | None, unknown: bool) -> None:
    assert outcome_unknown(sqlstate) is unknown
    assert alone_unknown(sqlstate, POSTGRES) is unknown
    assert alone_unknown(sqlstate, COCKROACH) is (unknown or sqlstate == "57014")


@pytest.mark.parametrize(
    ("sql", "sqlstate", "message", "proof"),
    [
        ("CREATE INDEX i ON t (v)", "42P07", 'index with name "i" already exists', True),
        ("CREATE INDEX i ON t (v)", "42P01", 'relation "t" does not exist', False),
        ("CREATE INDEX ON t (v)", "42P07", "already exists", False),
        ("DROP ROLE r", "42704", 'role "r" does not exist', True),
        ("DROP ROLE r", "XXUUU", "role/user r does not exist", True),
        ("DROP USER IF EXISTS r", "XXUUU", "role/user r does not exist", True),
        ("DROP ROLE r", "XXUUU", "cannot drop role/user r: grants still exist", False),
        ("DROP TABLE t", "XXUUU", "role/user r does not exist", False),
        (
            "ALTER TABLE t ALTER COLUMN c DROP STORED",
            "42611",
            'column "c" is not a computed column',
            True,
        ),
        ("ALTER TABLE t ALTER COLUMN c DROP STORED", "42611", "something else", False),
        ("TRUNCATE t", "42P01", 'relation "t" does not exist', False),
        ("CREATE INDEX i ON t (v)", None, "the connection was lost", False),
    ],
)
def test_which_answers_to_a_second_sending_prove_the_first(
    sql: str, sqlstate: str | None, message: str, proof: bool
) -> None:
    assert proves_done(statement(sql), sqlstate, message) is proof


# -- IF [NOT] EXISTS, answered while others changed the same object ----------------------------------

CREATED = "CREATE TABLE d.public.t (v INT8)"
DROPPED = "DROP TABLE d.public.t"
CHECKED = "ALTER TABLE IF EXISTS t ADD CHECK (v > 0)"


@pytest.mark.parametrize(
    ("sql", "jobs", "action"),
    [
        ("DROP TABLE IF EXISTS t", [job(DROPPED, "succeeded")], Action.DONE),
        ("DROP TABLE IF EXISTS t", [job(DROPPED, "failed")], Action.SEND),
        ("DROP TABLE IF EXISTS t", [job(CREATED, "succeeded")], Action.SEND),
        (
            "DROP TABLE IF EXISTS t",
            [job(DROPPED, "succeeded"), job(DROPPED, "canceled", 8)],
            Action.SEND,
        ),
        ("CREATE INDEX IF NOT EXISTS i ON t (v)", [job(SAFE[1], "succeeded")], Action.SEND),
        ("CREATE INDEX IF NOT EXISTS i ON t (v)", [job(SAFE[1], "failed")], Action.SEND),
        (CHECKED, [job(UNNAMED[1], "succeeded")], Action.DONE),
        (CHECKED, [job(UNNAMED[1], "failed")], Action.ASK),
    ],
)
def test_what_follows_a_conditional_statement_that_met_the_changes_of_others(
    sql: str, jobs: list[Job], action: Action
) -> None:
    assert after_others(statement(sql), jobs, HERE) is action
