"""What is refused before the first statement: every problem at once, and nothing was run."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from manticore_cockroachdb import AsyncDatabase, Database
from manticore_cockroachdb._scripts.parser import parse_script
from manticore_cockroachdb.errors import (
    ConnectionFailed,
    DatabaseMissing,
    FilesRefused,
    LedgerRefused,
    PlanRefused,
    SettingsError,
)
from tests.flavors import Flavour
from tests.harness import Cockroach, Harness

KNOWN = (
    "known: mode=atomic|stepwise|autocommit, isolation=read committed|repeatable read|serializable"
)

#: Nobody listens there: an engine that got as far as connecting would say so.
NOWHERE = "postgresql://nobody:s3cret@127.0.0.1:1/nothing"
SECRET = "s3cret"

OWN_TRANSACTIONS = (
    "each script runs in transactions of Manticore's own; remove it "
    "(a header line '-- manticore: mode=atomic' asks for a single one)"
)
FORM = (
    "fits no rule: a script is named V<number>__<description>.sql (a capital V, a whole number, two "
    "underscores), a down part of its own the same with U, a repeatable script "
    "R__<description>.sql; rename it or move it away"
)

FILES: dict[str, tuple[dict[str, str | bytes], str]] = {
    "fits no naming rule": ({"V6_one": ""}, f"V6_one.sql: {FORM}"),
    "negative version": ({"V-1__one": ""}, f"V-1__one.sql: {FORM}"),
    "duplicate versions": (
        {"V1__one": "", "V01__uno": ""},
        (
            "V1__one.sql: is version 1, and so is V01__uno.sql; remove one of them, or give "
            "the one that is not applied anywhere another number: manticore_makemigration --renumber FILE"
        ),
    ),
    "version 0": (
        {"V0__one": ""},
        "V0__one.sql: version 0 stands for the empty database: versions begin at 1; rename it",
    ),
    "version beyond INT8": (
        {"V9223372036854775808__one": ""},
        (
            "V9223372036854775808__one.sql: its version is beyond 9223372036854775807, the highest "
            "possible; rename it"
        ),
    ),
    "not UTF-8": (
        {"V1__one": b"SELECT 1;\nSELECT '\xe9'"},
        "V1__one.sql:2: is not UTF-8: byte 0xe9; save the file as UTF-8",
    ),
    "unterminated quote": (
        {"V1__one": "SELECT 1;\n\nSELECT 'a"},
        "V1__one.sql:3: this string (') is never closed; close it",
    ),
    "unterminated comment": (
        {"V1__one": "SELECT 1;\n/* /* */"},
        "V1__one.sql:2: this comment is never closed; close it",
    ),
    "unterminated dollar quote": (
        {"V1__one": "SELECT $body$ $$"},
        "V1__one.sql:1: this $body$ quote is never closed; close it",
    ),
    "BEGIN": ({"V1__one": "BEGIN;"}, f"V1__one.sql:1: BEGIN: {OWN_TRANSACTIONS}"),
    "COMMIT": ({"V1__one": "SELECT 1;\nCOMMIT"}, f"V1__one.sql:2: COMMIT: {OWN_TRANSACTIONS}"),
    "SAVEPOINT": (
        {"V1__one": "SELECT 1;\n-- DOWN\nSAVEPOINT a"},
        f"V1__one.sql:3: SAVEPOINT: {OWN_TRANSACTIONS}",
    ),
    "two down parts": (
        {"V1__one": "-- DOWN\nSELECT 1;\n-- down"},
        "V1__one.sql:3: two down parts: line 1 is '-- DOWN' already; remove one of the two lines",
    ),
    "down part in two files": (
        {"V1__one": "-- DOWN\nSELECT 1;", "U1__one": ""},
        "V1__one.sql:1: has a down part, and U1__one.sql is one too; remove one of the two",
    ),
    "down part of nothing": (
        {"U1__one": ""},
        (
            "U1__one.sql: is a down part, but there is no V1__….sql it belongs to; add that file or "
            "remove this one"
        ),
    ),
    "unknown header option": (
        {"V1__one": "-- manticore: mode=slow\nSELECT 1"},
        f"V1__one.sql:1: unknown option 'mode=slow'; {KNOWN}",
    ),
}


@pytest.mark.parametrize(("files", "message"), FILES.values(), ids=FILES)
async def test_a_bad_file_is_refused_before_anything_is_connected_to(
    flavour: Flavour, tmp_path: Path, files: dict[str, str | bytes], message: str
) -> None:
    harness = Harness(flavour, NOWHERE, NOWHERE, tmp_path / "migrations")
    for name, text in files.items():
        harness.write(name, text)
    engine = harness.engine()
    for verb in (
        engine.load_migrations,
        engine.migrate,
        engine.rollback,
        engine.status,
        engine.plan,
    ):
        with pytest.raises(FilesRefused) as caught:
            await verb()
        assert str(caught.value) == f"Migration files refused: {message}"
    assert harness.events == []


async def test_all_problems_of_all_files_come_at_once_and_nothing_is_run(harness: Harness) -> None:
    harness.write("V1__good", "CREATE TABLE good (i INT8)")
    harness.write("V2__bad", "-- manticore: speed=9\nBEGIN;\nSELECT 'a")
    harness.write("V3_nameless", "")
    harness.write("V4__worse", "-- DOWN\n-- DOWN\n")
    with pytest.raises(FilesRefused) as caught:
        await harness.engine().migrate()
    assert str(caught.value) == "\n  - ".join(
        [
            "Migration files refused (5 problems):",
            f"V3_nameless.sql: {FORM}",
            f"V2__bad.sql:1: unknown option 'speed=9'; {KNOWN}",
            f"V2__bad.sql:2: BEGIN: {OWN_TRANSACTIONS}",
            "V2__bad.sql:3: this string (') is never closed; close it",
            (
                "V4__worse.sql:2: two down parts: line 1 is '-- DOWN' already; remove one of the two "
                "lines"
            ),
        ]
    )
    assert [problem.line for problem in caught.value.problems] == [None, 1, 2, 3, 2]
    assert harness.tables() == []
    assert harness.events == []


async def test_a_missing_folder_is_refused_with_the_command_that_makes_it(
    flavour: Flavour, tmp_path: Path
) -> None:
    folder = tmp_path / "not here"
    engine = flavour.migration(flavour.database(NOWHERE), folder)
    with pytest.raises(FilesRefused) as caught:
        await engine.migrate()
    assert str(caught.value) == (
        f"Migration files refused: the migrations folder {folder} does not exist; make it with "
        f"`mkdir -p '{folder}'`, or create the first script, which makes it too"
    )


@pytest.mark.parametrize("description", ["", "   ", "!?/.."])
async def test_a_description_that_makes_no_file_name_is_refused(
    harness: Harness, description: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        await harness.engine().create_migration(description, "SELECT 1", "")
    assert str(caught.value) == (
        f"the description {description!r} leaves nothing for a file name; say in a few words what "
        'the script does, for example "create users table"'
    )
    assert list(harness.folder.iterdir()) == []


# -- files, ledger and target do not fit together -------------------------------------------------


async def applied(harness: Harness) -> None:
    """Versions 1, 2, 3 and 5 are applied; 1 has no down part."""
    harness.write("V1__one", "CREATE TABLE one (i INT8);")
    for version, name in ((2, "two"), (3, "three"), (5, "five")):
        up, down = f"CREATE TABLE {name} (i INT8);", f"DROP TABLE {name};"
        harness.write(f"V{version}__{name}", f"{up}\n-- DOWN\n{down}")
    assert await harness.engine().migrate() == 4
    harness.events.clear()


def change(harness: Harness, version: int, name: str) -> tuple[str, str]:
    """Change an applied script; the shortened checksums of what is there now and was applied."""
    path = harness.folder / f"V{version}__{name}.sql"
    before = harness.one(f"SELECT checksum FROM _migrations WHERE version = {version}")
    path.write_text(path.read_text().replace("i INT8", "i INT8, j INT8"))
    script, _ = parse_script(path, path.read_bytes())
    assert script is not None
    return script.checksum[:12], before[:12]


DRIFT = (
    "version {version} was changed after it was applied: its up part's checksum is {new}…, the ledger "
    "has {old}…. Restore the file and put the change into a new script; if the change is harmless (a "
    "comment), accept it with resolve (--accept-checksum {version})."
)
GONE = (
    "version {version} ({name}) is applied but its file is not in the folder, so it cannot be rolled "
    "back. Restore the file; or revert it by hand, and record that with resolve (--not-applied "
    "{version})."
)
NO_DOWN = (
    "version 1 has no down part, so it cannot be rolled back. Add a line '-- DOWN' and the statements "
    "that revert it (none, if there is nothing to do)."
)
OUT_OF_ORDER = (
    "version 4 is pending, but version 5 is applied already. Give it the next free number "
    "(manticore_makemigration --renumber 4), or allow out-of-order scripts (allow_out_of_order=True, "
    "ALLOW_OUT_OF_ORDER in the MANTICORE setting)."
)


async def refused(harness: Harness, verb: str, *arguments: Any, **options: Any) -> str:
    """The message of a verb that refuses the plan; nothing was changed by it."""
    before = harness.tables(), harness.ledger(), harness.record()
    with pytest.raises(PlanRefused) as caught:
        await getattr(harness.engine(), verb)(*arguments, **options)
    assert (harness.tables(), harness.ledger(), harness.record()) == before
    return str(caught.value)


async def test_an_unknown_target_is_refused(harness: Harness) -> None:
    await applied(harness)
    see = "; see status (manticore_showmigrations)."
    for verb in ("migrate", "plan"):
        assert await refused(harness, verb, 4) == (
            "Nothing was run: there is no version 4 to migrate to. The folder has versions 1 to 5, 4 "
            f"in all{see}"
        )
        assert await refused(harness, verb, -1) == (
            "Nothing was run: there is no version -1 to migrate to. A target is a version, or 0 for "
            f"none{see}"
        )
    for verb in ("rollback", "plan_rollback"):
        assert await refused(harness, verb, to_version=4) == (
            "Nothing was run: there is no version 4 to migrate to. The folder has versions 1 to 5, 4 "
            f"in all{see}"
        )
    for file in harness.folder.iterdir():
        file.unlink()
    assert await refused(harness, "migrate", 4) == (
        f"Nothing was run: there is no version 4 to migrate to. The folder has no scripts{see}"
    )


@pytest.mark.parametrize("count", [0, -1])
async def test_a_rollback_of_less_than_one_is_refused(harness: Harness, count: int) -> None:
    await applied(harness)
    for verb in ("rollback", "plan_rollback"):
        assert await refused(harness, verb, count) == (
            f"Nothing was run: the number of migrations to roll back is {count}; it must be 1 or more."
        )


async def test_a_rollback_over_scripts_without_down_part_or_file_is_refused(
    harness: Harness,
) -> None:
    await applied(harness)
    (harness.folder / "V3__three.sql").unlink()
    message = (
        f"Nothing was run (2 problems):\n  - {GONE.format(version=3, name='three')}"
        f"\n  - V1__one.sql: {NO_DOWN}"
    )
    assert await refused(harness, "rollback", 4) == message
    assert await refused(harness, "rollback", to_version=0) == message
    assert await refused(harness, "migrate", 0) == message
    assert await refused(harness, "rollback", 2) == (
        f"Nothing was run: {GONE.format(version=3, name='three')}"
    )


async def test_a_file_that_is_gone_does_not_stop_migrating(harness: Harness) -> None:
    await applied(harness)
    (harness.folder / "V3__three.sql").unlink()
    harness.write("V6__six", "CREATE TABLE six (i INT8)")
    assert await harness.engine().migrate() == 1


async def test_a_pending_version_below_the_highest_applied_one_is_refused(harness: Harness) -> None:
    await applied(harness)
    harness.write("V4__four", "CREATE TABLE four (i INT8)")
    assert await refused(harness, "migrate") == f"Nothing was run: V4__four.sql: {OUT_OF_ORDER}"
    assert await harness.engine(allow_out_of_order=True).migrate() == 1
    assert harness.ledger() == [1, 2, 3, 5, 4]


async def test_a_changed_script_is_refused(harness: Harness) -> None:
    await applied(harness)
    new, old = change(harness, 2, "two")
    drift = DRIFT.format(version=2, new=new, old=old)
    harness.write("V6__six", "CREATE TABLE six (i INT8)")
    assert await refused(harness, "migrate") == f"Nothing was run: V2__two.sql: {drift}"


async def test_all_problems_of_a_plan_come_at_once(harness: Harness) -> None:
    await applied(harness)
    two, three = change(harness, 2, "two"), change(harness, 3, "three")
    harness.write("V4__four", "CREATE TABLE four (i INT8)")
    assert await refused(harness, "migrate") == "\n  - ".join(
        [
            "Nothing was run (3 problems):",
            f"V2__two.sql: {DRIFT.format(version=2, new=two[0], old=two[1])}",
            f"V3__three.sql: {DRIFT.format(version=3, new=three[0], old=three[1])}",
            f"V4__four.sql: {OUT_OF_ORDER}",
        ]
    )


# -- someone else's table -------------------------------------------------------------------------

NOT_OURS = (
    "The table _migrations is not a Manticore ledger: {reason}. It seems to be another tool's. Give "
    "this project a table of its own (the `table` argument, or TABLE in the MANTICORE setting), or "
    "rename that one."
)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("version INT8, description TEXT", "it has no column 'applied_at'"),
        ("id INT8, name TEXT", "it has no column 'version', 'description', 'applied_at'"),
        (
            "version INT8, description TEXT, applied_at TIMESTAMPTZ, app TEXT, name TEXT",
            "it has other columns: 'app', 'name'",
        ),
        (
            "version TEXT, description TEXT, applied_at TIMESTAMPTZ",
            "its column 'version' is no integer",
        ),
    ],
)
async def test_a_ledger_that_is_someone_elses_is_refused(
    harness: Harness, columns: str, reason: str
) -> None:
    harness.ask(f"CREATE TABLE _migrations ({columns})")
    harness.write("V1__one", "CREATE TABLE one (i INT8)")
    engine = harness.engine()
    for verb in (engine.migrate, engine.rollback, engine.status, engine.plan, engine.initialize):
        with pytest.raises(LedgerRefused) as caught:
            await verb()
        assert str(caught.value) == NOT_OURS.format(reason=reason)
    assert harness.tables() == ["_migrations"]


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
        ". Check that the server is up, and host, port, user, password and database."
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
    "The database URL cannot be read: an '@' stands behind its first '/'. Percent-encode '/' in user "
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
        "The database URL cannot be read: more than one '@' stands before its host. Percent-encode '@' "
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


def test_parameters_that_make_no_sense_are_refused() -> None:
    for kind in (Database, AsyncDatabase):
        with pytest.raises(SettingsError) as caught:
            kind(database="d", sslmod="require", hots="h", password=SECRET)
        assert str(caught.value) == (
            "Unknown connection parameter 'hots', 'sslmod': libpq knows no such keyword. See the list "
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
            "statement_timeout is 0; it must be more than 0 seconds, or None for as long as it takes.",
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
            f"The table name '{'x' * 53}' is too long: with '_repeatable' behind it, it must fit 63 bytes.",
        ),
        (
            {"mode": "fast"},
            (
                "The mode 'fast' is unknown; write one of 'atomic', 'stepwise', 'autocommit', or None for "
                "what is right for the server."
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
