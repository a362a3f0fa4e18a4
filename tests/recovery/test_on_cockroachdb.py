"""A real CockroachDB: a run is killed or cut off while another database of the cluster runs the same.

Both have the same tables and the same user. Both end as an undisturbed run does. And a run of one user is
finished by another.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from manticore_cockroachdb import Database, Migration
from manticore_cockroachdb.errors import OutcomeUnknown
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


#: Users of the cluster who own nothing once their database is gone.
SENDER, COLLEAGUE = "manticore_sender", "manticore_colleague"


def as_user(url: str, name: str) -> str:
    """The same database for another user."""
    place = urlsplit(url)
    if place.password or "sslcert" in place.query:
        pytest.skip("a user without a password connects only to a server without TLS")
    return place._replace(netloc=f"{name}@{place.hostname}:{place.port}").geturl()


def killed_after(sql: str, url: str, folder: Path) -> None:
    """A run that is killed when the server has done a statement and its answer is on the way."""
    release = threading.Event()
    with Proxy(url) as proxy:
        rule = proxy.rule(lambda sent: sent == sql, then=hold_answer(release))
        process = runner_process.start(Order(proxy.url, folder, "sync", "migrate"))
        rule.wait(PATIENCE)
        runner_process.kill(process)
        process.join(PATIENCE)
        release.set()


@pytest.mark.parametrize("colleague", [COLLEAGUE, None])
def test_what_another_user_sent_is_known_by_that_users_jobs(
    server: RunningServer, database_url: str, tmp_path: Path, colleague: str | None
) -> None:
    sql = "TRUNCATE lo"
    (tmp_path / "V1__lo.sql").write_text("CREATE TABLE lo (v INT8)")
    (tmp_path / "V2__truncate.sql").write_text(sql)
    with psycopg.connect(database_url, autocommit=True) as connection:

        def ask(question: str) -> list[tuple[object, ...]]:
            cursor = connection.execute(question.encode())
            return cursor.fetchall() if cursor.description else []

        for name in (SENDER, COLLEAGUE):
            ask(f"CREATE USER IF NOT EXISTS {name}")
            ask(f"GRANT ALL ON DATABASE {connection.info.dbname} TO {name}")
        sender = as_user(database_url, SENDER)
        with Database.from_url(sender) as database:
            Migration(database, tmp_path).migrate(1)
        ask(f"GRANT ALL ON TABLE lo, _migrations, _migrations_state TO {SENDER}, {COLLEAGUE}")
        killed_after(sql, sender, tmp_path)
        ask("INSERT INTO lo VALUES (1), (2)")
        with Database.from_url(
            as_user(database_url, colleague) if colleague else database_url
        ) as database:
            migration = Migration(database, tmp_path, lease=runner_process.LEASE)
            if colleague:
                with pytest.raises(OutcomeUnknown) as caught:
                    migration.migrate()
                assert str(caught.value) == (
                    "V2__truncate.sql:1: TRUNCATE lo has an unknown outcome: the previous run ended "
                    f"before the server answered, and user {COLLEAGUE} may not see the schema-change jobs "
                    f"of user {SENDER}, who sent it. Run again as {SENDER} or as an administrator. It was "
                    "not sent again, because sending it again could delete what was created since. Look at "
                    "the database; if the statement took effect, finish the rest of the script by hand and "
                    "record that version 2 is applied, or revert it by hand and record the opposite, with "
                    "manticore_resolve --applied 2 or --not-applied 2."
                )
                assert ask("SELECT version FROM _migrations") == [(1,)]
            else:
                assert migration.migrate() == 1
        if colleague:
            with Database.from_url(sender) as database:
                assert Migration(database, tmp_path).migrate() == 1
        assert ask("SELECT version FROM _migrations ORDER BY 1") == [(1,), (2,)]
        assert ask("SELECT v FROM lo ORDER BY 1") == [(1,), (2,)]
