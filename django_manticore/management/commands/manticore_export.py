"""`manage.py manticore_export`: leave for another migration tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_manticore import conf, messages
from django_manticore.connections import connection_settings
from django_manticore.management.base import ManticoreCommand, place_of
from manticore_cockroachdb import Database
from manticore_cockroachdb.adopt import EXPORTS, Export, ExportPlan


class Command(ManticoreCommand):
    """Shows what would be written; with `--write` or `--apply` writes it."""

    help = (
        "Writes the scripts in the form of another migration tool and fills its ledger. Shows what would "
        "be done and changes nothing, unless --write or --apply is given."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        parser.add_argument(
            "tool",
            choices=list(EXPORTS),
            metavar="TOOL",
            help=f"The other tool: {' or '.join(EXPORTS)}.",
        )
        parser.add_argument(
            "--to",
            dest="target",
            required=True,
            type=Path,
            metavar="FOLDER",
            help="Write the other tool's files to this folder.",
        )
        action = parser.add_mutually_exclusive_group()
        action.add_argument(
            "--write", action="store_true", help="Write the files. Leave both ledgers alone."
        )
        action.add_argument(
            "--apply", action="store_true", help="Write the files and fill the other tool's ledger."
        )
        self.add_lock_timeout(parser)
        self.add_database(parser)
        self.add_noinput(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Look, ask, and do what was asked for."""
        alias = self.known_database(options["database"])
        leaving = _export(alias, options)
        plan = leaving.plan()
        if options["verbosity"]:
            self._show(plan)
        if not (options["write"] or options["apply"]):
            if plan.problems:
                raise CommandError("These scripts cannot be exported; nothing was written.")
            self._say(options, "Nothing was written. Use --write or --apply.")
            return
        plan.check_files()
        if options["write"]:
            leaving.write()
            self._say(
                options, f"Wrote {messages.counted(len(plan.new_files), 'file')} to {plan.target}."
            )
            return
        files = messages.counted(len(plan.new_files), "file")
        migrations = messages.counted(len(plan.applied), "migration")
        question = (
            f"Write {files} to {plan.target} and record {migrations} in {plan.title}'s ledger on "
            f"{alias!r} ({place_of(alias)})?"
        )
        if options["interactive"] and not self.confirmed(question):
            self.stdout.write("Nothing was changed.")
            return
        leaving.apply()
        self._say(
            options,
            f"Wrote {files} and recorded {migrations} in {plan.ledger}. Manticore's own tables are left "
            "as they are: drop them when you no longer need them.",
        )

    def _show(self, plan: ExportPlan) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(f"For {plan.title}:"))
        files = messages.counted(len(plan.files), "file")
        self.stdout.write(
            f"{files} for {plan.target}: {len(plan.new_files)} to be written, "
            f"{len(plan.files) - len(plan.new_files)} exist already."
        )
        self.stdout.write(
            f"Ledger {plan.ledger}: {messages.counted(len(plan.applied), 'migration')} applied."
        )
        for remark in plan.problems:
            self.stdout.write(self.style.WARNING(f"  {remark}"))
        for remark in plan.notes:
            self.stdout.write(f"  {remark}")

    def _say(self, options: dict[str, Any], text: str) -> None:
        if options["verbosity"]:
            self.stdout.write(self.style.SUCCESS(text))


def _export(alias: str, options: dict[str, Any]) -> Export:
    entry = conf.entry(alias)
    timeout = options["lock_timeout"]
    return Export(
        Database.from_settings(connection_settings(entry)),
        options["tool"],
        options["target"],
        entry.migrations_dir,
        table=entry.ledger,
        lock_timeout=entry.lock_timeout if timeout is None else timeout,
        lease=entry.lease,
        placeholders=entry.placeholders,
    )
