"""The scripts that every tool is given, in each tool's own form.

One statement each, as small scripts are in real projects: a table, a column, an index, a row, and again.
Knows what each tool's files look like; runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

APP = "shop"
"""The Django app that holds the scripts as migrations."""


@dataclass(frozen=True, slots=True)
class Script:
    """One migration.

    Attributes:
        number: From 1.
        slug: What it does, as a part of a file name.
        up: The statement that applies it.
        down: The statement that reverts it.
    """

    number: int
    slug: str
    up: str
    down: str


def make(count: int) -> list[Script]:
    """The first scripts of an endless series."""
    return [_script(number) for number in range(1, count + 1)]


def _script(number: int) -> Script:
    table = f"thing_{(number + 3) // 4}"
    match number % 4:
        case 1:
            return Script(
                number,
                f"create_{table}",
                f"CREATE TABLE {table} (id BIGINT PRIMARY KEY, name TEXT NOT NULL, "
                "made TIMESTAMPTZ NOT NULL DEFAULT now())",
                f"DROP TABLE {table}",
            )
        case 2:
            return Script(
                number,
                f"add_price_to_{table}",
                f"ALTER TABLE {table} ADD COLUMN price BIGINT",
                f"ALTER TABLE {table} DROP COLUMN price",
            )
        case 3:
            return Script(
                number,
                f"index_{table}",
                f"CREATE INDEX {table}_name ON {table} (name)",
                f"DROP INDEX {table}_name",
            )
        case _:
            return Script(
                number,
                f"first_{table}",
                f"INSERT INTO {table} (id, name) VALUES (1, 'first')",
                f"DELETE FROM {table} WHERE id = 1",
            )


def write_manticore(folder: Path, scripts: list[Script]) -> None:
    """`V1__create_thing_1.sql`, and so on."""
    folder.mkdir(parents=True)
    for each in scripts:
        text = f"{each.up};\n\n-- DOWN\n{each.down};\n"
        (folder / f"V{each.number}__{each.slug}.sql").write_text(text, encoding="utf-8")


def write_dbmate(folder: Path, scripts: list[Script]) -> None:
    """Two parts in one file, parted by comments."""
    folder.mkdir(parents=True)
    for each in scripts:
        text = f"-- migrate:up\n{each.up};\n\n-- migrate:down\n{each.down};\n"
        (folder / f"{each.number:05}_{each.slug}.sql").write_text(text, encoding="utf-8")


def write_yoyo(folder: Path, scripts: list[Script]) -> None:
    """Two files each; the order is that of the names."""
    folder.mkdir(parents=True)
    for each in scripts:
        name = f"{each.number:05}_{each.slug}"
        (folder / f"{name}.sql").write_text(f"{each.up};\n", encoding="utf-8")
        (folder / f"{name}.rollback.sql").write_text(f"{each.down};\n", encoding="utf-8")


def write_alembic(folder: Path, scripts: list[Script]) -> None:
    """A revision each, and the environment that its `init` would make, cut down to the database."""
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(_ALEMBIC_ENVIRONMENT, encoding="utf-8")
    for each in scripts:
        before = None if each.number == 1 else f"r{each.number - 1:05}"
        text = (
            "from alembic import op\n\n"
            f"revision = 'r{each.number:05}'\ndown_revision = {before!r}\n\n\n"
            f"def upgrade():\n    op.execute({each.up!r})\n\n\n"
            f"def downgrade():\n    op.execute({each.down!r})\n"
        )
        (folder / "versions" / f"r{each.number:05}_{each.slug}.py").write_text(
            text, encoding="utf-8"
        )


_ALEMBIC_ENVIRONMENT = """\
from alembic import context
from sqlalchemy import engine_from_config, pool

engine = engine_from_config(
    context.config.get_section(context.config.config_ini_section, {}),
    prefix="sqlalchemy.",
    poolclass=pool.NullPool,
)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def write_django(folder: Path, scripts: list[Script]) -> None:
    """A project whose one app has them as RunSQL; its Manticore reads the folder `sql`."""
    migrations = folder / APP / "migrations"
    migrations.mkdir(parents=True)
    for package in (migrations, migrations.parent):
        (package / "__init__.py").write_text("", encoding="utf-8")
    (folder / "manage.py").write_text(_DJANGO_MANAGE, encoding="utf-8")
    (folder / "settings.py").write_text(_DJANGO_SETTINGS, encoding="utf-8")
    for name, text in _django_migrations(scripts):
        (migrations / f"{name}.py").write_text(text, encoding="utf-8")
    write_manticore(folder / "sql", scripts)


def _django_migrations(scripts: list[Script]) -> Iterator[tuple[str, str]]:
    before = ""
    for each in scripts:
        name = f"{each.number:04}_{each.slug}"
        depends = f"[({APP!r}, {before!r})]" if before else "[]"
        text = (
            "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
            f"    dependencies = {depends}\n"
            f"    operations = [migrations.RunSQL({each.up!r}, {each.down!r})]\n"
        )
        yield name, text
        before = name


_DJANGO_MANAGE = """\
import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""

_DJANGO_SETTINGS = f"""\
import os
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

url = urlsplit(os.environ["BENCHMARK_URL"])
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.removeprefix("/"),
        "USER": url.username or "",
        "PASSWORD": url.password or "",
        "HOST": url.hostname or "",
        "PORT": url.port or "",
        "OPTIONS": dict(parse_qsl(url.query)),
    }}
}}
MANTICORE = {{"default": {{"MIGRATIONS_DIR": Path(__file__).parent / "sql"}}}}
INSTALLED_APPS = ["django_manticore", {APP!r}]
SECRET_KEY = "benchmark-only"
USE_TZ = True
"""

WRITERS: dict[str, Callable[[Path, list[Script]], None]] = {
    "psycopg": write_manticore,
    "manticore": write_manticore,
    "django": write_django,
    "alembic": write_alembic,
    "yoyo": write_yoyo,
    "dbmate": write_dbmate,
}
"""How each tool's folder is written."""
