"""The setting LISTENERS: what is called with each event of a command's run."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from manticore_cockroachdb.events import Event, RunEnded
from tests.django.conftest import Site

HEARD: list[Event] = []


class Listener:
    """Made for each run; keeps what it hears."""

    def __call__(self, event: Event) -> None:
        HEARD.append(event)


def test_commands_call_an_instance_of_a_class_with_each_event(site: Site) -> None:
    HEARD.clear()
    site.script("V1__a", "SELECT 1")
    site.entry(LISTENERS=["tests.django.test_listeners.Listener"])

    out = site.call("manticore_migrate")

    assert "Applying V1__a... OK" in out
    assert HEARD[-1] == RunEnded(1)


def test_commands_call_a_function_with_each_event(site: Site) -> None:
    HEARD.clear()
    site.script("V1__a", "SELECT 1")
    site.entry(LISTENERS=["tests.django.test_listeners.hear"])

    site.call("manticore_migrate", verbosity=0)

    assert HEARD[-1] == RunEnded(1)


def hear(event: Event) -> None:
    """A listener that is a function."""
    HEARD.append(event)


def test_log_records_of_commands(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.script("V1__a", "SELECT 1")
    site.entry(LISTENERS=["manticore_cockroachdb.telemetry.LogListener"])

    with caplog.at_level(logging.INFO, logger="manticore"):
        site.call("manticore_migrate", verbosity=0)

    last: Any = caplog.records[-1]
    assert (last.message, last.manticore_done) == ("Run ended: 1 script done.", 1)
