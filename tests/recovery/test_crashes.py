"""The process is killed at statement boundaries and in between; the next run finishes the job."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from manticore_cockroachdb.testing import RunningServer
from tests.fake_cockroach import V21_1, FakeCockroach, hold, hold_answer
from tests.recovery import runner_process, scenario
from tests.recovery.runner_process import PATIENCE, Order

#: Kills in each of the four ways to run (sync and async, both modes).
MIGRATE_KILLS = 52
ROLLBACK_KILLS = 26
#: Runs beside each other: much of a run is waiting.
AT_ONCE = 4
#: Seconds between two looks at the ledger, of which there is one after every kill as well.
LOOK = 0.02


class LedgerWatcher:
    """A second connection that watches the ledger throughout a run."""

    def __init__(self, url: str) -> None:
        self.found: list[int] = []
        self.looks = 0
        self._connection = psycopg.connect(url, autocommit=True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> LedgerWatcher:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def look(self) -> None:
        """Look once; from any thread."""
        try:
            self.found += (
                row[0] for row in self._connection.execute(scenario.FALSE_CLAIMS).fetchall()
            )
        except psycopg.errors.UndefinedTable:
            return
        self.looks += 1

    def _watch(self) -> None:
        while not self._stop.wait(LOOK):
            self.look()


class Rounds:
    """Rounds of kills on fresh databases until enough have died."""

    def __init__(self, server: RunningServer, folder: Path, cockroach: str | None) -> None:
        self.server = server
        self.folder = folder
        self.cockroach = cockroach
        self.kills = 0
        self.looks = 0

    @contextmanager
    def database(self) -> Iterator[FakeCockroach]:
        url = self.server.new_database()
        with FakeCockroach(url, self.cockroach) as fake_cockroach:
            fake_cockroach.upstream = url  # type: ignore[attr-defined]
            yield fake_cockroach
        self.server.drop_database(url)

    def undisturbed(self, verb: str) -> dict[str, object]:
        with self.database() as fake_cockroach:
            runner_process.run(Order(fake_cockroach.url, self.folder, "sync", "migrate"))
            if verb == "rollback":
                runner_process.run(Order(fake_cockroach.url, self.folder, "sync", "rollback"))
            return scenario.snapshot(fake_cockroach.upstream)  # type: ignore[attr-defined]

    def round(self, flavour: str, verb: str, seed: int, wanted: dict[str, object]) -> None:
        """Kill a run, and the next one, and so on; then let one finish and compare."""
        chance = random.Random(seed)  # noqa: S311 - the same kills each time
        with self.database() as fake_cockroach:
            url: str = fake_cockroach.upstream  # type: ignore[attr-defined]
            order = Order(fake_cockroach.url, self.folder, flavour, verb)
            if verb == "rollback":
                runner_process.run(Order(fake_cockroach.url, self.folder, "sync", "migrate"))
            with LedgerWatcher(url) as lies:
                for number in range(chance.randint(1, 4)):
                    self.kills += self._kill(fake_cockroach, order, chance, seed + number)
                    lies.look()
                    runner_process.let_the_lease_run_out(url)
                # Not by its exit code: the threads that start processes poll this one as well, and only
                # one of them reads its code.
                finished = runner_process.context.SimpleQueue()
                process = runner_process.start(order, finished)
                process.join(PATIENCE)
                assert not finished.empty(), f"seed {seed}: the last run did not finish"
            self.looks += lies.looks
            assert lies.found == [], f"seed {seed}: the ledger claimed what was not there"
            assert scenario.snapshot(url) == wanted, f"seed {seed}"

    def _kill(
        self, fake_cockroach: FakeCockroach, order: Order, chance: random.Random, number: int
    ) -> bool:
        fake_cockroach.reset()
        if number % 4 == 0:
            process = runner_process.start(order)
            process.join(chance.uniform(0.02, 0.4))
        else:
            # Frozen on its way to the server, or done there and its answer frozen on its way to the client.
            release = threading.Event()
            kth = chance.randint(3, 60)
            seen = count(1)
            freeze = hold(release) if number % 2 else hold_answer(release)
            rule = fake_cockroach.rule(lambda sql: next(seen) == kth, then=freeze)
            process = runner_process.start(order)
            _wait(lambda: rule.fired > 0 or not process.is_alive())
            killed = runner_process.kill(process)
            release.set()
            return killed
        return runner_process.kill(process)


@pytest.mark.needs_postgresql(
    "the scripts hold PostgreSQL's functions, and a run is stopped by the fake CockroachDB in front of it"
)
@pytest.mark.parametrize("cockroach", [None, V21_1], ids=["atomic", "stepwise"])
@pytest.mark.parametrize("flavour", ["sync", "async"])
@pytest.mark.parametrize(
    ("verb", "kills"), [("migrate", MIGRATE_KILLS), ("rollback", ROLLBACK_KILLS)]
)
def test_killed_at_any_moment_the_next_run_ends_in_the_same_database(
    server: RunningServer,
    tmp_path: Path,
    cockroach: str | None,
    flavour: str,
    verb: str,
    kills: int,
) -> None:
    rounds = Rounds(server, scenario.write(tmp_path / "scripts"), cockroach)
    wanted = rounds.undisturbed(verb)
    seeds = count(1)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while rounds.kills < kills:
            batch = [
                pool.submit(rounds.round, flavour, verb, next(seeds) * 100, wanted)
                for _ in range(AT_ONCE)
            ]
            for future in batch:
                future.result()
    assert rounds.looks > kills


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.002)
