"""Answers that no client reads, and statements that end their own session."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from manticore_cockroachdb import State
from manticore_cockroachdb._backend import protocol
from manticore_cockroachdb._backend.protocol import Command, Result
from manticore_cockroachdb.errors import (
    DatabaseError,
    MigrationFailed,
    OutcomeUnknown,
    PlanRefused,
)
from manticore_cockroachdb.events import Reconnecting
from tests.harness import Harness, fails

ROOT = Path(__file__).parents[2]


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
@pytest.mark.parametrize("code", ["08006", "08P01", "57P01", "40003"])
async def test_an_error_that_was_answered_is_not_a_lost_connection(
    every_mode: Harness, code: str
) -> None:
    every_mode.write("V1__t", "CREATE TABLE t (i INT8)")
    every_mode.write(
        "V2__boom",
        f"SELECT 1;\nDO $$ BEGIN RAISE EXCEPTION 'boom' USING ERRCODE = '{code}'; END $$;",
    )
    message = await fails(every_mode)
    assert message.startswith("V2__boom.sql:2: DO $$ BEGIN RAISE EXCEPTION 'boom' USING ERRCODE")
    assert f" failed: boom ({code})\n" in message
    assert every_mode.told(Reconnecting) == []
    assert every_mode.record()["owner"] is None


async def test_a_stray_parameter_is_reported_with_its_line(harness: Harness) -> None:
    harness.write("V1__t", "CREATE TABLE t (i INT8);\nINSERT INTO t VALUES ($1);")
    for mode in ("atomic", "stepwise"):
        message = await fails(harness, mode=mode)
        assert message.startswith("V1__t.sql:2: INSERT INTO t VALUES ($1) failed: ")
    assert harness.told(Reconnecting) == []


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_a_statement_that_ends_its_own_session_is_reported_in_the_servers_words(
    every_mode: Harness,
) -> None:
    every_mode.write("V1__end", "SELECT 1;\nSELECT pg_terminate_backend(pg_backend_pid());")
    ended = "terminating connection due to administrator command (57P01)"
    with pytest.raises((MigrationFailed, OutcomeUnknown)) as caught:
        await every_mode.engine().migrate()
    assert str(caught.value).startswith("V1__end.sql:2: ")
    if every_mode.defaults["mode"] != "autocommit":  # there, it could take effect twice
        assert f": the server ended the connection: {ended}\n" in str(caught.value)
    reasons = {event.reason for event in every_mode.told(Reconnecting)}
    assert reasons == {f"the server ended the connection: {ended}"}


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_values_that_no_client_can_read_do_not_stop_a_script(every_mode: Harness) -> None:
    harness = every_mode
    name = harness.one("SELECT current_database()")
    harness.ask(f"ALTER DATABASE {name} SET datestyle = 'German'")
    harness.ask(f"ALTER DATABASE {name} SET timezone = 'Asia/Kathmandu'")
    harness.ask(f"ALTER DATABASE {name} SET extra_float_digits = -15")
    harness.ask(f"ALTER DATABASE {name} SET intervalstyle = 'sql_standard'")
    harness.write(
        "V1__odd",
        "SELECT 'infinity'::timestamptz, '0044-03-15 BC'::date, '24:00'::time, '[1,2)'::int4range;\n"
        "CREATE TABLE t (x timestamptz);\nINSERT INTO t VALUES ('infinity') RETURNING x;",
    )
    harness.write("V2__latin", "SET client_encoding = 'LATIN1';\nSELECT chr(233);")
    assert await harness.engine().migrate() == 2
    harness.ask("UPDATE _migrations SET applied_at = 'infinity' WHERE version = 1")
    found = await harness.engine().status()
    assert [(s.state, s.applied_at is None) for s in found] == [
        (State.APPLIED, True),
        (State.APPLIED, False),
    ]


@pytest.mark.needs_postgresql("it asks for what only PostgreSQL has")
async def test_an_encoding_that_the_file_does_not_have_is_refused(every_mode: Harness) -> None:
    every_mode.write("V1__t", "CREATE TABLE t (city TEXT)")
    every_mode.write(
        "V2__city", "SELECT 1;\nSET client_encoding = 'LATIN1';\nINSERT INTO t VALUES ('Zürich');"
    )
    with pytest.raises(PlanRefused) as caught:
        await every_mode.engine().migrate()
    assert str(caught.value) == (
        "V2__city.sql:2: after client_encoding is LATIN1, the server would misread "
        "what is not ASCII in the rest of the script: files are UTF-8, and so is the connection. "
        "Remove this statement. Nothing was run."
    )
    every_mode.write("V2__città", "INSERT INTO t VALUES ('Zürich');")
    (every_mode.folder / "V2__city.sql").unlink()
    assert await every_mode.engine().migrate() == 2
    assert every_mode.ask("SELECT * FROM t") == [("Zürich",)]
    assert every_mode.one("SELECT description FROM _migrations WHERE version = 2") == "città"


@pytest.mark.parametrize(
    "text", ["SELECT 1 FROM generate_series(1, 3)", "SELECT 1 / 0", "SET a.b = 1"]
)
def test_our_questions_are_answered_in_full_after_a_statement_sent_alone(
    database_url: str, text: str
) -> None:
    questions = [Command("SELECT 1, 2"), Command("SELECT 3", discards=True), Command("SELECT 4")]
    answers: list[list[tuple[Any, ...]]] = []

    def answered(_number: int, result: Result) -> None:
        answers.append(result.rows)

    with psycopg.connect(database_url, autocommit=True) as connection:
        for _ in range(2):
            with suppress(DatabaseError):
                connection.wait(protocol.simple(connection.pgconn, text))
            assert connection.wait(protocol.stream(connection.pgconn, questions, answered)) is None
    assert answers == [[(1, 2)], [], [(4,)]] * 2


READER = """
import resource, sys
from manticore_cockroachdb import Database, Migration
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
Migration(Database.from_url(sys.argv[1]), sys.argv[2], mode=sys.argv[3]).migrate()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("mode", ["atomic", "stepwise"])
def test_rows_that_a_script_selects_take_no_memory(
    database_url: str, tmp_path: Path, mode: str
) -> None:
    (tmp_path / "V1__rows.sql").write_text(
        "SELECT g, repeat('x', 1000) FROM generate_series(1, 200000) AS s(g);"
    )
    command = [sys.executable, "-c", READER, database_url, str(tmp_path), mode]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40  # MiB, of 200
