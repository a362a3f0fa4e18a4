#!/bin/sh
# Runs the migrations, then the command of the container. Any number of containers may start at once:
# one of them runs the migrations, the others wait for it.
set -eu

if [ "${MIGRATE_AT_START:-1}" = 1 ]; then
    python manage.py manticore_migrate --noinput --lock-timeout "${MIGRATE_WAIT:-1800}"
fi

# exec: signals of the container reach the site itself.
exec "$@"
