"""A checkpoint is made from scripts, proved and written; if not written, the reason is reported."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from manticore_cockroachdb.errors import FilesRefused, PlanRefused, RehearsalRefused
from manticore_cockroachdb.events import ScratchCreated, ScratchDropped, SquashAdvanced
from manticore_cockroachdb.testing import RunningServer
from tests.flavors import Flavour
from tests.harness import Harness

SHOPS = """
CREATE TABLE shops (id INT8 PRIMARY KEY, name VARCHAR(40) NOT NULL, opened TIMESTAMPTZ, note TEXT);
CREATE INDEX by_name ON shops (name);
INSERT INTO shops VALUES
    (10, 'O''Brien', '2020-02-29 12:00:00.123456+02', E'two\\nlines  '),
    (9, 'Zürich', NULL, E'tab\\t\\\\ and \\r\\n');
-- DOWN
DROP TABLE shops;
"""
SALES = """
CREATE SEQUENCE receipts;
CREATE TABLE sales (
    id INT8 PRIMARY KEY DEFAULT nextval('receipts'), shop INT8 CONSTRAINT of_shop REFERENCES shops (id),
    price DECIMAL(9, 2) NOT NULL, exact FLOAT8, paid BOOL, data JSONB, raw BYTEA, tags TEXT[]
);
INSERT INTO sales (shop, price, exact, paid, data, raw, tags) VALUES
    (10, 1.50, 0.1, true, '{"a": [1, null]}', '\\x00ff', ARRAY['a b', 'c,d', NULL]),
    (9, -2, 1e300, NULL, NULL, NULL, NULL);
CREATE VIEW named AS SELECT name FROM shops;
-- DOWN
DROP VIEW named;
DROP TABLE sales;
DROP SEQUENCE receipts;
"""
LATER = "CREATE TABLE later (id INT8 PRIMARY KEY);\n-- DOWN\nDROP TABLE later;\n"


@pytest.fixture
def harness(flavour: Flavour, database_url: str, tmp_path: Path) -> Harness:
    made = Harness(flavour, database_url, database_url, tmp_path / "migrations")
    made.write("V1__shops", SHOPS)
    made.write("V2__sales", SALES)
    made.write("V3__later", LATER)
    return made


def scratch_databases(server: RunningServer) -> list[str]:
    question = (
        "SELECT database_name FROM [SHOW DATABASES]"
        if server.kind == "cockroachdb"
        else "SELECT datname FROM pg_database"
    )
    with psycopg.connect(server.url, autocommit=True) as connection:
        names = [str(name) for (name,) in connection.execute(question.encode()).fetchall()]
    return [name for name in names if name.startswith("manticore_scratch")]


def files(harness: Harness) -> list[str]:
    return sorted(path.name for path in harness.folder.iterdir())


async def test_a_new_database_starts_from_it_and_is_as_the_scripts_make_it(
    harness: Harness, server: RunningServer
) -> None:
    squash = await harness.engine().squash(2)

    assert squash.path == harness.folder / "B2__schema.sql"
    assert (squash.version, squash.span, squash.rows, squash.is_new) == (2, "1–2", 4, True)
    assert [each.stage for each in harness.told(SquashAdvanced)] == [
        "building the schema from the scripts",
        "reading the schema and the rows",
        "building both again from the checkpoint",
        "comparing",
    ]
    assert len(harness.told(ScratchCreated)) == len(harness.told(ScratchDropped)) == 2
    assert scratch_databases(server) == []
    assert harness.tables() == []

    plan = await harness.engine().plan()
    assert [step.name for step in plan.steps] == ["B2__schema", "V3__later"]
    assert await harness.engine().migrate() == 2

    assert harness.ledger() == [1, 2, 3]
    rows = harness.ask(
        "SELECT version, description, checksum, applied_by FROM _migrations ORDER BY 1"
    )
    scripts = await harness.engine().load_migrations()
    assert [row[:3] for row in rows] == [
        (script.version, script.description, script.checksum) for script in scripts
    ]
    assert [row[3].rpartition(" (")[2] for row in rows[:2]] == ["checkpoint 2)"] * 2
    assert "checkpoint" not in rows[2][3]
    assert not await harness.engine().drift()
    assert harness.ask("SELECT id, name, opened::TEXT IS NULL, note FROM shops ORDER BY id") == [
        (9, "Zürich", True, "tab\t\\ and \r\n"),
        (10, "O'Brien", False, "two\nlines  "),
    ]
    assert harness.one("INSERT INTO sales (shop, price) VALUES (9, 1) RETURNING id") == 3
    assert await harness.engine().migrate() == 0
    assert harness.free()


async def test_what_it_made_can_be_rolled_back_by_the_scripts(harness: Harness) -> None:
    await harness.engine().squash(3)
    assert await harness.engine().migrate() == 1
    assert harness.ledger() == [1, 2, 3]

    assert await harness.engine().rollback(3) == 3

    assert harness.ledger() == []
    assert "shops" not in harness.tables()


async def test_written_again_it_is_the_same_file(harness: Harness) -> None:
    await harness.engine().squash(2, description="all of it")
    assert files(harness)[0] == "B2__all_of_it.sql"
    before = (harness.folder / "B2__all_of_it.sql").read_bytes()

    squash = await harness.engine().squash(2)

    assert (squash.path.name, squash.is_new) == ("B2__all_of_it.sql", False)
    assert (harness.folder / "B2__all_of_it.sql").read_bytes() == before


async def test_an_older_checkpoint_replaces_files_that_are_gone(harness: Harness) -> None:
    await harness.engine().squash(2)
    (harness.folder / "V1__shops.sql").unlink()
    (harness.folder / "V2__sales.sql").unlink()

    squash = await harness.engine().squash(3)

    assert squash.span == "1–3"
    assert [step.name for step in (await harness.engine().plan()).steps] == ["B3__schema"]
    await harness.engine().migrate()
    assert harness.ledger() == [1, 2, 3]
    assert not await harness.engine().drift()


async def test_a_version_that_is_not_there_is_refused(harness: Harness) -> None:
    with pytest.raises(PlanRefused) as refused:
        await harness.engine().squash(40)

    assert str(refused.value) == (
        "There is no script of version 40 to squash to. The folder has versions 1–3. No checkpoint was "
        "written."
    )
    assert harness.told(ScratchCreated) == []


async def test_too_many_rows_are_refused(harness: Harness, server: RunningServer) -> None:
    with pytest.raises(RehearsalRefused) as refused:
        await harness.engine().squash(2, max_rows=3)

    assert str(refused.value) == (
        "The scripts insert 4 rows (public.sales: 2, public.shops: 2). A checkpoint holds 3 at most, "
        "because it is a file that people read. Allow more with --max-rows (max_rows=… in the library), or "
        "squash to a version before the script that inserts them. No file was written."
    )
    assert [name for name in files(harness) if name.startswith("B")] == []
    assert scratch_databases(server) == []


async def test_scripts_with_placeholders_are_refused(harness: Harness) -> None:
    harness.write("V3__later", "CREATE TABLE later (id INT8 PRIMARY KEY, ${column} INT8);")
    engine = harness.engine(placeholders={"column": "n"})

    with pytest.raises(PlanRefused) as refused:
        await engine.squash(3)

    assert str(refused.value) == (
        "V3__later.sql: version 3 uses placeholders. A checkpoint would hold the values of this database, "
        "and be wrong for others. Squash to a version below 3. No checkpoint was written."
    )


async def test_what_changes_the_server_is_refused_or_left_out(harness: Harness) -> None:
    harness.write(
        "V3__later",
        "COMMENT ON DATABASE postgres IS NULL;\nGRANT SELECT ON shops TO PUBLIC;"
        if not harness.on_cockroachdb
        else "COMMENT ON DATABASE defaultdb IS NULL;\nGRANT SELECT ON shops TO PUBLIC;",
    )

    with pytest.raises(PlanRefused) as refused:
        await harness.engine().squash(3)

    assert "V3__later.sql:1: COMMENT ON DATABASE" in str(refused.value)
    assert (
        "changes the server, not the database. A checkpoint cannot hold it. Leave such statements out with "
        "--leave-out-server (leave_out_server=True in the library); new servers then need them from "
        "elsewhere." in str(refused.value)
    )

    squash = await harness.engine().squash(3, leave_out_server=True)
    (left,) = squash.left_out
    assert left.startswith("V3__later.sql:1: COMMENT ON DATABASE")
    assert f"-- Left out: {left}\n" in squash.path.read_text("utf-8")


async def test_an_edited_checkpoint_is_refused(harness: Harness) -> None:
    path = (await harness.engine().squash(2)).path
    path.write_text(path.read_text("utf-8").replace("O''Brien", "Smith"), "utf-8")

    with pytest.raises(FilesRefused) as refused:
        await harness.engine().migrate()

    assert str(refused.value) == (
        "B2__schema.sql:1: was edited since it was proved; restore it, or write "
        "it again: manticore_squash 2. Nothing was run."
    )


async def test_what_is_wrong_with_checkpoints_is_reported_at_once(harness: Harness) -> None:
    text = (await harness.engine().squash(2)).path.read_text("utf-8")
    harness.write("B2__again", text)
    harness.write("B7__renamed", text)
    harness.write("B1__by_hand", "CREATE TABLE shops (id INT8);")
    (harness.folder / "V2__sales.sql").unlink()

    with pytest.raises(FilesRefused) as refused:
        await harness.engine().status()

    again = "restore it, or write it again: manticore_squash 1"
    restore = "restore that file, or remove every file up to it"
    gone = "whose file is not in the folder, although that of version 1 is"
    assert str(refused.value).split("\n") == [
        "4 problems. Nothing was run:",
        f"  - B1__by_hand.sql:1: has no head that says which versions it stands for; {again}",
        f"  - B2__again.sql: stands for version 2 (sales), {gone}; {restore}",
        "  - B2__schema.sql: is a checkpoint of version 2, and so is B2__again.sql; remove one of them",
        "  - B7__renamed.sql:1: stands for versions up to 2, and its name says 7; rename it",
    ]


async def test_checkpoints_survive_other_line_ends(harness: Harness) -> None:
    path = (await harness.engine().squash(2)).path
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert await harness.engine().migrate() == 2
    assert not await harness.engine().drift()


async def test_new_scripts_are_numbered_above_checkpoints(harness: Harness) -> None:
    await harness.engine().squash(3)
    for name in ("V1__shops", "V2__sales", "V3__later"):
        (harness.folder / f"{name}.sql").unlink()

    path = await harness.engine().create_migration("next", "SELECT 1")

    assert path.name == "V4__next.sql"
