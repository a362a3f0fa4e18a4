"""A run's events as log records and as OpenTelemetry spans."""

from __future__ import annotations

import logging

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer

from manticore_cockroachdb.errors import MigrationFailed
from manticore_cockroachdb.events import Event, RunEnded
from manticore_cockroachdb.telemetry import LogListener, SpanListener, combine
from tests.harness import Harness

GOOD = "CREATE TABLE a (i INT8);\nINSERT INTO a VALUES (1);\n-- DOWN\nDROP TABLE a;"
BAD = "CREATE TABLE b (i INT8);\nINSERT INTO nowhere VALUES (1);"


@pytest.fixture
def exported() -> InMemorySpanExporter:
    """What was exported."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exported: InMemorySpanExporter) -> Tracer:
    """A tracer that exports at once."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    return provider.get_tracer("test")


def tree(exported: InMemorySpanExporter) -> list[str]:
    """Every span with the names above it, outermost first, in the order of their ends."""
    spans = exported.get_finished_spans()
    names = {span.context.span_id: span for span in spans if span.context}

    def path(span: object) -> str:
        above = getattr(span, "parent", None)
        own = str(getattr(span, "name", ""))
        return f"{path(names[above.span_id])} > {own}" if above else own

    return [path(span) for span in spans]


async def test_a_run_is_a_span_with_spans_for_scripts_and_statements(
    stepwise: Harness, exported: InMemorySpanExporter, tracer: Tracer
) -> None:
    stepwise.write("V1__a", GOOD)

    await stepwise.engine(listener=SpanListener(tracer)).migrate()

    # A schema change is sent alone where it is a job.
    first = "statement" if stepwise.on_cockroachdb else "transaction"
    assert tree(exported) == [
        f"manticore run > apply V1__a > {first} V1__a:1",
        "manticore run > apply V1__a > transaction V1__a:2",
        "manticore run > apply V1__a",
        "manticore run",
    ]
    *_, script, run = exported.get_finished_spans()
    assert script.attributes is not None
    assert run.attributes is not None
    assert script.attributes["manticore.version"] == 1
    assert script.attributes["manticore.direction"] == "up"
    assert script.attributes["manticore.mode"] == "stepwise"
    system = "cockroachdb" if stepwise.on_cockroachdb else "postgresql"
    assert run.attributes["db.system.name"] == system
    assert run.attributes["manticore.scripts_done"] == 1
    assert run.status.status_code is StatusCode.UNSET


async def test_a_run_that_fails_ends_its_spans_with_the_error(
    stepwise: Harness, exported: InMemorySpanExporter, tracer: Tracer
) -> None:
    stepwise.write("V1__a", GOOD)
    stepwise.write("V2__b", BAD)

    with pytest.raises(MigrationFailed) as caught:
        await stepwise.engine(listener=SpanListener(tracer)).migrate()

    *_, script, run = exported.get_finished_spans()
    assert (script.name, run.name) == ("apply V2__b", "manticore run")
    for span in (script, run):
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == str(caught.value)
        assert [event.name for event in span.events] == ["exception"]


async def test_one_listener_serves_run_after_run(
    harness: Harness, exported: InMemorySpanExporter, tracer: Tracer
) -> None:
    harness.write("V1__a", GOOD)
    engine = harness.engine(listener=SpanListener(tracer))

    await engine.migrate()
    await engine.migrate()
    await engine.rollback()

    runs = [span for span in exported.get_finished_spans() if span.name == "manticore run"]
    done = [span.attributes and span.attributes["manticore.scripts_done"] for span in runs]
    assert done == [1, 0, 1]
    assert "manticore run > revert V1__a" in tree(exported)


async def test_log_records_carry_fields(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    harness.write("V1__a", GOOD)
    harness.write("V2__b", BAD)

    with (
        caplog.at_level(logging.INFO, logger="manticore"),
        pytest.raises(MigrationFailed) as caught,
    ):
        await harness.engine(listener=LogListener()).migrate()

    started = next(each for each in caplog.records if each.message.endswith("started."))
    assert started.message == "Apply V1__a (1 of 2): started."
    fields = {key: value for key, value in vars(started).items() if key.startswith("manticore_")}
    assert fields == {
        "manticore_event": "StepStarted",
        "manticore_version": 1,
        "manticore_script": "V1__a",
        "manticore_direction": "up",
        "manticore_number": 1,
        "manticore_total": 2,
        "manticore_mode": "stepwise" if harness.is_stepwise else "atomic",
        "manticore_resumed_at": 0,
    }
    last = caplog.records[-1]
    assert (last.levelname, last.message) == (
        "ERROR",
        f"Run failed after 1 script: {caught.value}",
    )
    assert vars(last)["manticore_error_class"] == "MigrationFailed"


async def test_what_happens_every_second_is_logged_for_debugging_only(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.write("V1__a", GOOD)

    with caplog.at_level(logging.DEBUG, logger="manticore"):
        await harness.engine(mode="stepwise", listener=LogListener()).migrate()

    details = {each.levelname for each in caplog.records if "Statement" in each.message}
    details |= {each.levelname for each in caplog.records if "Transaction" in each.message}
    assert details == {"DEBUG"}


async def test_the_last_event_of_a_run_says_how_it_ended(harness: Harness) -> None:
    harness.write("V1__a", GOOD)
    await harness.engine().migrate()
    assert harness.events[-1] == RunEnded(1)

    harness.write("V2__b", BAD)
    with pytest.raises(MigrationFailed) as caught:
        await harness.engine().migrate()
    assert harness.events[-1] == RunEnded(0, caught.value)


def test_combined_listeners_are_called_in_their_order() -> None:
    heard: list[tuple[str, Event]] = []
    listener = combine(lambda e: heard.append(("a", e)), lambda e: heard.append(("b", e)))

    listener(RunEnded(0))

    assert heard == [("a", RunEnded(0)), ("b", RunEnded(0))]
