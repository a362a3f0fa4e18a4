# Generated from _async/crashes.py by tools/unasync.py: edit that file, then run `make generate`.
# fmt: off
# ruff: noqa: I001, RUF100
"""Cuts a run's connection before and after each statement of a script, and watches it recover.

The runs are real: real connections to the scratch database, through the proxy of the testing package.
"""

from __future__ import annotations

from collections.abc import Callable

from psycopg.conninfo import make_conninfo

from ..._backend.settings import ConnectionSettings
from ..._executor import concurrency
from ..._executor._sync.session import Session
from ..._executor.options import new_owner
from ..._scripts.direction import Direction
from ..._sql.statement import Statement, summary
from ...errors import ConnectionFailed, ManticoreError, OutcomeUnknown, RehearsalRefused
from ...testing.proxy import Proxy, Rule, drop_after, drop_before
from ..results import Crash, Recovery

#: Brings a scratch database, reached by these settings, to the end of a run.
Run = Callable[[ConnectionSettings], None]
#: What differs from the end of an undisturbed run, in words; None if nothing does.
Difference = Callable[[], str | None]

_TLS = frozenset({"require", "verify-ca", "verify-full"})


def refuse_tls(settings: ConnectionSettings) -> None:
    """Refuse a server that a proxy cannot be put before.

    Raises:
        RehearsalRefused: The client or the server requires TLS, or several hosts are named.
        ConnectionFailed: No connection at all.
    """
    parameters = settings.parameters
    if parameters.get("sslmode") in _TLS or "service" in parameters:
        raise _no_tls(settings, "is not")
    if "," in parameters.get("host", ""):
        raise RehearsalRefused(
            f"A crash tour needs a single host; {settings.place} names several. Nothing was changed."
        )
    # By default libpq takes TLS where the server has it: whether it can do without is the server's choice.
    session = Session.open(settings, f"{new_owner()}/tls")
    session.close()
    try:
        session = Session.open(_without_tls(settings), f"{new_owner()}/tls")
    except ConnectionFailed as error:
        raise _no_tls(settings, f"refuses such a connection ({error})") from error
    session.close()


def _no_tls(settings: ConnectionSettings, reason: str) -> RehearsalRefused:
    return RehearsalRefused(
        "A crash tour needs a server that is reached without TLS and without a service file: its "
        f"connections go through a proxy. {settings.place} {reason}. Name a server on this machine as "
        "the scratch. Nothing was changed."
    )


def _without_tls(settings: ConnectionSettings) -> ConnectionSettings:
    return ConnectionSettings({**settings.parameters, "sslmode": "disable"})


def cut(
    scratch: ConnectionSettings,
    direction: Direction,
    statement: Statement,
    nth: int,
    when: str,
    run: Run,
    difference: Difference,
) -> Crash:
    """Make one run and cut its connection at one statement.

    Args:
        scratch: The scratch database, as it is before the run.
        direction: Of the run.
        statement: The statement.
        nth: Which of the statements with this text it is, from 1.
        when: `before` or `after`.
        run: Makes the run.
        difference: Compares its end with that of an undisturbed one.
    """

    def crash(recovery: Recovery, message: str | None = None) -> Crash:
        return Crash(direction, statement.line, summary(statement), when, recovery, message)

    proxy = Proxy(make_conninfo(**scratch.parameters))
    concurrency.in_thread(proxy.__enter__)
    try:
        rule = proxy.rule(
            lambda sql: sql.strip() == statement.text,
            then=drop_before() if when == "before" else drop_after(),
            nth=nth,
        )
        first = _attempt(run, _through(scratch, proxy))
    finally:
        concurrency.in_thread(proxy.close)
    if not _fired(rule):
        return crash(Recovery.NOT_SENT)
    recovery, error = Recovery.SAME_RUN, first
    if first is not None and not isinstance(first, OutcomeUnknown):
        recovery, error = Recovery.NEXT_RUN, _attempt(run, scratch)
    if isinstance(error, OutcomeUnknown):
        return crash(Recovery.ASKED, str(error))
    if error is not None:
        return crash(Recovery.FAILED, str(error))
    differs = difference()
    return crash(Recovery.DIFFERENT, differs) if differs else crash(recovery)


def _fired(rule: Rule) -> bool:
    return rule.fired > 0


def _attempt(run: Run, settings: ConnectionSettings) -> ManticoreError | None:
    try:
        run(settings)
    except ManticoreError as error:
        return error
    return None


def _through(settings: ConnectionSettings, proxy: Proxy) -> ConnectionSettings:
    parameters = {k: v for k, v in settings.parameters.items() if k not in ("hostaddr", "sslmode")}
    host, port = proxy.address
    return ConnectionSettings({**parameters, "host": host, "port": str(port), "sslmode": "disable"})
