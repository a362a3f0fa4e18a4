"""The fake CockroachDB's jobs are called what real servers call theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_cockroach.descriptions import descriptions

SEEN = Path(__file__).parents[1] / "backend" / "job_descriptions.txt"


def seen() -> dict[str, list[str]]:
    """What v22.1 said of each statement, without what comes before or after the change itself."""
    found: dict[str, list[str]] = {}
    for line in SEEN.read_text("utf-8").splitlines():
        if not line.startswith("    "):
            sql = line
            continue
        description = line.strip().partition(": ")[2]
        if description.endswith("[v21.1]") or description.startswith(
            (
                "CLEANUP",
                "removing",
                "updating view",
                "updating referenced",
                "dropping type d.public._",
            )
        ):
            continue
        found.setdefault(sql, []).append(description.removesuffix("[v22.1]").rstrip())
    return found


PLAYED = (
    "CREATE TABLE n (a INT)",
    "CREATE INDEX n ON t (v)",
    "CREATE INDEX ON t (v)",
    "CREATE INDEX IF NOT EXISTS n ON t (v)",
    "CREATE INDEX n ON t (v DESC, s ASC) STORING (w)",
    'CREATE INDEX "I x" ON "My Schema"."Big Table" ("A b")',
    "CREATE SEQUENCE n",
    "CREATE VIEW n AS SELECT id FROM t",
    "DROP TABLE z",
    "DROP TABLE z, y",
    "DROP TABLE IF EXISTS z",
    "DROP VIEW n",
    "DROP SEQUENCE n",
    "DROP TYPE n",
    "DROP INDEX t@iv",
    "TRUNCATE z",
    "TRUNCATE TABLE z, y",
    "TRUNCATE t CASCADE",
    "ALTER TABLE t ADD n INT NOT NULL DEFAULT 3",
    "ALTER TABLE t ADD COLUMN IF NOT EXISTS n INT",
    "ALTER TABLE t ADD COLUMN n INT UNIQUE",
    "ALTER TABLE t DROP s",
    "ALTER TABLE t ADD CHECK (v > 0)",
    "ALTER TABLE t ADD UNIQUE (v)",
    "ALTER TABLE z ADD FOREIGN KEY (a) REFERENCES t (id)",
    "ALTER TABLE t DROP COLUMN IF EXISTS old, ADD CHECK (v > 0), ADD UNIQUE (v)",
    "ALTER TABLE t ALTER v SET DEFAULT 5",
    "ALTER TABLE t ALTER COLUMN v SET NOT NULL",
    "ALTER TABLE t RENAME COLUMN s TO txt",
    "ALTER TABLE z RENAME TO zz",
    "ALTER TABLE z SET SCHEMA n",
    "ALTER TYPE n ADD VALUE 'b'",
    "ALTER SEQUENCE n INCREMENT BY 2",
    "GRANT SELECT ON z TO n_role5",
    "INSERT INTO t VALUES (1)",
)


@pytest.mark.parametrize("sql", PLAYED)
def test_a_played_job_is_called_what_a_real_server_calls_it(sql: str) -> None:
    assert set(descriptions(sql, "d")) == set(seen().get(sql, ()))


def test_a_job_per_table_has_the_whole_statement_for_its_name() -> None:
    said = "DROP TABLE d.public.z, d.s.y"
    assert descriptions("DROP TABLE z, -- both\n  s.y;", "d") == (said, said)
