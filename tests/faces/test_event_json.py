"""Events as JSON: a table of every kind of event, in the shape that programs rely on."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from manticore_cockroachdb import events
from manticore_cockroachdb.event_json import event_kind, event_values
from manticore_cockroachdb.events import Event
from manticore_cockroachdb.types import (
    Blocker,
    Direction,
    Job,
    MigrationScript,
    Mode,
    Server,
    ServerKind,
    Step,
)

SCRIPT = MigrationScript(
    7, "fill", "SELECT 1;\nUPDATE t SET n = 1;", None, Path("sql/V7__fill.sql"), "c0ffee"
)
STEP = Step(SCRIPT, Direction.UP)
FIRST, SECOND = STEP.statements()
SERVER = Server(ServerKind.POSTGRESQL, "18.1", "shop", "public", "app")
JOB = Job(5, "SCHEMA CHANGE", "CREATE INDEX i", "running", "", 1.0, 0.25, "")
BLOCKER = Blocker(9, "app", "web", "active", 2.5, "SELECT 1")

A_SCRIPT = {"version": 7, "name": "V7__fill", "path": "sql/V7__fill.sql"}
A_STEP = {**A_SCRIPT, "direction": "up"}
ONE = {"line": 1, "kind": "data", "summary": "SELECT 1"}
TWO = {"line": 2, "kind": "data", "summary": "UPDATE t SET n = 1"}
A_JOB = {
    "id": 5,
    "kind": "SCHEMA CHANGE",
    "description": "CREATE INDEX i",
    "status": "running",
    "fraction": 0.25,
    "error": "",
}
A_BLOCKER = {
    "pid": 9,
    "user": "app",
    "application": "web",
    "state": "active",
    "since": 2.5,
    "statement": "SELECT 1",
    "lock": "",
}

TABLE: list[tuple[Event, dict[str, object]]] = [
    (
        events.Connected(SERVER),
        {"event": "connected", "server": {"name": SERVER.name, "database": "shop"}},
    ),
    (events.Planned((STEP,)), {"event": "planned", "steps": [A_STEP]}),
    (
        events.LeaseAwaited("host:1:aa", "running V7", 1.5, None),
        {
            "event": "lease_awaited",
            "owner": "host:1:aa",
            "doing": "running V7",
            "waited": 1.5,
            "expires_in": None,
        },
    ),
    (
        events.LeaseTaken("host:1:aa", 3),
        {"event": "lease_taken", "owner": "host:1:aa", "epoch": 3},
    ),
    (
        events.StepStarted(STEP, 1, 2, Mode.STEPWISE, 1),
        {
            "event": "step_started",
            "step": A_STEP,
            "number": 1,
            "total": 2,
            "mode": "stepwise",
            "resumed_at": 1,
        },
    ),
    (
        events.StatementStarted(STEP, FIRST, 1, 2),
        {"event": "statement_started", "step": A_STEP, "statement": ONE, "number": 1, "total": 2},
    ),
    (
        events.StatementFinished(STEP, SECOND, 2, 2, 0.5, 3),
        {
            "event": "statement_finished",
            "step": A_STEP,
            "statement": TWO,
            "number": 2,
            "total": 2,
            "seconds": 0.5,
            "rows": 3,
        },
    ),
    (
        events.TransactionStarted(STEP, (FIRST, SECOND), 1, 2),
        {
            "event": "transaction_started",
            "step": A_STEP,
            "statements": [ONE, TWO],
            "number": 1,
            "total": 2,
        },
    ),
    (
        events.TransactionFinished(STEP, (FIRST, SECOND), 1, 2, 0.5, (None, 3)),
        {
            "event": "transaction_finished",
            "step": A_STEP,
            "statements": [ONE, TWO],
            "number": 1,
            "total": 2,
            "seconds": 0.5,
            "rows": [None, 3],
        },
    ),
    (
        events.Noticed(STEP, SECOND, "NOTICE", "it is so"),
        {
            "event": "noticed",
            "step": A_STEP,
            "statement": TWO,
            "severity": "NOTICE",
            "message": "it is so",
        },
    ),
    (
        events.StillRunning(STEP, None, 4.0, (JOB,), 12.0),
        {
            "event": "still_running",
            "step": A_STEP,
            "statement": None,
            "elapsed": 4.0,
            "jobs": [A_JOB],
            "remaining": 12.0,
        },
    ),
    (
        events.BatchProgress(STEP, SECOND, 2, 10, 5, 1.0, 3.0, ("a", "7"), 10.0),
        {
            "event": "batch_progress",
            "step": A_STEP,
            "statement": TWO,
            "windows": 2,
            "rows": 10,
            "size": 5,
            "elapsed": 1.0,
            "remaining": 3.0,
            "position": ["a", "7"],
            "rate": 10.0,
        },
    ),
    (
        events.BatchPaused(STEP, SECOND, 2.0),
        {"event": "batch_paused", "step": A_STEP, "statement": TWO, "waited": 2.0},
    ),
    (
        events.JobsAwaited(STEP, (JOB,), 2.0),
        {"event": "jobs_awaited", "step": A_STEP, "jobs": [A_JOB], "elapsed": 2.0},
    ),
    (
        events.SessionAwaited("host:1:aa/1", "17@5", 2.0),
        {
            "event": "session_awaited",
            "application_name": "host:1:aa/1",
            "session_id": "17@5",
            "elapsed": 2.0,
        },
    ),
    (
        events.LockAwaited(STEP, SECOND, (BLOCKER,), 2, 21, 3.0, 0.5),
        {
            "event": "lock_awaited",
            "step": A_STEP,
            "statement": TWO,
            "blockers": [A_BLOCKER],
            "attempt": 2,
            "attempts": 21,
            "waited": 3.0,
            "pause": 0.5,
        },
    ),
    (
        events.Retrying("V7__fill.sql", "40001", 1, 0.1),
        {
            "event": "retrying",
            "what": "V7__fill.sql",
            "sqlstate": "40001",
            "attempt": 1,
            "pause": 0.1,
        },
    ),
    (
        events.Reconnecting("it was lost", 1, 0.1),
        {"event": "reconnecting", "reason": "it was lost", "attempt": 1, "pause": 0.1},
    ),
    (
        events.Reconciled(STEP, FIRST, "it is done"),
        {"event": "reconciled", "step": A_STEP, "statement": ONE, "finding": "it is done"},
    ),
    (events.Warned("look"), {"event": "warned", "message": "look"}),
    (
        events.StepFinished(STEP, 1, 2, 0.5, rows=(None, 3)),
        {
            "event": "step_finished",
            "step": A_STEP,
            "number": 1,
            "total": 2,
            "seconds": 0.5,
            "faked": False,
            "rows": [None, 3],
        },
    ),
    (
        events.Interrupted(1, STEP, SECOND, (JOB,), 1),
        {
            "event": "interrupted",
            "done": 1,
            "step": A_STEP,
            "statement": TWO,
            "jobs": [A_JOB],
            "statements_done": 1,
        },
    ),
    (events.RunEnded(1), {"event": "run_ended", "done": 1, "error": None}),
    (
        events.RunEnded(0, ValueError("odd")),
        {"event": "run_ended", "done": 0, "error": {"class": "ValueError", "message": "odd"}},
    ),
    (events.ScratchCreated("x"), {"event": "scratch_created", "name": "x"}),
    (events.ScratchDropped("x"), {"event": "scratch_dropped", "name": "x"}),
    (
        events.ScriptRehearsed(SCRIPT, "comes back", 0.5, 1, 2),
        {
            "event": "script_rehearsed",
            "script": A_SCRIPT,
            "outcome": "comes back",
            "seconds": 0.5,
            "number": 1,
            "total": 2,
        },
    ),
    (
        events.SquashAdvanced("apply it", 2, 4),
        {"event": "squash_advanced", "stage": "apply it", "number": 2, "total": 4},
    ),
    (
        events.SchemaRead("shop", 12),
        {"event": "schema_read", "database": "shop", "objects": 12},
    ),
]


def test_every_event_is_in_the_table() -> None:
    known = {
        one
        for _, one in inspect.getmembers(events, inspect.isclass)
        if issubclass(one, Event) and one is not Event
    }
    assert {type(event) for event, _ in TABLE} == known


@pytest.mark.parametrize(("event", "values"), TABLE, ids=[event_kind(type(e)) for e, _ in TABLE])
def test_an_event_has_this_form_in_json(event: Event, values: dict[str, object]) -> None:
    assert json.loads(json.dumps(event_values(event))) == values
    assert list(values) == ["event", *(each.name for each in fields(event))]


def test_a_password_in_a_statement_is_not_shown() -> None:
    script = MigrationScript(
        1, "u", "CREATE USER u PASSWORD 's3cret'", None, Path("V1__u.sql"), "c"
    )
    step = Step(script, Direction.UP)
    event = events.StatementStarted(step, step.statements()[0], 1, 1)
    assert "s3cret" not in json.dumps(event_values(event))


def test_what_has_no_form_in_json_is_an_error() -> None:
    @dataclass(frozen=True, slots=True)
    class Strange(Event):
        what: object

    with pytest.raises(TypeError, match=r"^object has no form in JSON\.$"):
        event_values(Strange(object()))
