"""Django's own manage.py; where no DATABASE_URL is set, a server is started for the command."""

# The folder of a program is on Python's path when it runs, not when mypy reads it.
# mypy: disable-error-code="import-not-found"

import os
import sys
from contextlib import nullcontext

from django.core.management import execute_from_command_line
from fleet_server import started


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scooters.settings")
    with nullcontext() if "DATABASE_URL" in os.environ else started() as server:
        if server is not None:
            print(
                f"No DATABASE_URL: {server.description}, empty, gone when this command ends.",
                file=sys.stderr,
            )
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
