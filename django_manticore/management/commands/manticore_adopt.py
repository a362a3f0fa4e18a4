"""`manage.py manticore_adopt`: move in from another migration tool."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError, CommandParser

from django_manticore import conf, messages
from django_manticore.connections import connection_settings
from django_manticore.management import exit_codes
from django_manticore.management.base import ManticoreCommand, place_of
from manticore_cockroachdb import Database
from manticore_cockroachdb.adopt import TOOLS, Adoption, AdoptionPlan
from manticore_cockroachdb.adopt.report import Kind, as_dict, report

if TYPE_CHECKING:
    from manticore_cockroachdb.adopt import Undone


class Command(ManticoreCommand):
    """Shows what would be done; with `--write` or `--apply` does it."""

    help = (
        "Takes over the files and the ledger of another migration tool. Shows what would be done and "
        "changes nothing, unless --write, --apply or --undo is given."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; see `--help`."""
        parser.add_argument(
            "tool",
            nargs="?",
            choices=list(TOOLS),
            metavar="TOOL",
            help=f"The other tool: {', '.join(TOOLS)}. Recognized from its files if left out.",
        )
        parser.add_argument(
            "--from",
            dest="source",
            type=Path,
            metavar="FOLDER",
            help="Read the other tool's files from this folder. Not needed for django, knex and baseline.",
        )
        parser.add_argument(
            "--to",
            dest="target",
            type=Path,
            metavar="FOLDER",
            help="Write the scripts to this folder. Defaults to the first folder of MIGRATIONS_DIR.",
        )
        parser.add_argument(
            "--ledger",
            metavar="TABLE",
            help="The other tool's table, if it does not have its usual name: name or schema.name.",
        )
        parser.add_argument(
            "--ignore",
            action="append",
            default=[],
            metavar="PATTERN",
            help="Ignore these objects, which no script creates, such as 'table "
            "public.audit_*': left out by --prove, and "
            "from a schema that is printed. May be repeated.",
        )
        action = parser.add_mutually_exclusive_group()
        action.add_argument(
            "--write", action="store_true", help="Write the files. Leave both ledgers alone."
        )
        action.add_argument(
            "--apply",
            action="store_true",
            help="Write the files, record what is applied, and stop the other tool on this database.",
        )
        action.add_argument(
            "--undo",
            action="store_true",
            help="Remove what --apply recorded and let the other tool run again. Files stay.",
        )
        parser.add_argument(
            "--prove",
            action="store_true",
            help="Build a scratch database from the scripts that are applied and compare its schema with "
            "the live one. With --apply, nothing is adopted if they differ.",
        )
        parser.add_argument(
            "--offline",
            action="store_true",
            help="Do not connect to the database: read and write files only.",
        )
        parser.add_argument("--json", action="store_true", help="Print a JSON report.")
        self.add_lock_timeout(parser)
        self.add_database(parser)
        self.add_noinput(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Look, ask, and do what was asked for."""
        alias = self.known_database(options["database"])
        if options["offline"] and (options["apply"] or options["undo"] or options["prove"]):
            raise CommandError(
                "--apply, --prove and --undo need the database; they cannot be combined with --offline.",
                returncode=exit_codes.USAGE,
            )
        adoption = _adoption(alias, options)
        if options["undo"]:
            self._undo(alias, adoption, options)
            return
        plan = adoption.plan(offline=options["offline"])
        if options["json"]:
            self.stdout.write(json.dumps({"format": 1, **as_dict(plan)}, indent=2))
        elif options["verbosity"]:
            self._show(plan, whole=options["verbosity"] > 1)
        if options["prove"] and not plan.is_done:
            plan.check()
            proof = adoption.prove()
            proof.check()
            self._say(
                options,
                f"Proved on a scratch database: {proof.objects} objects are what the scripts create.",
            )
        if options["apply"]:
            plan.check()
            self._apply(alias, adoption, plan, options)
        elif options["write"]:
            plan.check_files()
            adoption.write(offline=options["offline"])
            self._say(
                options, f"Wrote {messages.counted(len(plan.new_files), 'file')} to {plan.target}."
            )
        else:
            self._end_of_look(plan, options)

    def _show(self, plan: AdoptionPlan, *, whole: bool) -> None:
        styles: dict[Kind, Callable[[str], str]] = {
            Kind.HEADING: self.style.MIGRATE_HEADING,
            Kind.WARNING: self.style.WARNING,
            Kind.TEXT: str,
        }
        for line in report(plan, whole=whole):
            self.stdout.write(styles[line.kind](line.text))

    def _end_of_look(self, plan: AdoptionPlan, options: dict[str, Any]) -> None:
        """Say what to do next; what prevents the move is an error of the kind it would be."""
        if plan.problems:
            raise CommandError("Some files cannot be adopted as they are; nothing was written.")
        if plan.findings:
            raise CommandError(
                "The ledger cannot be taken over as it is; nothing was written.",
                returncode=exit_codes.DISAGREE,
            )
        if plan.is_done:
            self._say(options, "Everything is adopted already.")
        else:
            self._say(
                options,
                "Nothing was written. Use --write to write the files, or --apply to take over the "
                "ledger too.",
            )

    def _apply(
        self, alias: str, adoption: Adoption, plan: AdoptionPlan, options: dict[str, Any]
    ) -> None:
        if plan.is_done:
            self._say(options, "Everything is adopted already.")
            return
        files = messages.counted(len(plan.new_files), "file")
        migrations = messages.counted(len(plan.rows), "migration")
        question = (
            f"Write {files} to {plan.target}, record {migrations} as applied on {alias!r} "
            f"({place_of(alias)}), and stop {plan.title} there?"
        )
        if options["interactive"] and not self.confirmed(question):
            self.stdout.write("Nothing was changed.")
            return
        done = adoption.apply()
        self._say(
            options,
            f"Wrote {messages.counted(len(done.new_files), 'file')} and recorded "
            f"{messages.counted(len(done.rows), 'migration')}. "
            "manticore_showmigrations lists them.",
        )

    def _undo(self, alias: str, adoption: Adoption, options: dict[str, Any]) -> None:
        question = (
            f"Remove the adopted migrations from the ledger of {alias!r} ({place_of(alias)}) and let the "
            "other tool run again?"
        )
        if options["interactive"] and not self.confirmed(question):
            self.stdout.write("Nothing was changed.")
            return
        undone = adoption.undo()
        if options["json"]:
            self.stdout.write(json.dumps(_undone(undone), indent=2))
        else:
            migrations = messages.counted(len(undone.versions), "migration")
            lifted = "the guard is lifted" if undone.guard else "no guard was set"
            self._say(options, f"Removed {migrations} from the ledger; {lifted}.")

    def _say(self, options: dict[str, Any], text: str) -> None:
        if options["verbosity"] and not options["json"]:
            self.stdout.write(self.style.SUCCESS(text))


def _adoption(alias: str, options: dict[str, Any]) -> Adoption:
    entry = conf.entry(alias)
    timeout = options["lock_timeout"]
    return Adoption(
        Database.from_settings(connection_settings(entry)),
        options["source"],
        options["target"] or entry.migrations_dir[0],
        tool=options["tool"],
        ledger=options["ledger"],
        table=entry.ledger,
        lock_timeout=entry.lock_timeout if timeout is None else timeout,
        lease=entry.lease,
        placeholders=entry.placeholders,
        ignore=options["ignore"],
    )


def _undone(undone: Undone) -> dict[str, Any]:
    return {"format": 1, "versions": list(undone.versions), "guard_lifted": bool(undone.guard)}
