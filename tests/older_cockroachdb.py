"""Settings for Django on CockroachDB servers that django-cockroachdb is too new for.

django-cockroachdb refuses servers before 23.2 at connecting. What this project itself does there is
tested all the same: as the settings module of a process, this one takes over the settings of the
module that `ON_OLDER_COCKROACHDB` names, and lowers the version that is asked for.
"""

from __future__ import annotations

import importlib
import os

SETTINGS_VARIABLE = "ON_OLDER_COCKROACHDB"

#: What a project's own settings module may hold at its end, to the same effect.
LOWERED = """
from django_cockroachdb.features import DatabaseFeatures
DatabaseFeatures.minimum_database_version = (21, 1)
"""


def allow() -> None:
    """Let django-cockroachdb connect to any version, in this process."""
    from django_cockroachdb.features import DatabaseFeatures

    DatabaseFeatures.minimum_database_version = (21, 1)


def environment(settings: str) -> dict[str, str]:
    """The variables of a process that runs on a settings module so."""
    return {"DJANGO_SETTINGS_MODULE": __name__, SETTINGS_VARIABLE: settings}


if SETTINGS_VARIABLE in os.environ:
    allow()
    taken = vars(importlib.import_module(os.environ[SETTINGS_VARIABLE]))
    globals().update({name: value for name, value in taken.items() if name.isupper()})
