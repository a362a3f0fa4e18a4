"""Read and write script files without a database.

from manticore_cockroachdb.scripts import load_scripts

for script in load_scripts("migrations"):
    print(script.version, script.description)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ._scripts import loader, writer
from ._scripts.placeholders import filled
from ._scripts.script import MigrationScript
from ._scripts.template import repeatable_template, template
from ._store.ledger import DEFAULT_TABLE
from ._store.own_tables import refuse_own_tables

__all__ = [
    "create_repeatable_script",
    "create_script",
    "load_checkpoints",
    "load_history",
    "load_scripts",
    "repeatable_template",
    "template",
]


def load_history(
    migrations_dir: str | Path | Sequence[str | Path],
    *,
    placeholders: Mapping[str, str] | None = None,
    table: str = DEFAULT_TABLE,
) -> list[MigrationScript]:
    """Read every script of a folder, by version, after the checkpoint for those whose files are gone.

    Args:
        migrations_dir: The folder; or several.
        placeholders: As for `load_scripts`.
        table: As for `load_scripts`.

    Raises:
        FilesRefused: With every problem of every file.
    """
    checkpoints = load_checkpoints(migrations_dir)
    scripts = load_scripts(migrations_dir, placeholders=placeholders, table=table)
    known = {script.version for script in scripts}
    covered = {each.version for checkpoint in checkpoints for each in checkpoint.stands_for}
    for checkpoint in checkpoints:
        numbers = {each.version for each in checkpoint.stands_for}
        if covered - known and numbers.issuperset(covered - known):
            return [checkpoint, *(script for script in scripts if script.version not in numbers)]
    return scripts


def load_scripts(
    migrations_dir: str | Path | Sequence[str | Path],
    *,
    placeholders: Mapping[str, str] | None = None,
    table: str = DEFAULT_TABLE,
) -> list[MigrationScript]:
    """Read every script of a folder: versions in their order, then repeatable scripts in theirs.

    Args:
        migrations_dir: The folder; or several, whose versions are unique over all.
        placeholders: What `${name}` in a script stands for; None: `${` means nothing special.
        table: The ledger's table, which no script may change.

    Raises:
        FilesRefused: With every problem of every file.
    """
    scripts = loader.load(_folders(migrations_dir))
    if placeholders is not None:
        scripts = filled(scripts, placeholders)
    refuse_own_tables(scripts, table)
    return list(scripts)


def load_checkpoints(migrations_dir: str | Path | Sequence[str | Path]) -> list[MigrationScript]:
    """Read every checkpoint (`B40__schema.sql`) of a folder, by version.

    Args:
        migrations_dir: The folder; or several.

    Raises:
        FilesRefused: With every problem of every file.
    """
    return list(loader.load_all(_folders(migrations_dir)).checkpoints)


def create_script(
    migrations_dir: str | Path | Sequence[str | Path],
    description: str,
    up_sql: str,
    down_sql: str | None = None,
    *,
    folder: str | Path | None = None,
    timestamp: bool | None = None,
) -> Path:
    """Write a new script, numbered by the files alone: a ledger may know a higher version.

    `Migration.create_migration` reads the ledger, too. Use this where no server can be reached.

    Args:
        migrations_dir: The folder; or several.
        description: What the script does, in a few words.
        up_sql: The statements that apply it.
        down_sql: The statements that revert it; None: it cannot be rolled back.
        folder: Which of the folders it goes to; None: the first.
        timestamp: Use the time (UTC) as the version instead of the next number; None follows what the
            folders have.

    Returns:
        The file's path. Nothing is ever overwritten.

    Raises:
        SettingsError: The description makes no file name.
        FilesRefused: The SQL makes no script, or the folder cannot be written to.
    """
    folders = _folders(migrations_dir)
    chosen = folders[0] if folder is None else Path(folder)
    others = [each for each in folders if each != chosen]
    return writer.create(chosen, description, up_sql, down_sql, others=others, timestamp=timestamp)


def create_repeatable_script(
    migrations_dir: str | Path | Sequence[str | Path],
    description: str,
    sql: str,
    *,
    folder: str | Path | None = None,
) -> Path:
    """Write a new repeatable script, `R__<description>.sql`.

    Args:
        migrations_dir: The folder; or several.
        description: What the script makes, in a few words.
        sql: Its statements, such as CREATE OR REPLACE VIEW.
        folder: Which of the folders it goes to; None: the first.

    Returns:
        The file's path. Nothing is ever overwritten.

    Raises:
        SettingsError: The description makes no file name.
        FilesRefused: The name is taken, the SQL makes no script, or the folder cannot be written to.
    """
    folders = _folders(migrations_dir)
    chosen = folders[0] if folder is None else Path(folder)
    return writer.create_repeatable(chosen, description, sql, others=folders)


def _folders(given: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(folder) for folder in ([given] if isinstance(given, str | Path) else given)]
