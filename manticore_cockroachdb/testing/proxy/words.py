"""What statements, start-ups and settings are called on the other side of a proxy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from . import protocol


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A statement as it goes upstream.

    Attributes:
        sql: Its text.
        tag: If given, rows are withheld from the client, which gets this tag and their number.
    """

    sql: str
    tag: str | None = None


class Words(Protocol):
    """How one side's words become the other's."""

    def startup(self, body: bytes) -> bytes:
        """The start-up message as it goes upstream; `body` begins with the protocol's version."""

    def translate(self, sql: str, *, looks: bool = True) -> Rewritten:
        """A statement as it goes upstream; `looks` says whether it is run now."""

    def status(self, name: str, value: str) -> bytes:
        """A ParameterStatus message as it goes to the client."""


class SameWords:
    """Both sides speak alike."""

    def startup(self, body: bytes) -> bytes:
        """The message with its length."""
        return (len(body) + 4).to_bytes(4) + body

    def translate(self, sql: str, *, looks: bool = True) -> Rewritten:
        """The statement as it is."""
        del looks
        return Rewritten(sql)

    def status(self, name: str, value: str) -> bytes:
        """The message as it came."""
        return protocol.parameter_status(name, value)
