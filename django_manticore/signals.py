"""Signals around every run that a command or Django's own `migrate` starts.

Sent with the app's config as sender, once per database, also when there is nothing to do, and with these
arguments:

- `using`: the key of the `MANTICORE` setting;
- `plan`: a tuple of `manticore_cockroachdb.Step`: what will be done (pre), what was done (post);
- `verbosity`, `interactive`, `stdout`: as the command has them.

`post_migrate_scripts` is not sent when a run failed. A receiver of `pre_migrate_scripts` that raises
stops the run before anything is changed in the database.
"""

from __future__ import annotations

from django.dispatch import Signal

pre_migrate_scripts = Signal()
post_migrate_scripts = Signal()
