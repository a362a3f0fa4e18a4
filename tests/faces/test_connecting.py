"""URLs, parameters and servers that cannot be used."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from manticore_cockroachdb import AsyncDatabase, Database
from manticore_cockroachdb.errors import (
    ConnectionFailed,
    DatabaseMissing,
    SettingsError,
)
from tests.flavors import Flavour
from tests.harness import Cockroach, Harness

SECRET = "s3cret"
#: Nobody listens there: an engine that got as far as connecting would say so.
NOWHERE = "postgresql://nobody:s3cret@127.0.0.1:1/nothing"


# -- no way to the database -----------------------------------------------------------------------


def at(url: str, **changes: Any) -> str:
    """The same URL with another password, database or the like."""
    parts = urlsplit(url)
    user = quote(changes.get("user", parts.username or ""), safe="")
    password = quote(changes.get("password", parts.password or ""), safe="")
    database = quote(changes.get("database", parts.path[1:]), safe="")
    port = changes.get("port", parts.port)
    return parts._replace(
        netloc=f"{user}:{password}@{parts.hostname}:{port}", path=f"/{database}"
    ).geturl()


WAYS = ["connect", "migrate", "status"]


async def failing(flavour: Flavour, url: str, folder: Path, way: str) -> Exception:
    """What connecting raises, by the database itself or by a verb of an engine over it."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 - nobody is kept waiting
    (folder / "V1__one.sql").write_text("CREATE TABLE one (i INT8)")
    database = flavour.database(url)
    on = database if way == "connect" else flavour.migration(database, folder)
    with pytest.raises(ConnectionFailed) as caught:
        await getattr(on, way)()
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return caught.value


@pytest.mark.parametrize("way", WAYS)
async def test_no_server(flavour: Flavour, tmp_path: Path, way: str) -> None:
    error = await failing(flavour, NOWHERE, tmp_path / "m", way)
    assert str(error).startswith("Could not connect to 127.0.0.1:1/nothing: ")
    assert "Connection refused" in str(error)
    assert str(error).endswith(
        "? Check that the server is up, and host, port, user, password and database."
    )
    assert "\n" not in str(error)


@pytest.mark.parametrize("way", WAYS)
async def test_a_wrong_password(
    flavour: Flavour, database_url: str, tmp_path: Path, way: str
) -> None:
    url = at(database_url, password=SECRET)
    try:
        psycopg.connect(url).close()
        pytest.skip("this server takes any password")
    except psycopg.OperationalError:
        pass
    error = await failing(flavour, url, tmp_path / "m", way)
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port}{parts.path}"
    assert str(error) == (
        f'Could not connect to {place}: connection failed: connection to server at "{parts.hostname}", '
        f'port {parts.port} failed: FATAL: password authentication failed for user "{parts.username}". '
        "Check that the server is up, and host, port, user, password and database."
    )


@pytest.mark.parametrize("way", WAYS)
async def test_a_database_that_does_not_exist(
    flavour: Flavour, database_url: str, tmp_path: Path, way: str
) -> None:
    url = at(database_url, database="no such thing")
    error = await failing(flavour, url, tmp_path / "m", way)
    parts = urlsplit(url)
    assert isinstance(error, DatabaseMissing)
    assert error.database == "no such thing"
    assert str(error) == (
        f"The server at {parts.hostname}:{parts.port}/no such thing has no database 'no such thing'. "
        'Create it first: CREATE DATABASE "no such thing".'
    )


@pytest.mark.parametrize("way", WAYS)
async def test_a_database_that_does_not_exist_though_the_server_lets_us_connect(
    cockroach: Cockroach, tmp_path: Path, way: str
) -> None:
    """As CockroachDB does: then nothing of it is there, not even a schema to be in."""
    name = urlsplit(cockroach.url).path[1:]
    cockroach.fake.rewrite(r"current_schema\(\)", "NULL")
    cockroach.fake.answers(r"SHOW DATABASES.*current_database", ["one"], [])
    error = await failing(cockroach.flavour, cockroach.url, tmp_path / "m", way)
    assert isinstance(error, DatabaseMissing)
    place = cockroach.url.partition("@")[2].partition("?")[0]
    assert str(error) == (
        f"The server at {place} has no database {name!r}. Create it first: "
        f'CREATE DATABASE "{name}".'
    )
    assert cockroach.tables() == []


# -- URLs and parameters --------------------------------------------------------------------------

BEHIND = (
    "The database URL cannot be read: an '@' comes after its first '/'. Percent-encode '/' in user "
    "name and password (%2F), and '@' in the database's name (%40)."
)
BAD_PORT = (
    "The database URL cannot be read: its port is not a number from 1 to 65535. Write "
    "user:password@host:port/database."
)
URLS = {
    f"mysql://me:{SECRET}@h/d": (
        "The database URL's scheme is 'mysql'; write postgresql://, postgres:// or cockroachdb:// in "
        "front of user:password@host:port/database."
    ),
    f"me:{SECRET}@h/d": (
        "The database URL's scheme is missing; write postgresql://, postgres:// or cockroachdb:// in "
        "front of user:password@host:port/database."
    ),
    f"postgresql://me:{SECRET}@h/d?sslmod=require": (
        'The database URL cannot be read: invalid URI query parameter: "sslmod". Percent-encode '
        "special characters in user name and password, and name libpq options only."
    ),
    f"postgresql://me:{SECRET}@h:99999/d": BAD_PORT,
    f"postgresql://me:{SECRET}@h:http/d": BAD_PORT,
    f"postgresql://me:{SECRET}/d": BAD_PORT,
    f"postgresql://me:a@{SECRET}@h/d": (
        "The database URL cannot be read: more than one '@' comes before its host. Percent-encode '@' "
        "in user name and password (%40)."
    ),
    f"me:{SECRET}://h/d": (
        "The database URL's scheme is missing; write postgresql://, postgres:// or cockroachdb:// in "
        "front of user:password@host:port/database."
    ),
    f"postgresql://me:%e9{SECRET}@h/d": (
        "The database URL cannot be read: its percent-encoding is not UTF-8. Percent-encode special "
        "characters in user name and password, and name libpq options only."
    ),
    f"postgresql://me:{SECRET}%zz@h/d": None,
    f"postgresql://me:{SECRET}@[::1/d": None,
    f"postgresql://me:{SECRET}/more@h/d": BEHIND,
    f"postgresql://me:12/{SECRET}@h/d": BEHIND,
    f"postgresql://me:{SECRET}?more/@h/d": BEHIND,
    f"postgresql://me:{SECRET}:more@h/d:{SECRET}?password={SECRET}&x=y": None,
}


@pytest.mark.parametrize(("url", "message"), URLS.items())
def test_a_url_that_cannot_be_read_is_refused_without_its_password(
    url: str, message: str | None
) -> None:
    for kind in (Database, AsyncDatabase):
        with pytest.raises(SettingsError) as caught:
            kind.from_url(url)
        shown = "".join(traceback.format_exception(caught.value))
        assert SECRET not in shown.replace(url, "")  # our own source line is none of the message's
        if message is not None:
            assert str(caught.value) == message


def test_invalid_parameters_are_refused() -> None:
    for kind in (Database, AsyncDatabase):
        with pytest.raises(SettingsError) as caught:
            kind(database="d", sslmod="require", hots="h", password=SECRET)
        assert str(caught.value) == (
            "Unknown connection parameter 'hots', 'sslmod': libpq has no such parameter. See the list "
            "of parameter key words in PostgreSQL's libpq documentation."
        )
        with pytest.raises(SettingsError) as caught:
            kind(min_connections=3, max_connections=2)
        assert str(caught.value) == (
            "min_connections is 3 and max_connections is 2; the first must not be negative nor above "
            "the second, the second at least 1."
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lock_timeout": -1}, "lock_timeout is -1; it must be 0 or more seconds."),
        ({"lease": 0.5}, "lease is 0.5; it must be 1 second or more."),
        (
            {"statement_timeout": 0},
            "statement_timeout is 0; it must be more than 0 seconds, or None for no limit.",
        ),
        (
            {"table": "a.b.c"},
            (
                "The table 'a.b.c' is not a name; write 'name' or 'schema.name', such as '_migrations' or "
                "'ops._migrations'."
            ),
        ),
        (
            {"table": ""},
            (
                "The table '' is not a name; write 'name' or 'schema.name', such as '_migrations' or "
                "'ops._migrations'."
            ),
        ),
        (
            {"table": "x" * 53},
            (
                f"The table name '{'x' * 53}' is too long: with '_repeatable' added, it must not "
                "be longer than 63 bytes."
            ),
        ),
        (
            {"mode": "fast"},
            (
                "The mode 'fast' is unknown; write one of 'atomic', 'stepwise', 'autocommit', or None to "
                "let the server and the script decide."
            ),
        ),
    ],
)
def test_options_out_of_their_range_are_refused(
    flavour: Flavour, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        flavour.migration(flavour.database(NOWHERE), tmp_path, **options)
    assert str(caught.value) == message


async def test_no_text_of_anything_shows_the_password(harness: Harness) -> None:
    password = urlsplit(harness.url).password
    if not password:
        pytest.skip("this server wants no password")
    harness.write("V1__one", "CREATE TABLE one (i INT8)")
    database = harness.database()
    real = getattr(database, "wrapped", database)
    engine = harness.engine()
    await database.connect()
    await engine.migrate()
    shown = [real, real.settings, real.server, *harness.events, *(await engine.status())]
    shown += [vars(real)["_settings"], await engine.resolve.known()]
    for each in shown:
        assert password not in f"{each!r} {each}"
    assert repr(real) == f"<{type(real).__name__} {real.settings.place}>"
