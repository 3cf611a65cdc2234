"""A relay in front of a PostgreSQL, that can be cut: the database is away, and comes back.

It listens on a socket of its own and passes bytes on, in a thread. Not here: what is served (`server`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

_PORT = 5432
_READ_BYTES = 65536


@dataclass
class Relay:
    """`url` is the database's through the relay."""

    folder: Path
    dsn: str
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        parts = urlsplit(self.dsn)
        account, at, _ = parts.netloc.rpartition("@")
        return f"{parts.scheme}://{account}{at}{parts.path}?host={quote(str(self.folder))}&port={_PORT}"

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Nobody gets through, and who was through is thrown out."""
        self.do(self._close())
        try:
            yield
        finally:
            self.do(self._open())

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _open(self) -> None:
        self._server = await asyncio.start_unix_server(
            self._join, self.folder / f".s.PGSQL.{_PORT}"
        )

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        while self._writers:
            await asyncio.sleep(0.01)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = {writer}
        self._writers.add(writer)
        try:
            far_reader, far_writer = await self._far_side()
            writers.add(far_writer)
            self._writers.add(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, far_writer))
                both.create_task(_pass_on(far_reader, writer))
        finally:
            for each in writers:
                each.close()
            await asyncio.gather(*(each.wait_closed() for each in writers), return_exceptions=True)
            self._writers -= writers

    async def _far_side(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.dsn)
        named = dict(parse_qsl(parts.query))
        host = named.get("host") or parts.hostname or "localhost"
        port = int(named.get("port") or parts.port or _PORT)
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side ends; then the other side is ended too."""
    try:
        while content := await reader.read(_READ_BYTES):
            writer.write(content)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@contextmanager
def relay_to(dsn: str, folder: Path) -> Iterator[Relay]:
    """A relay to the database `dsn`; its socket is in `folder`, whose path must be short."""
    relay = Relay(folder, dsn)
    thread = threading.Thread(target=relay._loop.run_forever, name="relay")
    thread.start()
    try:
        relay.do(relay._open())
        yield relay
    finally:
        relay.do(relay._close())
        relay._loop.call_soon_threadsafe(relay._loop.stop)
        thread.join()
        relay._loop.close()
