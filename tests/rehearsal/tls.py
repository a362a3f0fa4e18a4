"""A door before a server that lets in who comes by TLS, as `hostssl` in pg_hba.conf does.

The wheel's PostgreSQL knows no TLS, so a server of its own could not show this.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

_SSL_REQUEST = 80877103
_GSS_REQUEST = 80877104
_REFUSAL = "no pg_hba.conf entry for this host, no encryption"


def can_make_certificates() -> bool:
    """Whether this machine has the program for it."""
    return shutil.which("openssl") is not None


@contextlib.contextmanager
def tls_door(host: str, port: int, folder: Path) -> Iterator[int]:
    """The port of a door before a server.

    Args:
        host: The server's host.
        port: Its port.
        folder: Where the certificate is written.
    """
    context = _context(folder)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        door = threading.Thread(target=_serve, args=(listener, context, (host, port)), daemon=True)
        door.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    door.join(timeout=20)


def _context(folder: Path) -> ssl.SSLContext:
    key, certificate = folder / "server.key", folder / "server.crt"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _serve(listener: socket.socket, context: ssl.SSLContext, server: tuple[str, int]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:  # The door is closed.
            return
        threading.Thread(target=_let_in, args=(client, context, server), daemon=True).start()


def _let_in(client: socket.socket, context: ssl.SSLContext, server: tuple[str, int]) -> None:
    with contextlib.suppress(OSError), client:
        while True:
            length, code = struct.unpack("!II", client.recv(8, socket.MSG_WAITALL))
            if code == _GSS_REQUEST:
                client.sendall(b"N")
            elif code == _SSL_REQUEST:
                client.sendall(b"S")
                break
            else:
                client.recv(length - 8, socket.MSG_WAITALL)
                fields = f"SFATAL\0VFATAL\0C28000\0M{_REFUSAL}\0\0".encode()
                client.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)
                return
        with (
            context.wrap_socket(client, server_side=True) as secure,
            socket.create_connection(server) as behind,
        ):
            back = threading.Thread(target=_pass_on, args=(behind, secure), daemon=True)
            back.start()
            _pass_on(secure, behind)
            back.join(timeout=20)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
