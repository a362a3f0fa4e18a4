"""CockroachDB's schema-change jobs, as commands and the admin show them; played by the fake CockroachDB."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.django.conftest import Site
from tests.django.test_admin import LIST, client, text
from tests.fake_cockroach import FakeCockroach, Job, State
from tests.waiting import PATIENCE

pytestmark = pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")


@pytest.fixture
def cockroach(site: Site) -> Iterator[FakeCockroach]:
    """The entry "roach": the same database, by way of a server that says it is CockroachDB."""
    site.script("V1__t", "CREATE TABLE t (v INT);", "DROP TABLE t;")
    site.script("V2__index", "CREATE INDEX i ON t (v);", "DROP INDEX i;")
    with FakeCockroach(site.urls["default"]) as fake_cockroach:
        site.entry("roach", MIGRATIONS_DIR=site.folder, URL=fake_cockroach.url)
        yield fake_cockroach


@pytest.fixture
def partially_applied(site: Site, cockroach: FakeCockroach) -> Job:
    """The runner died while the job of version 2 runs; the job."""
    site.call("manticore_migrate", "1", database="roach", verbosity=0)
    site.query(
        "UPDATE _migrations_state SET version = 2, direction = 'up', statements_done = 0, "
        "in_flight = true, "
        "sent_at = clock_timestamp() - INTERVAL '1 minute'"
    )
    return cockroach.jobs.add(
        f"CREATE INDEX i ON {database(site)}.public.t (v)",
        State("running", running_status="populating schema", fraction_completed=0.42),
        job_id=77,
    )


def database(site: Site) -> str:
    """The database's name, as job descriptions have it."""
    return str(conninfo_to_dict(site.urls["default"])["dbname"])


def test_resolve_shows_the_job(site: Site, partially_applied: Job) -> None:
    description = f"CREATE INDEX i ON {database(site)}.public.t (v)"
    out = site.call("manticore_resolve", not_applied=2, database="roach", interactive=False)
    assert out.splitlines()[:4] == [
        "Lease: nobody holds it.",
        "Unfinished: V2__index.sql (up), 0 statements done.",
        "  Sent, and never answered: line 1: CREATE INDEX i ON t (v) (schema)",
        f"  job 77, running, populating schema, 42%: {description}",
    ]


def test_the_admin_shows_the_jobs_progress(site: Site, partially_applied: Job) -> None:
    site.call("migrate", verbosity=0)
    page = client(is_staff=True, is_superuser=True).get(LIST, {"database": "roach"})
    assert "V2 index partially applied run manticore_migrate to finish it" in text(page)
    assert '<progress max="1" value="0.420"></progress>' in page.content.decode()
    assert "job 77, running, populating schema, 42%" in text(page)


def test_the_next_run_waits_for_the_job_and_says_so(site: Site, partially_applied: Job) -> None:
    out: list[str] = []
    run = Thread(target=lambda: out.append(site.call("manticore_migrate", database="roach")))
    run.start()
    while partially_applied.looks < 2 and run.is_alive():
        run.join(0.05)
    site.query("CREATE INDEX i ON t (v)")
    partially_applied.to("succeeded", fraction_completed=1.0)
    run.join(PATIENCE)
    (said,) = out
    assert "    V2__index waits for schema changes to end, " in said
    assert "    V2__index.sql:1: its job 77 succeeded\n" in said
    assert said.endswith("  Applying V2__index... OK\n")
    assert site.versions() == [1, 2]


def test_the_heading_and_the_plan_know_cockroachdb(site: Site, cockroach: FakeCockroach) -> None:
    out = site.call("manticore_migrate", "1", database="roach")
    assert out.startswith("CockroachDB v21.1.")
    plan = site.call("manticore_migrate", plan=True, database="roach")
    assert "Applying V2__index (stepwise)\n" in plan
