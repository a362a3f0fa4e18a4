"""A history of each tool, by its documented formats: files, and the tables as that tool makes them.

Those tools that run here make their own histories in `test_real_tools`; these are for the others
too, and have every partially applied state there is.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from manticore_cockroachdb.adopt import checksums

USERS = "CREATE TABLE users (id INT8 PRIMARY KEY, name TEXT);\n"
DROP_USERS = "DROP TABLE users;\n"
RIDES = "CREATE TABLE rides (id INT8 PRIMARY KEY, rider INT8);\n"
DROP_RIDES = "DROP TABLE rides;\n"
NOTES = "CREATE TABLE notes (id INT8 PRIMARY KEY);\n"
DROP_NOTES = "DROP TABLE notes;\n"


@dataclass(frozen=True)
class Trouble:
    """A state that stops the move.

    Attributes:
        sql: What brings the ledger into it.
        finding: What is reported, without the remedy.
    """

    sql: str
    finding: str


@dataclass(frozen=True)
class History:
    """Two migrations that are applied and one that is pending.

    Attributes:
        files: Contents by path below the folder.
        ledger: Statements that make the tool's tables.
        versions: The versions here: two applied, one pending.
        troubles: States that stop the move, by name.
        times: When the first two were applied, as our ledger must say; None: at the adoption.
        users: Who applied them, as our ledger must say.
        milliseconds: How long they took, as our ledger must say.
        stopped: What tells in the tool's tables that it is stopped.
        root: The folder's name, where that matters.
    """

    files: Mapping[str, str]
    ledger: tuple[str, ...]
    versions: tuple[int, int, int]
    stopped: str
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    times: tuple[str, str] | None = None
    users: tuple[str, str] | None = None
    milliseconds: tuple[int, int] | None = None
    root: str = "theirs"


_T1, _T2 = "2024-01-01 10:00:00", "2024-01-02 11:30:00"
_TIMES = ("2024-01-01T10:00:00+00:00", "2024-01-02T11:30:00+00:00")
_STAMPS = (20240101000000, 20240102000000, 20240103000000)
_N1, _N2, _N3 = (str(stamp) for stamp in _STAMPS)


def _three(pattern: str, template: str) -> dict[str, str]:
    parts = ((_N1, "users", USERS, DROP_USERS), (_N2, "rides", RIDES, DROP_RIDES))
    parts = (*parts, (_N3, "notes", NOTES, DROP_NOTES))
    return {
        pattern.format(version=version, name=name): template.format(up=up, down=down)
        for version, name, up, down in parts
    }


_GOLANG = {
    **_three("{version}_{name}.up.sql", "{up}"),
    **_three("{version}_{name}.down.sql", "{down}"),
}

_FLYWAY = {
    "V1__users.sql": USERS,
    "V1.1__rides.sql": RIDES,
    "V2__notes.sql": NOTES,
    "U1.1__rides.sql": DROP_RIDES,
}
_FLYWAY_INSERT = (
    "INSERT INTO flyway_schema_history (installed_rank, version, description, type, script, "
    "checksum, "
    "installed_by, installed_on, execution_time, success) VALUES "
)


def _flyway_row(rank: int, version: str, name: str, text: str, time: str, took: int) -> str:
    crc = checksums.flyway(text.encode())
    return (
        f"{_FLYWAY_INSERT}({rank}, '{version}', '{name}', 'SQL', 'V{version}__{name}.sql', {crc}, "
        f"'alice', '{time}', {took}, true)"
    )


_SQLX_INSERT = (
    "INSERT INTO _sqlx_migrations "
    "(version, description, installed_on, success, checksum, execution_time) "
)


def _sqlx_row(version: str, name: str, text: str, time: str, success: str = "true") -> str:
    digest = hashlib.sha384(text.encode()).hexdigest()
    return (
        f"{_SQLX_INSERT}VALUES ({version}, '{name}', '{time}+00', {success}, decode('{digest}', "
        f"'hex'), "
        "7000000)"
    )


def _refinery_row(version: int, name: str, text: str, time: str) -> str:
    return (
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES "
        f"({version}, '{name}', '{time.replace(' ', 'T')}Z', "
        f"'{checksums.refinery(name, version, text)}')"
    )


_ATLAS_FILES = _three("{version}_{name}.sql", "{up}")
_ATLAS_SUMS = checksums.atlas((name, text.encode()) for name, text in sorted(_ATLAS_FILES.items()))
_ATLAS_TOTAL = base64.b64encode(
    hashlib.sha256("".join(f"{n}{h}" for n, h in _ATLAS_SUMS.items()).encode()).digest()
).decode()
_ATLAS_SUM = f"h1:{_ATLAS_TOTAL}\n" + "".join(f"{n} h1:{h}\n" for n, h in _ATLAS_SUMS.items())


def _atlas_row(version: str, name: str, time: str, applied: int = 1, error: str = "") -> str:
    return (
        "INSERT INTO atlas_schema_revisions (version, description, type, applied, total, "
        "executed_at, "
        "execution_time, error, error_stmt, hash, partial_hashes, operator_version) VALUES "
        f"('{version}', '{name}', 2, {applied}, 1, '{time}+00', 5000000, "
        f"{repr(error) if error else 'NULL'}, NULL, '{_ATLAS_SUMS[f'{version}_{name}.sql']}', NULL, "
        "'Atlas CLI v0.38')"
    )


_PRISMA = {
    "migration_lock.toml": 'provider = "postgresql"\n',
    **_three("{version}_{name}/migration.sql", "{up}"),
}


def _prisma_row(ident: str, name: str, text: str, time: str, finished: bool = True) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    end = f"'{time}+00'" if finished else "NULL"
    return (
        "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, started_at, "
        f"applied_steps_count) VALUES ('{ident}', '{digest}', {end}, '{name}', "
        f"'{time}+00'::TIMESTAMPTZ - INTERVAL '0.25 s', 1)"
    )


_LIQUIBASE = {
    "changelog.sql": "--liquibase formatted sql\n"
    + "".join(
        f"\n--changeset alice:{number}\n{up}--rollback {down}"
        for number, up, down in (
            ("users", USERS, DROP_USERS),
            ("rides", RIDES, DROP_RIDES),
            ("notes", NOTES, DROP_NOTES),
        )
    )
}


def _liquibase_row(ident: str, text: str, order: int, time: str, exectype: str = "EXECUTED") -> str:
    return (
        "INSERT INTO databasechangelog "
        "(id, author, filename, dateexecuted, orderexecuted, exectype, md5sum) "
        f"VALUES ('{ident}', 'alice', 'db/changelog.sql', '{time}', {order}, '{exectype}', "
        f"'{checksums.liquibase(text)[1]}')"
    )


_YOYO = {
    "0001.users.sql": USERS,
    "0001.users.rollback.sql": DROP_USERS,
    "0002.rides.sql": f"-- depends: 0001.users\n{RIDES}",
    "0003.notes.sql": NOTES,
}

_ALEMBIC = {
    "upgrade.sql": (
        "BEGIN;\n\nCREATE TABLE alembic_version (\n    version_num VARCHAR(32) NOT NULL, \n"
        "    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n);\n\n"
        f"-- Running upgrade  -> aaa1\n\n{USERS}\n"
        "INSERT INTO alembic_version (version_num) VALUES ('aaa1');\n\n"
        f"-- Running upgrade aaa1 -> bbb2\n\n{RIDES}\n"
        "UPDATE alembic_version SET version_num='bbb2' WHERE alembic_version.version_num = "
        "'aaa1';\n\n"
        f"-- Running upgrade bbb2 -> ccc3\n\n{NOTES}\n"
        "UPDATE alembic_version SET version_num='ccc3' WHERE alembic_version.version_num = "
        "'bbb2';\n\n"
        "COMMIT;\n"
    ),
    "downgrade.sql": (
        f"BEGIN;\n\n-- Running downgrade ccc3 -> bbb2\n\n{DROP_NOTES}\n"
        "UPDATE alembic_version SET version_num='bbb2' WHERE alembic_version.version_num = "
        "'ccc3';\n\n"
        f"-- Running downgrade bbb2 -> aaa1\n\n{DROP_RIDES}\nCOMMIT;\n"
    ),
}

_STRUCTURE = (
    f"\\restrict abc\nSET statement_timeout = 0;\n{USERS}{RIDES}"
    "CREATE TABLE public.schema_migrations (version character varying NOT NULL);\n"
    'SET search_path TO "$user", public;\n'
    f"INSERT INTO \"schema_migrations\" (version) VALUES\n('{_N2}'),\n('{_N1}');\n\\unrestrict abc\n"
)

HISTORIES: dict[str, History] = {
    "golang-migrate": History(
        files=_GOLANG,
        ledger=(
            (
                "CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, dirty "
                "BOOLEAN NOT "
                "NULL)"
            ),
            f"INSERT INTO schema_migrations VALUES ({_N2}, false)",
        ),
        versions=_STAMPS,
        stopped="SELECT count(*) FROM schema_migrations WHERE dirty",
        troubles={
            "dirty": Trouble(
                "UPDATE schema_migrations SET dirty = true",
                f"Version {_N2} is dirty: its run failed in the middle.",
            ),
            "lock row": Trouble(
                "CREATE TABLE schema_lock (lock_id INT8 NOT NULL PRIMARY KEY); "
                "INSERT INTO schema_lock VALUES (12345)",
                "public.schema_lock holds a lock.",
            ),
            "two rows": Trouble(
                "INSERT INTO schema_migrations VALUES (1, false)",
                "public.schema_migrations has 2 rows, and golang-migrate keeps one.",
            ),
            "no such file": Trouble(
                "UPDATE schema_migrations SET version = 20240102000001",
                "20240102000001 is applied, but its file is missing.",
            ),
        },
    ),
    "flyway": History(
        files=_FLYWAY,
        ledger=(
            (
                "CREATE TABLE flyway_schema_history (installed_rank INT8 NOT NULL PRIMARY KEY, "
                "version VARCHAR(50), description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL, "
                ""
                "script VARCHAR(1000) NOT NULL, checksum INT4, installed_by VARCHAR(100) NOT NULL, "
                "installed_on TIMESTAMP NOT NULL DEFAULT now(), execution_time INT4 NOT NULL, "
                "success BOOLEAN NOT NULL)"
            ),
            _flyway_row(1, "1", "users", USERS, _T1, 12),
            _flyway_row(2, "1.1", "rides", RIDES, _T2, 15),
        ),
        versions=(1, 2, 3),
        stopped="SELECT count(*) FROM flyway_schema_history WHERE NOT success",
        times=_TIMES,
        users=("alice (adopted from Flyway)",) * 2,
        milliseconds=(12, 15),
        troubles={
            "failed": Trouble(
                f"{_FLYWAY_INSERT}(3, '2', 'notes', 'SQL', 'V2__notes.sql', 0, 'alice', now(), 1, "
                f"false)",
                "V2__notes.sql (version 2) failed.",
            ),
            "lock row": Trouble(
                f"{_FLYWAY_INSERT}(-100, '1', 'flyway-lock', '', '', 0, '', now(), 0, true)",
                "public.flyway_schema_history holds Flyway's lock row for CockroachDB.",
            ),
            "changed": Trouble(
                "UPDATE flyway_schema_history SET checksum = 1 WHERE version = '1.1'",
                "V1.1__rides.sql was changed after it was applied: its checksum differs.",
            ),
            "no such file": Trouble(
                f"{_FLYWAY_INSERT}(3, '1.2', 'x', 'SQL', 'V1.2__x.sql', 0, 'alice', now(), 1, true)",
                "1.2 is applied, but its file is missing.",
            ),
            "out of order": Trouble(
                "DELETE FROM flyway_schema_history WHERE version = '1'",
                "V1__users.sql is not applied, though later ones are.",
            ),
            "undone": Trouble(
                f"{_FLYWAY_INSERT}(3, '1', 'users', 'UNDO_SQL', 'U1__x.sql', 0, 'alice', now(), 1, "
                f"true)",
                "V1__users.sql is not applied, though later ones are.",
            ),
        },
    ),
    "goose": History(
        files=_three("{version}_{name}.sql", "-- +goose Up\n{up}\n-- +goose Down\n{down}"),
        ledger=(
            (
                "CREATE TABLE goose_db_version (id SERIAL PRIMARY KEY, "
                ""
                "version_id BIGINT NOT NULL, is_applied BOOLEAN NOT NULL, tstamp TIMESTAMP NOT NULL "
                "DEFAULT "
                "now())"
            ),
            "INSERT INTO goose_db_version (id, version_id, is_applied) VALUES (101, 0, true)",
            *(
                "INSERT INTO goose_db_version (id, version_id, is_applied, tstamp) "
                f"VALUES ({ident}, {version}, {state}, '{time}')"
                for ident, version, state, time in (
                    (102, _N1, "true", _T1),
                    (103, _N2, "true", _T1),
                    (104, _N2, "false", _T1),
                    (105, _N2, "true", _T2),
                )
            ),
        ),
        versions=_STAMPS,
        stopped="SELECT count(*) FROM information_schema.columns WHERE table_name = 'goose_db_version' "
        "AND column_name = 'adopted_by_manticore'",
        times=_TIMES,
        troubles={
            "no such file": Trouble(
                "INSERT INTO goose_db_version (id, version_id, is_applied) VALUES (106, 7, true)",
                "7 is applied, but its file is missing.",
            ),
            "out of order": Trouble(
                f"INSERT INTO goose_db_version (id, version_id, is_applied) VALUES (107, {_N1}, false)",
                f"{_N1}_users.sql is not applied, though later ones are.",
            ),
        },
    ),
    "dbmate": History(
        files=_three("{version}_{name}.sql", "-- migrate:up\n{up}\n-- migrate:down\n{down}"),
        ledger=(
            "CREATE TABLE schema_migrations (version VARCHAR(128) PRIMARY KEY)",
            f"INSERT INTO schema_migrations VALUES ('{_N1}'), ('{_N2}')",
        ),
        versions=_STAMPS,
        stopped="SELECT count(*) FROM information_schema.columns WHERE table_name = "
        "'schema_migrations' "
        "AND column_name = 'adopted_by_manticore'",
        troubles={
            "no such file": Trouble(
                "INSERT INTO schema_migrations VALUES ('20230101000000')",
                "20230101000000 is applied, but its file is missing.",
            ),
            "another project": Trouble(
                "DELETE FROM schema_migrations; INSERT INTO schema_migrations VALUES ('1'), ('2')",
                "The ledger names 2 migrations and the folder has 3, but they have none in common.",
            ),
        },
    ),
    "pop": History(
        files={
            **_three("{version}_{name}.postgres.up.sql", "{up}"),
            **_three("{version}_{name}.down.sql", "{down}"),
        },
        ledger=(
            "CREATE TABLE schema_migration (version VARCHAR(14) PRIMARY KEY)",
            f"INSERT INTO schema_migration VALUES ('{_N1}'), ('{_N2}')",
        ),
        versions=_STAMPS,
        stopped="SELECT count(*) FROM information_schema.columns WHERE table_name = "
        "'schema_migration' AND column_name = 'adopted_by_manticore'",
        troubles={
            "no such file": Trouble(
                "INSERT INTO schema_migration VALUES ('20230101000000')",
                "20230101000000 is applied, but its file is missing.",
            ),
        },
    ),
    "sql-migrate": History(
        files=_three("{version}_{name}.sql", "-- +migrate Up\n{up}\n-- +migrate Down\n{down}"),
        ledger=(
            "CREATE TABLE gorp_migrations (id TEXT NOT NULL PRIMARY KEY, applied_at TIMESTAMPTZ)",
            (
                f"INSERT INTO gorp_migrations VALUES ('{_N1}_users.sql', '{_T1}+00'), "
                f"('{_N2}_rides.sql', '{_T2}+00')"
            ),
        ),
        versions=_STAMPS,
        stopped="SELECT count(*) FROM gorp_migrations WHERE id LIKE '%adopted_by_manticore.sql'",
        times=_TIMES,
        troubles={
            "no such file": Trouble(
                "INSERT INTO gorp_migrations VALUES ('7_x.sql', now())",
                "7_x.sql is applied, but its file is missing.",
            ),
        },
    ),
    "sqlx": History(
        files=_three("{version}_{name}.sql", "{up}"),
        ledger=(
            (
                "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, "
                ""
                "installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, "
                "checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL)"
            ),
            _sqlx_row(_N1, "users", USERS, _T1),
            _sqlx_row(_N2, "rides", RIDES, _T2),
        ),
        versions=_STAMPS,
        stopped="SELECT count(*) FROM _sqlx_migrations WHERE NOT success",
        times=_TIMES,
        milliseconds=(7, 7),
        troubles={
            "half done": Trouble(
                _sqlx_row(_N3, "notes", NOTES, _T2, "false"),
                f"Version {_N3} (notes) ended in the middle.",
            ),
            "changed": Trouble(
                f"UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = {_N1}",
                f"{_N1}_users.sql was changed after it was applied: its checksum differs.",
            ),
        },
    ),
    "refinery": History(
        files={"V1__users.sql": USERS, "V2__rides.sql": RIDES, "U3__notes.sql": NOTES},
        ledger=(
            (
                "CREATE TABLE refinery_schema_history (version INT4 PRIMARY KEY, name VARCHAR(255), "
                ""
                "applied_on VARCHAR(255), checksum VARCHAR(255))"
            ),
            _refinery_row(1, "users", USERS, _T1),
            _refinery_row(2, "rides", RIDES, _T2),
        ),
        versions=(1, 2, 3),
        stopped="SELECT count(*) FROM refinery_schema_history WHERE name = 'adopted_by_manticore'",
        times=_TIMES,
        troubles={
            "changed": Trouble(
                "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 2",
                "V2__rides.sql was changed after it was applied: its checksum differs.",
            ),
        },
    ),
    "atlas": History(
        files={**_ATLAS_FILES, "atlas.sum": _ATLAS_SUM},
        ledger=(
            (
                "CREATE TABLE atlas_schema_revisions (version VARCHAR NOT NULL PRIMARY KEY, "
                "description VARCHAR NOT NULL, type BIGINT NOT NULL DEFAULT 2, applied BIGINT NOT NULL "
                "DEFAULT "
                "0, total BIGINT NOT NULL DEFAULT 0, executed_at TIMESTAMPTZ NOT NULL, "
                "execution_time BIGINT NOT NULL, error TEXT, error_stmt TEXT, hash VARCHAR NOT NULL, "
                ""
                "partial_hashes JSONB, operator_version VARCHAR NOT NULL)"
            ),
            _atlas_row(_N1, "users", _T1),
            _atlas_row(_N2, "rides", _T2),
        ),
        versions=_STAMPS,
        stopped="SELECT count(*) FROM atlas_schema_revisions WHERE applied < total",
        times=_TIMES,
        milliseconds=(5, 5),
        troubles={
            "half done": Trouble(
                _atlas_row(_N3, "notes", _T2, 0, "boom"),
                f"Version {_N3} is partially applied: 0 of 1 statements are applied. boom.",
            ),
            "changed": Trouble(
                f"UPDATE atlas_schema_revisions SET hash = 'x' WHERE version = '{_N2}'",
                f"{_N2}_rides.sql was changed after it was applied: its checksum differs.",
            ),
        },
    ),
    "prisma": History(
        files=_PRISMA,
        ledger=(
            (
                "CREATE TABLE _prisma_migrations (id VARCHAR(36) PRIMARY KEY NOT NULL, "
                "checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ, migration_name "
                "VARCHAR(255) NOT "
                ""
                "NULL, "
                "logs TEXT, rolled_back_at TIMESTAMPTZ, started_at TIMESTAMPTZ NOT NULL DEFAULT now(), "
                ""
                "applied_steps_count INTEGER NOT NULL DEFAULT 0)"
            ),
            _prisma_row("1", f"{_N1}_users", USERS, _T1),
            _prisma_row("2", f"{_N2}_rides", RIDES, _T2),
            f"{_prisma_row('3', f'{_N3}_notes', NOTES, _T2, finished=False)}",
            "UPDATE _prisma_migrations SET rolled_back_at = now() WHERE id = '3'",
        ),
        versions=_STAMPS,
        stopped="SELECT count(*) FROM _prisma_migrations WHERE id = 'adopted_by_manticore'",
        times=_TIMES,
        milliseconds=(250, 250),
        troubles={
            "half done": Trouble(
                "UPDATE _prisma_migrations SET rolled_back_at = NULL WHERE id = '3'",
                f"{_N3}_notes was started and not finished.",
            ),
            "changed": Trouble(
                "UPDATE _prisma_migrations SET checksum = 'x' WHERE id = '1'",
                f"{_N1}_users was changed after it was applied: its checksum differs.",
            ),
        },
    ),
    "node-pg-migrate": History(
        files=_three("{version}_{name}.sql", "-- Up Migration\n{up}\n-- Down Migration\n{down}"),
        ledger=(
            (
                "CREATE TABLE pgmigrations (id SERIAL PRIMARY KEY, "
                "name VARCHAR(255) NOT NULL, run_on TIMESTAMP NOT NULL)"
            ),
            (
                f"INSERT INTO pgmigrations (id, name, run_on) VALUES (1001, '{_N1}_users', '{_T1}'), "
                f"(1002, '{_N2}_rides', '{_T2}')"
            ),
        ),
        versions=_STAMPS,
        stopped="SELECT count(*) FROM pgmigrations WHERE name LIKE '%adopted_by_manticore'",
        times=_TIMES,
        troubles={
            "no such file": Trouble(
                "INSERT INTO pgmigrations (id, name, run_on) VALUES (1003, '7_x', now())",
                "7_x is applied, but its file is missing.",
            ),
        },
    ),
    "yoyo": History(
        files=_YOYO,
        ledger=(
            (
                "CREATE TABLE _yoyo_migration (migration_hash VARCHAR(64), migration_id VARCHAR(255), "
                ""
                "applied_at_utc TIMESTAMP, PRIMARY KEY (migration_hash))"
            ),
            (
                "CREATE TABLE yoyo_lock (locked INT DEFAULT 1, ctime TIMESTAMP, pid INT NOT NULL, "
                "PRIMARY KEY (locked))"
            ),
            (
                f"INSERT INTO _yoyo_migration VALUES ('a', '0001.users', '{_T1}'), "
                f"('b', '0002.rides', '{_T2}')"
            ),
        ),
        versions=(1, 2, 3),
        stopped="SELECT count(*) FROM yoyo_lock WHERE pid = -1",
        times=_TIMES,
        troubles={
            "lock row": Trouble(
                "INSERT INTO yoyo_lock VALUES (1, '2024-01-02 12:00:00', 4711)",
                "Process 4711 holds yoyo's lock since 2024-01-02 12:00:00 (UTC).",
            ),
        },
    ),
    "liquibase": History(
        files=_LIQUIBASE,
        ledger=(
            (
                "CREATE TABLE databasechangelog (id VARCHAR(255) NOT NULL, author VARCHAR(255) NOT "
                "NULL, "
                ""
                ""
                "filename VARCHAR(255) NOT NULL, dateexecuted TIMESTAMP NOT NULL, orderexecuted "
                "INT4 NOT "
                ""
                "NULL, "
                "exectype VARCHAR(10) NOT NULL, md5sum VARCHAR(35))"
            ),
            (
                "CREATE TABLE databasechangeloglock (id INT4 NOT NULL PRIMARY KEY, locked BOOLEAN NOT "
                "NULL, "
                "lockgranted TIMESTAMP, lockedby VARCHAR(255))"
            ),
            "INSERT INTO databasechangeloglock VALUES (1, false, NULL, NULL)",
            _liquibase_row("users", USERS, 1, _T1),
            _liquibase_row("rides", RIDES, 2, _T2),
        ),
        versions=(1, 2, 3),
        stopped="SELECT count(*) FROM databasechangeloglock WHERE locked",
        times=_TIMES,
        troubles={
            "locked": Trouble(
                "UPDATE databasechangeloglock SET locked = true, lockedby = 'host (10.0.0.1)', "
                f"lockgranted = '{_T2}'",
                "host (10.0.0.1) holds Liquibase's lock since 2024-01-02 11:30:00.",
            ),
            "failed": Trouble(
                _liquibase_row("notes", NOTES, 3, _T2, "FAILED"),
                "Changeset alice:notes failed.",
            ),
            "changed": Trouble(
                "UPDATE databasechangelog SET md5sum = '9:x' WHERE id = 'rides'",
                "changelog.sql:7 (alice:rides) was changed after it was applied: its checksum differs.",
            ),
            "skipped": Trouble(
                "UPDATE databasechangelog SET exectype = 'SKIPPED' WHERE id = 'users'",
                "changelog.sql:3 (alice:users) is not applied, though later ones are.",
            ),
        },
    ),
    "supabase": History(
        root="supabase/migrations",
        files=_three("{version}_{name}.sql", "{up}"),
        ledger=(
            "CREATE SCHEMA supabase_migrations",
            (
                "CREATE TABLE supabase_migrations.schema_migrations (version TEXT NOT NULL PRIMARY "
                "KEY, "
                ""
                ""
                "statements TEXT[], name TEXT)"
            ),
            (
                f"INSERT INTO supabase_migrations.schema_migrations VALUES ('{_N1}', "
                f"ARRAY['{USERS.strip().removesuffix(';')}'], 'users'), ('{_N2}', NULL, 'rides')"
            ),
        ),
        versions=_STAMPS,
        stopped="SELECT count(*) FROM supabase_migrations.schema_migrations "
        "WHERE name = 'adopted_by_manticore'",
        troubles={
            "changed": Trouble(
                "UPDATE supabase_migrations.schema_migrations SET statements = ARRAY['SELECT 1'] "
                f"WHERE version = '{_N1}'",
                f"{_N1}_users.sql was changed after it was applied: its checksum differs.",
            ),
        },
    ),
    "alembic": History(
        files=_ALEMBIC,
        ledger=(
            (
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
                "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            ),
            "INSERT INTO alembic_version VALUES ('bbb2')",
        ),
        versions=(1, 2, 3),
        stopped="SELECT count(*) FROM alembic_version WHERE version_num = 'adopted_by_manticore'",
        troubles={
            "several heads": Trouble(
                "INSERT INTO alembic_version VALUES ('aaa1')",
                "The database has several heads: aaa1, bbb2.",
            ),
            "no such revision": Trouble(
                "UPDATE alembic_version SET version_num = 'zzz9'",
                "The ledger names 1 migrations and the folder has 3, but they have none in common.",
            ),
        },
    ),
}

RAILS = History(
    files={"structure.sql": _STRUCTURE},
    ledger=(
        "CREATE TABLE schema_migrations (version VARCHAR NOT NULL PRIMARY KEY)",
        f"INSERT INTO schema_migrations VALUES ('{_N1}'), ('{_N2}')",
    ),
    versions=_STAMPS,
    stopped="SELECT count(*) FROM information_schema.columns WHERE table_name = 'schema_migrations' "
    "AND column_name = 'adopted_by_manticore'",
)
