"""The admin's pages: the scripts of every database, their state, and one script. Read only.

Reads through the library. There is no form, and the admin's views that change something are refused.
"""

# ruff: noqa: ARG002 - Django's methods are given more than these need
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import VERSION
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import reverse

from manticore_cockroachdb.errors import LeaseTimeout, ManticoreError
from manticore_cockroachdb.lint.finding import Finding
from manticore_cockroachdb.types import Known, ScriptStatus, State

from . import conf, messages
from .highlight import highlighted
from .migrators import get_migration
from .models import MigrationRecord

if TYPE_CHECKING:
    from manticore_cockroachdb import Migration

    _Base = admin.ModelAdmin[MigrationRecord]
else:
    _Base = admin.ModelAdmin

_READING = ("GET", "HEAD")
_PAGE = "admin:django_manticore_migrationrecord"

#: Seconds a page waits for a runner's open transaction, and seconds after which it then loads again.
_PATIENCE = 3.0
_RELOAD_SECONDS = 5

#: Since Django 6.1 the admin styles breadcrumbs that are a list, and no others.
_BREADCRUMBS_ARE_A_LIST = VERSION >= (6, 1)


@dataclass(frozen=True, slots=True)
class ShownJob:
    """A schema-change job of an unfinished script.

    Attributes:
        text: One line about it.
        fraction: How much of it is done, 0 to 1; 0 if unknown.
    """

    text: str
    fraction: float


@dataclass(frozen=True, slots=True)
class ShownScript:
    """One script, as the page shows it.

    Attributes:
        status: Its state.
        url: The page of its script.
        jobs: Its schema-change jobs, while it is unfinished.
        progress: How far it is, while it is unfinished.
        error: What stopped it last, while it is unfinished.
        findings: What the linter reports of it, while it is pending.
    """

    status: ScriptStatus
    url: str
    jobs: tuple[ShownJob, ...] = ()
    progress: str = ""
    error: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def name(self) -> str:
        """What it is called: `V7`, or a repeatable script's name."""
        return messages.short_name(self.status.key)

    @property
    def state(self) -> str:
        """Its state, in words."""
        return messages.label(self.status.state)

    @property
    def remark(self) -> str:
        """What its state means or asks for, where its name does not say so."""
        return messages.remark(self.status)

    @property
    def batch(self) -> str:
        """How far its statement in batches has come, where one has begun."""
        return "" if self.status.batch is None else messages.batch_line(self.status.batch)

    @property
    def took(self) -> str:
        """How long it took, where recorded."""
        milliseconds = self.status.execution_ms
        return "" if milliseconds is None else messages.duration(milliseconds / 1000)


@admin.register(MigrationRecord)
class MigrationRecordAdmin(_Base):
    """Two pages: the list of a database, and a script."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds to a ledger here."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: MigrationRecord | None = None
    ) -> bool:
        """Nobody changes a ledger here."""
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: MigrationRecord | None = None
    ) -> bool:
        """Nobody deletes from a ledger here."""
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        """The list of one database: `?database=alias`, else the first."""
        if request.method not in _READING:
            return HttpResponseNotAllowed(_READING)
        alias, aliases = self._chosen(request)
        try:
            rows, known = _ledger(alias)
        except ManticoreError as error:
            return self._unreadable(request, alias, aliases, error)
        context = {
            "rows": rows,
            "known": known,
            "summary": _summary(rows),
            "drift": _drift(alias),
            **(extra_context or {}),
        }
        return self._list(request, alias, aliases, context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Mapping[str, Any] | None = None,
    ) -> HttpResponse:
        """One script of one database."""
        if request.method not in _READING:
            return HttpResponseNotAllowed(_READING)
        alias, aliases = self._chosen(request)
        try:
            rows, _ = _ledger(alias)
        except ManticoreError as error:
            return self._unreadable(request, alias, aliases, error)
        row = next((row for row in rows if str(row.status.key) == object_id), None)
        if row is None or row.status.script is None:
            raise Http404(f"There is no script {object_id}.")
        script = row.status.script
        ledger_url = _url("changelist", alias)
        context = {
            **self._base_context(request, alias, (script.path.name, None), ledger_url=ledger_url),
            "title": script.path.name,
            "script": script,
            "row": row,
            "up": highlighted(script.up_sql),
            "down": None if script.down_sql is None else highlighted(script.down_sql),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "django_manticore/script.html", context)

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: Mapping[str, Any] | None = None,
    ) -> HttpResponse:
        """Refused to everybody."""
        raise PermissionDenied

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: Mapping[str, Any] | None = None,
    ) -> HttpResponse:
        """There is none: nothing was ever changed here."""
        raise Http404("The ledger has no history in the admin.")

    def _unreadable(
        self, request: HttpRequest, alias: str, aliases: tuple[str, ...], error: ManticoreError
    ) -> HttpResponse:
        """The list of a database that cannot be read: now, or at all."""
        busy = isinstance(error, LeaseTimeout)
        context = {"busy": _RELOAD_SECONDS if busy else None, "error": "" if busy else str(error)}
        return self._list(request, alias, aliases, context)

    def _list(
        self,
        request: HttpRequest,
        alias: str,
        aliases: tuple[str, ...],
        content: Mapping[str, Any],
    ) -> HttpResponse:
        context = {
            **self._base_context(request, alias, (alias, None)),
            "title": f"SQL migrations of {alias}",
            "aliases": aliases,
            **content,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "django_manticore/ledger.html", context)

    def _base_context(
        self,
        request: HttpRequest,
        alias: str,
        *crumbs: tuple[str, str | None],
        ledger_url: str | None = None,
    ) -> dict[str, Any]:
        """What both pages show: the breadcrumbs are labels, each with its URL or None."""
        app = (self.opts.app_config.verbose_name, ledger_url)
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "alias": alias,
            "crumbs": (app, *crumbs),
            "breadcrumbs_are_a_list": _BREADCRUMBS_ARE_A_LIST,
        }

    def _chosen(self, request: HttpRequest) -> tuple[str, tuple[str, ...]]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        aliases = conf.aliases()
        alias = request.GET.get("database") or (aliases[0] if aliases else "")
        if alias not in aliases:
            raise Http404(f"MANTICORE has no entry {alias!r}.")
        return alias, aliases


def _ledger(alias: str) -> tuple[list[ShownScript], Known | None]:
    """The versions of a database, and what is known of an unfinished one."""
    migration = get_migration(alias)
    statuses = migration.status(patience=_PATIENCE)
    unfinished = any(status.state in messages.FINISHED_BY for status in statuses)
    known = _known(migration) if unfinished else None
    findings = _findings(alias, statuses)
    return [_shown(alias, status, known, findings) for status in statuses], known


def _drift(alias: str) -> str:
    """Whether the schema was changed after the last run; "" where runs do not record it."""
    if not conf.entry(alias).record_schema:
        return ""
    try:
        found = get_migration(alias).quick_drift()
    except ManticoreError as error:
        return str(error)
    line = messages.SINCE_LAST_RUN[found.answer.value]
    return " ".join(filter(None, (line[:1].upper() + line[1:], found.reason)))


def _shown(
    alias: str,
    status: ScriptStatus,
    known: Known | None,
    findings: Mapping[Path, list[Finding]],
) -> ShownScript:
    shown = ShownScript(
        status,
        _url("change", alias, status.key),
        findings=tuple(findings.get(status.script.path, ())) if status.script else (),
    )
    if known is None or status.state not in messages.FINISHED_BY:
        return shown
    return replace(
        shown,
        jobs=tuple(ShownJob(str(job), job.fraction) for job in known.jobs),
        progress=messages.how_far(known),
        error=known.record.error or "",
    )


def _findings(alias: str, statuses: Iterable[ScriptStatus]) -> dict[Path, list[Finding]]:
    """What the linter reports of the pending scripts, by file."""
    pending = frozenset(each.key for each in statuses if each.state is State.PENDING)
    found: dict[Path, list[Finding]] = {}
    if pending:
        # The rules are loaded only where there is something to judge.
        from .linting import lint_versions  # noqa: PLC0415 - see above

        for finding in lint_versions(conf.entry(alias), pending).findings:
            found.setdefault(finding.path, []).append(finding)
    return found


def _known(migration: Migration) -> Known | None:
    """What is known of the unfinished script, unless a runner's transaction holds the run state."""
    try:
        return migration.resolve.known()
    except LeaseTimeout:
        return None


def _url(page: str, alias: str, *arguments: object) -> str:
    return f"{reverse(f'{_PAGE}_{page}', args=arguments)}?{urlencode({'database': alias})}"


def _summary(rows: list[ShownScript]) -> str:
    """`12 applied, 3 pending`."""
    counted = {
        messages.label(state): sum(row.status.state is state for row in rows) for state in State
    }
    return ", ".join(f"{number} {state}" for state, number in counted.items() if number)
