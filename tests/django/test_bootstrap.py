"""`manticore_migrate --bootstrap`, and the same for test databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.django.conftest import Ran, Site
from tests.fake_cockroach import FakeCockroach

Manage = Callable[..., Ran]

USERS = ("V1__users", "CREATE TABLE users (id INT PRIMARY KEY);", "DROP TABLE users;")
NAMES = ("V2__name", "ALTER TABLE users ADD COLUMN name TEXT;", "ALTER TABLE users DROP name;")


@pytest.fixture
def two(site: Site) -> Site:
    site.script(*USERS)
    site.script(*NAMES)
    return site


@pytest.fixture
def cockroach(two: Site) -> Iterator[FakeCockroach]:
    """The entry "default", by way of a server that says it is CockroachDB."""
    with FakeCockroach(two.urls["default"]) as fake_cockroach:
        two.entry(URL=fake_cockroach.url)
        yield fake_cockroach


@pytest.fixture
def for_tests(two: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django takes the database for a test database."""
    from django.db import connections

    said = connections["default"].settings_dict
    monkeypatch.setitem(said["TEST"], "NAME", said["NAME"])


def begun(fake_cockroach: FakeCockroach) -> int:
    """How many transactions hold a script's statements."""
    return sum(seen.sql.startswith("BEGIN TRANSACTION") for seen in fake_cockroach.statements)


def test_it_builds_an_empty_database(two: Site) -> None:
    out = two.call("manticore_migrate", bootstrap=True)
    assert out.endswith(
        "Running migrations:\n  Applying V1__users... OK\n  Applying V2__name... OK\n"
    )
    assert two.versions() == [1, 2]
    again = two.call("manticore_migrate", bootstrap=True)
    assert again.endswith("  No migrations to apply.\n")


def test_it_refuses_a_database_that_is_not_empty(two: Site, manage: Manage) -> None:
    two.query("CREATE TABLE theirs (id INT)")
    ran = manage("manticore_migrate", "--bootstrap")
    assert ran.code == 5
    assert ran.err.startswith("CommandError: The database ")
    assert ran.err.endswith(
        " is not empty (public.theirs), and bootstrap is for empty ones only. Migrate it without "
        "bootstrap. Nothing was run.\n"
    )


@pytest.mark.parametrize(
    ("beside", "name"),
    [("1", "a target"), ("--fake", "--fake"), ("--plan", "--plan"), ("--check", "--check")],
)
def test_it_goes_with_nothing_but_a_whole_run(manage: Manage, beside: str, name: str) -> None:
    assert manage("manticore_migrate", "--bootstrap", beside) == Ran(
        2,
        "",
        "CommandError: --bootstrap applies every script to an empty database; it cannot be combined "
        f"with {name}.\n",
    )


@pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")
def test_on_cockroachdb_scripts_share_a_transaction(two: Site, cockroach: FakeCockroach) -> None:
    two.call("manticore_migrate", bootstrap=True)
    assert begun(cockroach) == 1
    assert two.versions() == [1, 2]


@pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")
@pytest.mark.usefixtures("for_tests")
def test_an_empty_test_database_is_built_that_way(two: Site, cockroach: FakeCockroach) -> None:
    two.entry(RUN_WITH_MIGRATE="before")
    out = two.call("migrate")
    assert "  Applying V1__users... OK\n  Applying V2__name... OK\n" in out
    assert begun(cockroach) == 1


@pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")
def test_a_database_that_is_not_for_tests_is_not(two: Site, cockroach: FakeCockroach) -> None:
    two.entry(RUN_WITH_MIGRATE="before")
    two.call("migrate", verbosity=0)
    assert begun(cockroach) == 0
    assert two.versions() == [1, 2]


@pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")
@pytest.mark.usefixtures("for_tests")
def test_a_database_with_djangos_tables_is_not(two: Site, cockroach: FakeCockroach) -> None:
    two.entry(RUN_WITH_MIGRATE="after")
    two.call("migrate", verbosity=0)
    assert begun(cockroach) == 0
    assert two.versions() == [1, 2]


@pytest.mark.needs_postgresql("the fake CockroachDB stands in front of PostgreSQL only")
@pytest.mark.usefixtures("for_tests")
def test_what_django_does_not_see_makes_it_an_ordinary_run(
    two: Site, cockroach: FakeCockroach
) -> None:
    two.entry(RUN_WITH_MIGRATE="before")
    two.query("CREATE SEQUENCE theirs")
    out = two.call("migrate")
    assert out.count("Operations to perform:\n  Apply all scripts: ") == 1
    assert out.count("  Applying V1__users... OK\n  Applying V2__name... OK\n") == 1
    assert "Another runner" not in out
    assert begun(cockroach) == 0
