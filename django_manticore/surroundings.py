"""Django's own tables on a scratch database, so that it holds what the real one does.

Scripts may refer to the tables of models, and a comparison should not report those as foreign. The
migrations of Django are run with the alias leading to the scratch database, so that a data migration that
names no alias writes there and nowhere else.
"""

from __future__ import annotations

from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from manticore_cockroachdb.errors import RehearsalRefused
from manticore_cockroachdb.rehearsal import Surroundings
from manticore_cockroachdb.types import ConnectionSettings

from .conf import entry
from .setting_values import RunWithMigrate

_PARAMETERS = {
    "dbname": "NAME",
    "user": "USER",
    "password": "PASSWORD",
    "host": "HOST",
    "port": "PORT",
}


def surroundings(alias: str) -> Surroundings:
    """What the database of an alias holds besides what its scripts make.

    Args:
        alias: A key of the `MANTICORE` setting.
    """
    if alias not in connections or not MigrationRecorder(connections[alias]).has_table():
        return Surroundings()

    def migrate(scratch: ConnectionSettings) -> None:
        _migrate(alias, scratch)

    if entry(alias).run_with_migrate is RunWithMigrate.BEFORE:
        return Surroundings(after=migrate)
    return Surroundings(before=migrate)


def _migrate(alias: str, scratch: ConnectionSettings) -> None:
    before = connections[alias]
    connection = before.copy()
    for parameter, key in _PARAMETERS.items():
        if parameter in scratch.parameters:
            connection.settings_dict[key] = scratch.parameters[parameter]
    connections[alias] = connection
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_database()")
            found = cursor.fetchone()[0]
        if found != scratch.database:
            raise RehearsalRefused(
                f"The alias {alias!r} leads to the database {found!r} and not to the scratch database "
                f"{scratch.database!r}, so Django's migrations were not run there. Nothing was changed."
            )
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    finally:
        connections[alias] = before
        connection.close()
