"""The PostgreSQL v3 protocol, as far as the proxy needs it: bytes to messages and back.

Knows no sockets, no rules and no SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102


class ProtocolError(Exception):
    """Bytes that are no message of the protocol: a bug in the proxy or in its peer."""


class Message(NamedTuple):
    """One message as it came: its type byte, and all its bytes."""

    kind: bytes
    raw: bytes

    @property
    def body(self) -> bytes:
        """What follows type and length."""
        return self.raw[5:]


class Decoder:
    """Cuts a stream of bytes into messages; keeps what is not yet whole."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Take the next bytes, give the messages that are whole now."""
        rest = self._rest
        rest += data
        messages: list[Message] = []
        at = 0
        while len(rest) - at >= 5:
            length = int.from_bytes(rest[at + 1 : at + 5])
            if length < 4:
                raise ProtocolError(f"a message of type {bytes(rest[at : at + 1])!r} is too short")
            end = at + 1 + length
            if end > len(rest):
                break
            messages.append(Message(bytes(rest[at : at + 1]), bytes(rest[at:end])))
            at = end
        del rest[:at]
        return messages


@dataclass(frozen=True, slots=True)
class ServerError:
    """What a server says when it refuses a statement."""

    sqlstate: str
    message: str
    detail: str | None = None
    hint: str | None = None
    severity: str = "ERROR"

    def encode(self) -> bytes:
        """The ErrorResponse that says so."""
        return _report(b"E", self)


def notice(text: str) -> bytes:
    """A NoticeResponse with this text."""
    return _report(b"N", ServerError("00000", text, severity="NOTICE"))


def _report(kind: bytes, said: ServerError) -> bytes:
    fields = [("S", said.severity), ("V", said.severity), ("C", said.sqlstate), ("M", said.message)]
    if said.detail is not None:
        fields.append(("D", said.detail))
    if said.hint is not None:
        fields.append(("H", said.hint))
    return message(kind, b"".join(text(key + value) for key, value in fields) + b"\0")


def fields(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse, by their one-letter key."""
    parts = body.rstrip(b"\0").split(b"\0")
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in parts if part}


def message(kind: bytes, body: bytes = b"") -> bytes:
    """A whole message."""
    return kind + (len(body) + 4).to_bytes(4) + body


def text(value: str) -> bytes:
    """A string as the protocol writes it."""
    return value.encode() + b"\0"


def strings(body: bytes, count: int) -> tuple[list[str], bytes]:
    """The first strings of a body, and what follows them."""
    *found, rest = body.split(b"\0", count)
    return [part.decode(errors="replace") for part in found], rest


def query(sql: str) -> bytes:
    """A simple Query."""
    return message(b"Q", text(sql))


def parse(name: str, sql: str, types: bytes = b"\0\0") -> bytes:
    """A Parse; `types` is the count and oids of its parameters, as the client sent them."""
    return message(b"P", text(name) + text(sql) + types)


def bind() -> bytes:
    """A Bind of the unnamed statement, without parameters."""
    return message(b"B", b"\0\0" + b"\0\0" * 3)


def execute() -> bytes:
    """An Execute of the unnamed portal, all rows."""
    return message(b"E", b"\0" + b"\0" * 4)


def close_statement(name: str) -> bytes:
    """A Close of a prepared statement."""
    return message(b"C", b"S" + text(name))


def parameter_status(name: str, value: str) -> bytes:
    """A ParameterStatus."""
    return message(b"S", text(name) + text(value))


def command_complete(tag: str) -> bytes:
    """A CommandComplete with this tag."""
    return message(b"C", text(tag))


def parameters_of(startup: bytes) -> dict[str, str]:
    """The parameters of a start-up message, given all that follows the protocol's version."""
    parts = [part.decode() for part in startup.split(b"\0")]
    pairs = zip(parts[0::2], parts[1::2], strict=False)
    return {name: value for name, value in pairs if name}


def startup(version: bytes, parameters: dict[str, str]) -> bytes:
    """A start-up message."""
    pairs = b"".join(text(name) + text(value) for name, value in parameters.items())
    body = version + pairs + b"\0"
    return (len(body) + 4).to_bytes(4) + body
