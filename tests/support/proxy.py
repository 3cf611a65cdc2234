"""A TCP proxy in front of a test's PostgreSQL that can be cut: at once, or at a place in what is sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

READ_BYTES = 16 * 1024


class Proxy:
    """Passes bytes on while it is whole; while it is cut, it closes each connection as soon as it is made."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        named = dict(parse_qsl(parts.query))
        self._host = named.get("host") or parts.hostname or "127.0.0.1"
        self._port = int(named.get("port") or parts.port or 5432)
        self._user = parts.username or "postgres"
        self._database = parts.path[1:]
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._place: tuple[bytes, int] | None = None
        self._question: tuple[bytes, int] | None = None
        self._is_answer_due = False
        self.is_cut = False
        self.times_cut = 0

    @property
    def dsn(self) -> str:
        """The database by way of the proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://{self._user}@127.0.0.1:{port}/{self._database}"

    def cut(self) -> None:
        """End every connection, without a word, and make no more."""
        self.is_cut = True
        self.times_cut += 1
        for writer in self._open:
            writer.transport.abort()

    def cut_at(self, marker: bytes, more_bytes: int) -> None:
        """Cut once a client has sent `marker` and `more_bytes` after it, which do not arrive."""
        self._place = (marker, more_bytes)

    def cut_answer(self, marker: bytes, time: int) -> None:
        """Cut once the server answers what held `marker` for the `time`-th time; it does not arrive."""
        self._question = (marker, time)

    def mend(self) -> None:
        """Pass on again."""
        self.is_cut = False

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)

    async def stop(self) -> None:
        self.cut()
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        if self._host.startswith("/"):
            path = f"{self._host}/.s.PGSQL.{self._port}"
            server_reader, server_writer = await asyncio.open_unix_connection(path)
        else:
            server_reader, server_writer = await asyncio.open_connection(self._host, self._port)
        both = {writer, server_writer}
        self._open |= both
        try:
            await asyncio.gather(
                self._pass(reader, server_writer, is_client=True),
                self._pass(server_reader, writer, is_client=False),
            )
        finally:
            self._open -= both

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_client: bool
    ) -> None:
        seen_bytes: int | None = None
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(READ_BYTES):
                if is_client and self._place is not None:
                    marker, more_bytes = self._place
                    if seen_bytes is not None:
                        seen_bytes += len(piece)
                    elif marker in piece:
                        seen_bytes = 0
                    if seen_bytes is not None and seen_bytes >= more_bytes:
                        self._place = None
                        self.cut()
                        return
                if is_client and self._question is not None and self._question[0] in piece:
                    marker, time = self._question
                    self._question = (marker, time - 1) if time > 1 else None
                    self._is_answer_due = time == 1
                elif not is_client and self._is_answer_due:
                    self._is_answer_due = False
                    self.cut()
                    return
                writer.write(piece)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def proxy(dsn: str) -> AsyncIterator[Proxy]:
    """A proxy to `dsn`'s database."""
    found = Proxy(dsn)
    await found.start()
    try:
        yield found
    finally:
        await found.stop()
