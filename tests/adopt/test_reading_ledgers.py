"""What the rows of each tool's tables mean: pure, by tables of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from manticore_cockroachdb.adopt import TOOLS
from manticore_cockroachdb.adopt.conversion import convert
from manticore_cockroachdb.adopt.plan import Sides
from manticore_cockroachdb.adopt.plan import plan as plan_adoption
from manticore_cockroachdb.adopt.takeover import Table, choose
from manticore_cockroachdb.adopt.values import Folder, Found, Reading, TheirLedger


def read(
    tool: str, table: str, rows: list[dict[str, Any]], files: tuple[str, ...] = ()
) -> TheirLedger:
    return TOOLS[tool].read_ledger(
        Found(rows={table: rows}, names={table: table}, labels={table: table}), reading(tool, files)
    )


def reading(tool: str, files: tuple[str, ...]) -> Reading:
    return TOOLS[tool].read(Folder(Path("theirs"), dict.fromkeys(files, b"SELECT 1;")))


def _flyway(
    rank: int, kind: str, version: str | None, success: bool = True, **more: Any
) -> dict[str, Any]:
    return {
        "installed_rank": rank,
        "type": kind,
        "version": version,
        "description": "x",
        "script": f"V{version}__x.sql",
        "checksum": None,
        "installed_by": "me",
        "installed_on": None,
        "execution_time": 1,
        "success": success,
        **more,
    }


@pytest.mark.parametrize(
    ("rows", "applied"),
    [
        ([], []),
        ([_flyway(0, "SCHEMA", None), _flyway(1, "SQL", "1")], ["1"]),
        ([_flyway(1, "BASELINE", "2"), _flyway(2, "SQL", "6")], ["6"]),
        ([_flyway(1, "BASELINE", "5"), _flyway(2, "SQL", "6")], ["3", "3.1", "6"]),
        ([_flyway(1, "BASELINE", "3.0.9"), _flyway(2, "SQL", "6")], ["3", "6"]),
        ([_flyway(1, "BASELINE", "3")], ["3"]),
        ([_flyway(1, "BASELINE", "3.1")], ["3", "3.1"]),
        ([_flyway(1, "SQL_BASELINE", "3.1")], ["3", "3.1"]),
        ([_flyway(1, "SQL", "1"), _flyway(2, "UNDO_SQL", "1")], []),
        ([_flyway(1, "SQL", "1"), _flyway(2, "DELETE", "1")], []),
        ([_flyway(1, "SQL", "1"), _flyway(2, "UNDO_SQL", "1"), _flyway(3, "SQL", "1.0")], ["1"]),
        ([_flyway(1, "SQL", None, description="my view")], ["R my view"]),
        (
            [_flyway(1, "SQL", "1"), _flyway(2, "SQL", "2", description="adopted_by_manticore")],
            ["1"],
        ),
    ],
)
def test_flyways_rows_are_folded_by_rank(rows: list[dict[str, Any]], applied: list[str]) -> None:
    ledger = read("flyway", "flyway_schema_history", rows, ("V3__x.sql", "V3.1__y.sql"))

    assert [row.key for row in ledger.applied] == applied
    assert (ledger.findings, ledger.floor) == ((), None)


@pytest.mark.parametrize(
    ("version", "applied"),
    [(-1, []), (0, ["0"]), (1, ["1"]), (2, ["1", "2"]), (9, ["1", "2", "9"])],
)
def test_golang_migrate_has_applied_every_file_up_to_its_version(
    version: int, applied: list[str]
) -> None:
    ledger = read(
        "golang-migrate",
        "schema_migrations",
        [{"version": version, "dirty": False}],
        ("1_a.up.sql", "2_b.up.sql"),
    )

    assert [row.key for row in ledger.applied] == applied


def test_a_baseline_counts_for_the_files_below_it() -> None:
    """Also for a dotted version, which becomes the next whole number here."""
    tool = TOOLS["flyway"]
    files = ("V1__a.sql", "V1.5__b.sql", "V6__c.sql")
    read_ = reading("flyway", files)
    theirs = read("flyway", "flyway_schema_history", [_flyway(1, "BASELINE", "5")], files)

    plan = plan_adoption(
        tool,
        None,
        Path("theirs"),
        Path("ours"),
        read_,
        convert(read_, Path("ours")),
        Sides(theirs=theirs, label="t"),
    )

    assert (plan.applied, plan.pending, plan.findings) == ((1, 2), (6,), ())


def test_all_ancestors_of_alembics_head_are_applied_over_merges() -> None:
    steps = [("", "a"), ("a", "b"), ("a", "c"), ("b, c", "d"), ("d", "e")]
    text = "".join(f"-- Running upgrade {old} -> {new}\n\nSELECT 1;\n\n" for old, new in steps)
    tool = TOOLS["alembic"]
    found = Found(rows={"alembic_version": [{"version_num": "d"}]})

    ledger = tool.read_ledger(found, tool.read(Folder(Path("x"), {"up.sql": text.encode()})))

    assert [row.key for row in ledger.applied] == ["a", "b", "c", "d"]


# -- finding the tables --------------------------------------------------------------------------

GOOSE = frozenset({"id", "version_id", "is_applied", "tstamp"})


@pytest.mark.parametrize(
    ("there", "named", "chosen", "told"),
    [
        ([("public", 1, GOOSE)], None, "public", None),
        ([("public", 1, GOOSE | {"more"})], None, "public", None),
        ([("public", 1, frozenset({"id"}))], None, None, None),
        ([("a", None, GOOSE)], None, None, "goose's ledger is a.goose_db_version, where"),
        ([("a", 1, GOOSE), ("b", 2, GOOSE)], None, None, "goose has several ledgers here: a."),
        ([("a", 1, GOOSE), ("b", None, GOOSE)], None, "a", None),
        ([("a", 1, GOOSE), ("b", None, GOOSE)], "b.goose_db_version", "b", None),
        ([("a", 1, GOOSE)], "b.goose_db_version", None, "There is no table b.goose_db_version"),
        ([], None, None, None),
    ],
)
def test_the_one_table_in_reach_is_taken_and_any_other_must_be_named(
    there: list[tuple[str, int | None, frozenset[str]]],
    named: str | None,
    chosen: str | None,
    told: str | None,
) -> None:
    tables = [Table(schema, "goose_db_version", place, columns) for schema, place, columns in there]

    found, findings = choose(TOOLS["goose"], tables, named)

    assert (found["goose_db_version"].schema if found else None) == chosen
    assert [finding.message[: len(told or "")] for finding in findings] == ([told] if told else [])


def test_a_revision_that_atlas_left_in_the_middle_is_refused_with_atlas_own_way_out() -> None:
    row = {
        "version": "20240102",
        "type": 2,
        "applied": 1,
        "total": 3,
        "executed_at": None,
        "execution_time": 0,
        "error": "relation exists",
        "hash": "",
    }

    ledger = read("atlas", "atlas_schema_revisions", [row], ("20240102_rides.sql",))

    (finding,) = ledger.findings
    assert ledger.applied == ()
    assert str(finding) == (
        "Version 20240102 is partially applied: 1 of 3 statements are applied. relation exists. Fix the "
        "failed statement in its file, run `atlas migrate hash`, and then `atlas migrate apply`, which "
        "resumes there. If you finish it by hand, or it still counts as partially applied, run `atlas "
        "migrate set 20240102`."
    )
