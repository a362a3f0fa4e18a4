"""The admin's page: every database's scripts and where they stand. Read only.

Reads through the library; there is no form, and whatever Django's admin would change with is refused.
"""

# ruff: noqa: ARG002 - Django's methods are given more than these need
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import reverse

from manticore_cockroachdb._backend.jobs import described
from manticore_cockroachdb._planner.plan import ScriptStatus, State
from manticore_cockroachdb.errors import LeaseTimeout, ManticoreError
from manticore_cockroachdb.types import Known

from . import conf
from .highlight import highlighted
from .messages import MARKS, duration
from .migrators import get_migration
from .models import MigrationRecord

if TYPE_CHECKING:
    from manticore_cockroachdb import Migration

    _Base = admin.ModelAdmin[MigrationRecord]
else:
    _Base = admin.ModelAdmin

_READING = ("GET", "HEAD")
_PAGE = "admin:django_manticore_migrationrecord"

#: Seconds a page waits for a runner's open transaction, and after which it asks again by itself.
_PATIENCE = 3.0
_RELOAD_SECONDS = 5


@dataclass(frozen=True, slots=True)
class ShownJob:
    """A schema-change job of a half-done script.

    Attributes:
        text: One line about it.
        fraction: How much of it is done, 0 to 1; 0 where the server does not tell.
    """

    text: str
    fraction: float


@dataclass(frozen=True, slots=True)
class ShownScript:
    """One version, as the page shows it.

    Attributes:
        status: Where it stands.
        url: The page of its script.
        jobs: Its schema-change jobs, while it is half done.
    """

    status: ScriptStatus
    url: str
    jobs: tuple[ShownJob, ...]

    @property
    def state(self) -> str:
        """Its state, in words."""
        return self.status.state.value

    @property
    def remark(self) -> str:
        """What its state means, where that needs saying."""
        return MARKS[self.status.state][1].removeprefix(f"{self.state}: ")

    @property
    def took(self) -> str:
        """How long it took, where recorded."""
        milliseconds = self.status.execution_ms
        return "" if milliseconds is None else duration(milliseconds / 1000)


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
            return self._cannot_tell(request, alias, aliases, error)
        told = {"rows": rows, "known": known, "summary": _summary(rows), **(extra_context or {})}
        return self._list(request, alias, aliases, told)

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
            return self._cannot_tell(request, alias, aliases, error)
        row = next((row for row in rows if str(row.status.version) == object_id), None)
        if row is None or row.status.script is None:
            raise Http404(f"There is no script of version {object_id}.")
        script = row.status.script
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": script.path.name,
            "alias": alias,
            "script": script,
            "row": row,
            "up": highlighted(script.up_sql),
            "down": None if script.down_sql is None else highlighted(script.down_sql),
            "ledger_url": _url("changelist", alias),
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

    def _cannot_tell(
        self, request: HttpRequest, alias: str, aliases: tuple[str, ...], error: ManticoreError
    ) -> HttpResponse:
        """The list of a database that cannot be read: just now, or at all."""
        busy = isinstance(error, LeaseTimeout)
        told = {"busy": _RELOAD_SECONDS if busy else None, "error": "" if busy else str(error)}
        return self._list(request, alias, aliases, told)

    def _list(
        self,
        request: HttpRequest,
        alias: str,
        aliases: tuple[str, ...],
        told: Mapping[str, Any],
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"SQL migrations of {alias}",
            "alias": alias,
            "aliases": aliases,
            **told,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "django_manticore/ledger.html", context)

    def _chosen(self, request: HttpRequest) -> tuple[str, tuple[str, ...]]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        aliases = conf.aliases()
        alias = request.GET.get("database") or (aliases[0] if aliases else "")
        if alias not in aliases:
            raise Http404(f"MANTICORE has no entry {alias!r}.")
        return alias, aliases


def _ledger(alias: str) -> tuple[list[ShownScript], Known | None]:
    """The versions of a database, and what is known of a half-done one."""
    migration = get_migration(alias)
    statuses = migration.status(patience=_PATIENCE)
    half_done = any(status.state is State.HALF_DONE for status in statuses)
    known = _known(migration) if half_done else None
    jobs = tuple(ShownJob(described(job), job.fraction) for job in known.jobs) if known else ()
    return [
        ShownScript(
            status,
            _url("change", alias, status.version),
            jobs if status.state is State.HALF_DONE else (),
        )
        for status in statuses
    ], known


def _known(migration: Migration) -> Known | None:
    """What is known of the half-done script, unless a runner writes it down this very moment."""
    try:
        return migration.resolve.known()
    except LeaseTimeout:
        return None


def _url(page: str, alias: str, *arguments: object) -> str:
    return f"{reverse(f'{_PAGE}_{page}', args=arguments)}?{urlencode({'database': alias})}"


def _summary(rows: list[ShownScript]) -> str:
    """`12 applied, 3 pending`."""
    counted = {state.value: sum(row.status.state is state for row in rows) for state in State}
    return ", ".join(f"{number} {state}" for state, number in counted.items() if number)
