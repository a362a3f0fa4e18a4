"""One run with one fault at one statement, in a worker process; what went wrong, in words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from tests.fake_cockroach import FakeCockroach, error
from tests.recovery import runner_process, scenario
from tests.recovery.runner_process import Order

#: Scripts in the set, by verb: what each run must report. A repeatable script is not reverted.
ALL = {
    "migrate": len(scenario.SCRIPTS) + len(scenario.REPEATABLE),
    "rollback": len(scenario.SCRIPTS),
}


@dataclass(frozen=True)
class CutScenario:
    """Where the runs are made.

    Attributes:
        template: URL of a database as it is before each run.
        folder: The scripts.
        cockroach: What the fake CockroachDB claims to be, or None.
        flavour: "sync" or "async".
        verb: "migrate" or "rollback".
        wanted: The database after an undisturbed run.
    """

    template: str
    folder: Path
    cockroach: str | None
    flavour: str
    verb: str
    wanted: dict[str, object]


def faulty_run(cut: CutScenario, fault: str, kth: int) -> str | None:
    """Run with a fault at the k-th statement of any connection.

    Args:
        cut: Where and what.
        fault: "before" or "after" (the connection is cut), or an SQLSTATE to answer instead.
        kth: Which statement, from 1.
    """
    name = f"cut_{cut.flavour}_{fault}_{kth}".lower()
    url = _copy(cut.template, name)
    try:
        with FakeCockroach(url, cut.cockroach) as fake_cockroach:
            fake_cockroach.jobs.made_by_all = cut.cockroach is not None
            if fault in ("before", "after"):
                fake_cockroach.cut_at(kth, fault)
            else:
                seen = count(1)
                fake_cockroach.rule(lambda text: next(seen) == kth, then=error(fault))
            try:
                done = runner_process.run(
                    Order(fake_cockroach.url, cut.folder, cut.flavour, cut.verb)
                )
            except Exception as problem:  # noqa: BLE001 - reported with the statement it came at
                return f"{fault} {kth}: {_text(fake_cockroach, kth)}: {type(problem).__name__}: {problem}"
            if done != ALL[cut.verb]:
                return f"{fault} {kth}: {_text(fake_cockroach, kth)}: {done} scripts reported"
            found = scenario.snapshot(url)
            if found != cut.wanted:
                return (
                    f"{fault} {kth}: {_text(fake_cockroach, kth)}: {_difference(found, cut.wanted)}"
                )
            return None
    finally:
        _drop(cut.template, name)


def _text(fake_cockroach: FakeCockroach, kth: int) -> str:
    seen = fake_cockroach.statements
    return " ".join(seen[kth - 1].sql.split())[:80] if len(seen) >= kth else "no such statement"


def _difference(found: dict[str, object], wanted: dict[str, object]) -> str:
    return "; ".join(f"{key}: {found[key]!r}" for key in wanted if found.get(key) != wanted[key])


def _copy(template: str, name: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(template)
    with psycopg.connect(template, dbname="postgres", autocommit=True) as connection:
        # Copying files is the faster way; PostgreSQL has had the choice since 15.
        by_files = "STRATEGY FILE_COPY" if connection.info.server_version >= 15_00_00 else ""
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} {}").format(
                sql.Identifier(name), sql.Identifier(str(parts["dbname"])), sql.SQL(by_files)
            )
        )
    return template.replace(str(parts["dbname"]), name)


def _drop(template: str, name: str) -> None:
    with psycopg.connect(template, dbname="postgres", autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )
