"""What the system checks report, for their tests."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Tags, run_checks


def found(**options: Any) -> list[CheckMessage]:
    return [each for each in run_checks(**options) if (each.id or "").startswith("manticore.")]


def ids(**options: Any) -> list[str | None]:
    return [each.id for each in found(**options)]


def one(**options: Any) -> tuple[str | None, str, str | None]:
    (message,) = found(**options)
    return (message.id, message.msg, message.hint)


def ledger() -> tuple[str | None, str, str | None]:
    return one(tags=[Tags.database], databases=["default"])
