"""Runs whose connection is cut at each statement in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from manticore_cockroachdb.errors import RehearsalRefused
from manticore_cockroachdb.events import ScratchCreated
from manticore_cockroachdb.rehearsal import Outcome, Recovery
from manticore_cockroachdb.testing import RunningServer
from tests.flavors import Flavour
from tests.harness import Harness
from tests.rehearsal.test_drift import scratch_databases
from tests.rehearsal.tls import can_make_certificates, tls_door

UP = """CREATE TABLE users (id INT8 PRIMARY KEY, name VARCHAR(20));
INSERT INTO users (id, name) VALUES (1, 'Ann');
"""
NO_TLS = (
    "A crash tour needs a server that is reached without TLS and without a service file: its connections "
    "go through a proxy. 127.0.0.1:5/shop is not. Name a server on this machine as the scratch. Nothing "
    "was changed."
)


@pytest.fixture(params=[None, "stepwise"])
def harness(
    request: pytest.FixtureRequest, flavour: Flavour, database_url: str, tmp_path: Path
) -> Harness:
    folder = tmp_path / "migrations"
    return Harness(flavour, database_url, database_url, folder, mode=request.param)


def crashes(found: Any, script: int = 0) -> list[tuple[str, int, str, Recovery]]:
    return [
        (each.direction.value, each.line, each.cut, each.recovery)
        for each in found.scripts[script].crashes
    ]


async def test_each_statement_of_both_sections_is_cut_before_and_after(
    harness: Harness, server: RunningServer
) -> None:
    harness.write("V1__users", f"{UP}-- DOWN\nDROP TABLE users;")

    found = await harness.engine().rehearse(crash=True)

    assert found.scripts[0].outcome is Outcome.COMES_BACK
    assert crashes(found) == [
        (direction, line, cut, Recovery.SAME_RUN)
        for direction, line in (("up", 1), ("up", 2), ("down", 4))
        for cut in ("before", "after")
    ]
    assert found.ok
    assert harness.tables() == []
    assert scratch_databases(server) == []


async def test_a_script_that_cannot_be_reverted_is_built_again_for_each_cut(
    harness: Harness,
) -> None:
    harness.write("V1__users", f"-- manticore: irreversible\n{UP}")

    found = await harness.engine().rehearse(crash=True)

    assert [(line, cut) for _, line, cut, _ in crashes(found)] == [
        (2, "before"),
        (2, "after"),
        (3, "before"),
        (3, "after"),
    ]
    assert found.ok


async def test_statements_with_the_same_text_are_cut_each_for_itself(harness: Harness) -> None:
    again = "UPDATE users SET name = name || '!';\n"
    harness.write("V1__users", f"{UP}{again}{again}-- DOWN\nDROP TABLE users;")

    found = await harness.engine().rehearse(crash=True)

    assert [line for direction, line, cut, _ in crashes(found) if direction == "up"] == [
        1, 1, 2, 2, 3, 3, 4, 4,
    ]  # fmt: skip
    assert found.ok


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        (
            "?sslmode=require",
            NO_TLS,
        ),
        (
            "?host=a,b",
            "A crash tour needs a single host; a:5,b:5/shop names several. Nothing was changed.",
        ),
    ],
)
async def test_a_server_that_the_proxy_cannot_reach_is_refused(
    harness: Harness, flavour: Flavour, parameters: str, reason: str
) -> None:
    harness.write("V1__users", UP)
    elsewhere = flavour.database(f"postgresql://127.0.0.1:5/shop{parameters}")

    with pytest.raises(RehearsalRefused) as refused:
        await harness.engine().rehearse(
            crash=True, scratch=getattr(elsewhere, "wrapped", elsewhere)
        )

    assert str(refused.value) == reason
    assert harness.told(ScratchCreated) == []


@pytest.mark.needs_postgresql(
    "an insecure CockroachDB has nothing that a door could require TLS for"
)
@pytest.mark.skipif(not can_make_certificates(), reason="there is no openssl to make a certificate")
async def test_a_server_that_requires_tls_is_refused_with_its_words(
    harness: Harness, server: RunningServer, flavour: Flavour, tmp_path: Path
) -> None:
    harness.write("V1__users", UP)
    direct = conninfo_to_dict(harness.direct)
    with tls_door(str(direct["host"]), int(str(direct["port"])), tmp_path) as port:
        behind = f"postgresql://{direct['user']}:{direct['password']}@127.0.0.1:{port}/{direct['dbname']}"
        with psycopg.connect(behind) as connection:
            assert connection.pgconn.ssl_in_use
        database = flavour.database(behind)

        with pytest.raises(RehearsalRefused) as refused:
            await harness.engine().rehearse(
                crash=True, scratch=getattr(database, "wrapped", database)
            )

    place = f"127.0.0.1:{port}/{direct['dbname']}"
    words = str(refused.value)
    assert words.startswith(
        "A crash tour needs a server that is reached without TLS and without a service file: its "
        f"connections go through a proxy. {place} refuses such a connection ("
    )
    assert "no pg_hba.conf entry for this host, no encryption" in words
    assert words.endswith("). Name a server on this machine as the scratch. Nothing was changed.")
    assert harness.told(ScratchCreated) == []
    assert scratch_databases(server) == []
