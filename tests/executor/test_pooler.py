"""A connection pooler in between, as far as it can be seen from the other end."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from manticore_cockroachdb.errors import ConnectionFailed
from tests.flavors import Flavour
from tests.harness import Harness
from tests.waiting import PATIENCE

pytestmark = pytest.mark.needs_postgresql("the pooler that is played speaks PostgreSQL's words")

POOLED = (
    "The connection goes through a connection pooler. Migrations need their own session. With "
    "pool_mode = transaction or statement, settings, roles and temporary tables of a script do not hold. "
    "Connect migrations to the server itself, or use pool_mode = session."
)


class Pooler:
    """Looks like PgBouncer: it takes no `options`, and gives its clients its own process numbers."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        assert parts.hostname is not None
        self._upstream = (parts.hostname, parts.port)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        self.url = parts._replace(
            netloc=parts.netloc.rpartition("@")[0] + f"@127.0.0.1:{self._port}"
        ).geturl()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                (length,) = struct.unpack("!i", await reader.readexactly(4))
                body = await reader.readexactly(length - 4)
                if body[:4] == struct.pack("!i", 196608):
                    break
                writer.write(b"N")  # no TLS
            if b"\0options\0" in body:
                said = b"SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
                writer.write(b"E" + struct.pack("!i", len(said) + 4) + said)
                await writer.drain()
                writer.close()
                return
            up_reader, up_writer = await asyncio.open_connection(*self._upstream)
            up_writer.write(struct.pack("!i", length) + body)
            back = asyncio.create_task(self._answers(up_reader, writer))
            while data := await reader.read(65536):
                up_writer.write(data)
            up_writer.close()
            await back
        writer.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
                if head[:1] == b"K":
                    body = struct.pack("!i", 1) + body[4:]
                writer.write(head + body)
        writer.close()


@pytest.fixture
def pooled(flavour: Flavour, database_url: str, tmp_path: Path) -> Iterator[Harness]:
    pooler = Pooler(database_url)
    yield Harness(flavour, pooler.url, database_url, tmp_path / "migrations")
    pooler.close()


async def test_a_pooler_is_found_and_the_message_says_what_works(pooled: Harness) -> None:
    name = pooled.one("SELECT current_database()")
    pooled.ask(f"ALTER DATABASE {name} SET statement_timeout = '59s'")
    pooled.write("V1__t", "CREATE TABLE t AS SELECT current_setting('statement_timeout') AS s")
    pooled.write("V2__u", "SELECT 1")
    assert await pooled.engine().migrate() == 2
    assert pooled.warnings() == [POOLED]
    assert pooled.one("SELECT s FROM t") == "0"


async def test_options_that_a_pooler_refuses_are_reported(pooled: Harness) -> None:
    mark = "&" if "?" in pooled.url else "?"
    pooled.url += f"{mark}options=-c%20search_path%3Dpublic"
    with pytest.raises(ConnectionFailed) as caught:
        await pooled.engine().status()
    message = str(caught.value)
    assert message.startswith("Could not connect to 127.0.0.1:")
    assert message.endswith(
        "FATAL: unsupported startup parameter: options. A connection pooler is in between, and it "
        "does not accept the options of this connection. Connect migrations to the server "
        "itself, or put the "
        "options into the database or the role (ALTER ROLE … SET …)."
    )
