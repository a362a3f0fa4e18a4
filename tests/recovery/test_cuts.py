"""The connection is cut before and after every statement the engine sends; and 40001 at every one."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from manticore_cockroachdb.testing import RunningServer
from tests.fake_cockroach import V21_1, FakeCockroach
from tests.recovery import runner_process, scenario
from tests.recovery.cutting import CutScenario, faulty_run
from tests.recovery.runner_process import Order

#: Every statement for the sync flavor; for the async one, which is the same text, only some.
STRIDES = {"sync": 1, "async": 5}


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes that faulty runs are made in, beside each other: much of a run is waiting."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1), mp_context=context) as made:
        yield made


@pytest.mark.needs_postgresql(
    "the scripts hold PostgreSQL's functions, and databases are copied as only it can"
)
@pytest.mark.parametrize("cockroach", [None, V21_1], ids=["atomic", "stepwise"])
@pytest.mark.parametrize("flavour", ["sync", "async"])
@pytest.mark.parametrize("verb", ["migrate", "rollback"])
@pytest.mark.parametrize("fault", ["before", "after", "40001"])
def test_a_fault_at_any_statement_changes_nothing_in_the_end(
    server: RunningServer,
    pool: ProcessPoolExecutor,
    tmp_path: Path,
    cockroach: str | None,
    flavour: str,
    verb: str,
    fault: str,
) -> None:
    folder = scenario.write(tmp_path / "scripts")
    template, statements, wanted = _undisturbed(server, folder, cockroach, verb)
    cut = CutScenario(template, folder, cockroach, flavour, verb, wanted)
    stride = STRIDES[flavour]
    if cockroach is None and flavour == "sync":
        stride = 2  # the atomic stream is one transaction after the other of the same form
    runs = [pool.submit(faulty_run, cut, fault, k) for k in range(1, statements + 1, stride)]
    problems = [problem for run in runs if (problem := run.result()) is not None]
    assert problems == []
    assert len(runs) > 10


def _undisturbed(
    server: RunningServer, folder: Path, cockroach: str | None, verb: str
) -> tuple[str, int, dict[str, object]]:
    """A database to start from, how many statements a run sends, and the database after it."""
    template, url = server.new_database(), server.new_database()
    if verb == "rollback":
        with FakeCockroach(template, cockroach) as fake_cockroach:
            runner_process.run(Order(fake_cockroach.url, folder, "sync", "migrate"))
    with FakeCockroach(url, cockroach) as fake_cockroach:
        runner_process.run(Order(fake_cockroach.url, folder, "sync", "migrate"))
        if verb == "rollback":
            fake_cockroach.reset()
            runner_process.run(Order(fake_cockroach.url, folder, "sync", "rollback"))
        return template, len(fake_cockroach.statements), scenario.snapshot(url)
