"""A real CockroachDB: a run is killed or cut off while another database of the cluster runs the same.

Both have the same tables and the same user. Both end as an undisturbed run does.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from manticore_cockroachdb.testing import RunningServer
from manticore_cockroachdb.testing.proxy import Proxy, drop_after, drop_before, hold, hold_answer
from tests.recovery import cockroachdb_scenario as scenario
from tests.recovery import runner_process
from tests.recovery.runner_process import PATIENCE, Order

WHY = "schema changes that outlive their client"
pytestmark = pytest.mark.needs_cockroachdb(WHY)

#: Runs of each mode with each fault.
ROUNDS = 2


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing happened to.

    Attributes:
        verb: What is called.
        mode: The mode it is given.
        folder: The scripts.
        statements: How many statements it sent.
        wanted: The database after it.
    """

    verb: str
    mode: str | None
    folder: Path
    statements: int
    wanted: dict[str, object]


@pytest.fixture(scope="module", params=["stepwise", "bootstrap", "atomic"])
def undisturbed(
    request: pytest.FixtureRequest, server: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    """How a run ends that is left alone."""
    if server.kind != "cockroachdb":
        pytest.skip(WHY)  # a module's fixture is asked for before the tests' own marker
    way: str = request.param
    folder = scenario.write(tmp_path_factory.mktemp(way) / "scripts", way)
    verb = "bootstrap" if way == "bootstrap" else "migrate"
    mode = None if way == "bootstrap" else way
    url = server.new_database()
    with Proxy(url) as proxy:
        runner_process.run(Order(proxy.url, folder, "sync", verb, mode))
        statements = len(proxy.statements)
    wanted = scenario.snapshot(url)
    server.drop_database(url)
    return Undisturbed(verb, mode, folder, statements, wanted)


@pytest.mark.parametrize("fault", ["before", "after", "killed"])
def test_two_databases_of_one_cluster_end_alike_whatever_happens_to_one_of_them(
    server: RunningServer, undisturbed: Undisturbed, fault: str
) -> None:
    chance = random.Random(f"{undisturbed.verb} {undisturbed.mode} {fault}")  # noqa: S311 - no secret
    for number in range(ROUNDS):
        kth = chance.randint(5, undisturbed.statements)
        flavour = ("sync", "async")[number % 2]
        where = f"{fault} at statement {kth} of {undisturbed.statements}, {flavour}"
        ours, theirs = server.new_database(), server.new_database()

        def order(url: str, flavour: str = flavour) -> Order:
            given = undisturbed
            return Order(url, given.folder, flavour, given.verb, given.mode)

        beside = runner_process.start(order(theirs))
        _disturbed(order, ours, fault, kth)
        beside.join(PATIENCE)
        assert beside.exitcode == 0, f"{where}: the run beside it failed"
        last = runner_process.start(order(ours))
        last.join(PATIENCE)
        assert last.exitcode == 0, f"{where}: the last run did not finish"
        assert scenario.snapshot(ours) == undisturbed.wanted, where
        assert scenario.snapshot(theirs) == undisturbed.wanted, f"beside {where}"
        for url in (ours, theirs):
            server.drop_database(url)


def _disturbed(order: Callable[[str], Order], url: str, fault: str, kth: int) -> None:
    """One run with a fault at its k-th statement; it may recover, or fail."""
    with Proxy(url) as proxy:
        release = threading.Event()
        seen = count(1)
        freeze = hold(release) if kth % 2 else hold_answer(release)
        then = {"before": drop_before(), "after": drop_after(), "killed": freeze}[fault]
        rule = proxy.rule(lambda _sql: next(seen) == kth, then=then)
        process = runner_process.start(order(proxy.url))
        if fault == "killed":
            rule.wait(PATIENCE)
            runner_process.kill(process)
        process.join(PATIENCE)
        release.set()
