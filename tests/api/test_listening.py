"""A real server over a real socket: slow heads, slow bodies, heads that are too large, and what follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from mintage.api.app import build_api
from mintage.listening import server_config
from mintage.settings import Limits
from tests.api.conftest import Api
from tests.api.test_request_body import serving

QUICK = Limits(header_timeout_s=0.2, body_timeout_s=0.2)
LARGE = Limits(head_bytes_max=4096, url_bytes_max=1024, head_lines_max=20)
PATH = "/auth/v1/settings"
WHOLE = f"GET {PATH} HTTP/1.1\r\nhost: a\r\n\r\n".encode()
PATIENCE_S = 30


@dataclass(frozen=True)
class Wire:
    """A connection to the server; what is read is read until the server closes it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes, pause_s: float = 0) -> None:
        for part in parts:
            self.writer.write(part)
            await asyncio.sleep(pause_s)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer."""
        head = (await self._patiently(self.reader.readuntil(b"\r\n\r\n"))).decode()
        (length,) = [
            int(line.partition(":")[2])
            for line in head.splitlines()
            if line.lower().startswith("content-length:")
        ]
        return int(head.split()[1]), await self._patiently(self.reader.readexactly(length))

    async def rest(self) -> bytes:
        """Everything until the end of the connection."""
        return await self._patiently(self.reader.read())

    async def _patiently(self, reading: object) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            found: bytes = await reading  # type: ignore[misc]
            return found


@asynccontextmanager
async def _wire(api: Api, limits: Limits, keep_alive_s: float = 30) -> AsyncIterator[Wire]:
    door = replace(api.door, platform=replace(api.door.platform, limits=limits))
    config = server_config(build_api(door), limits)
    config.port = 0
    config.timeout_keep_alive = keep_alive_s  # type: ignore[assignment]
    async with serving(config) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()


async def test_a_head_that_does_not_end_is_408(api: Api) -> None:
    async with _wire(api, QUICK) as wire:
        await wire.send(b"GET / HTTP/1.1\r\nhost: a\r\nx-a: ")
        status, body = await wire.answer()
        assert (status, body) == (408, b"The request's headers did not arrive in time.\n")
        assert await wire.rest() == b""


async def test_a_head_that_comes_in_drops_is_408_however_often_one_comes(api: Api) -> None:
    async with _wire(api, QUICK) as wire:
        dripping = asyncio.create_task(
            wire.send(b"GET / HTTP/1.1\r\n", *[b"x-a: b\r\n"] * 100, pause_s=0.02)
        )
        status, _ = await wire.answer()
        assert status == 408
        dripping.cancel()


async def test_a_connection_that_asks_nothing_is_closed_without_an_answer(api: Api) -> None:
    for nothing in (b"", b"\r\n\r\n\r\n"):
        async with _wire(api, QUICK) as wire:
            await wire.send(nothing)
            assert await wire.rest() == b""


async def test_the_second_head_of_a_connection_is_timed_too(api: Api) -> None:
    async with _wire(api, QUICK) as wire:
        await wire.send(WHOLE)
        assert (await wire.answer())[0] == 200
        await wire.send(b"GET ")
        assert (await wire.answer())[0] == 408


async def test_an_idle_connection_lives_longer_than_a_head(api: Api) -> None:
    async with _wire(api, QUICK) as wire:
        for _ in range(3):
            await wire.send(WHOLE)
            assert (await wire.answer())[0] == 200
            await asyncio.sleep(2 * QUICK.header_timeout_s)


@pytest.mark.parametrize("body", [b"", b"x" * 10])
async def test_an_idle_connection_is_closed_though_its_body_came_after_its_answer(
    api: Api, body: bytes
) -> None:
    async with _wire(api, Limits(), keep_alive_s=0.2) as wire:
        await wire.send(WHOLE[:-2] + b"content-length: %d\r\n\r\n" % len(body))
        assert (await wire.answer())[0] == 200
        await wire.send(body)
        async with asyncio.timeout(Limits().header_timeout_s / 2):
            assert await wire.rest() == b""


async def test_a_slow_body_is_408_in_the_shape_of_its_door(api: Api) -> None:
    token = api.token("owner")
    for path, code in (
        ("/rest/v1/rpc/list_my_brands", b'"code":"PGRST005"'),
        ("/functions/v1/mint-api-v1", b'"code":"REQUEST_TIMEOUT"'),
        ("/storage/v1/object/sign/payload-packs", b'"statusCode":"408"'),
        ("/auth/v1/token?grant_type=password", b'"error_code":"request_timeout"'),
    ):
        async with _wire(api, QUICK) as wire:
            head = (
                f"POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n"
                "content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
            )
            await wire.send(head.encode())
            status, body = await wire.answer()
            assert status == 408
            assert code in body
            assert await wire.rest() == b""


async def test_a_body_that_drips_on_after_its_answer_is_cut(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mintage.guarded_protocol._BODY_GRACE_S", 0.0)
    async with _wire(api, QUICK) as wire:
        head = f"GET {PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n"
        dripping = asyncio.create_task(wire.send(head.encode(), *[b"x"] * 500, pause_s=0.05))
        assert (await wire.answer())[0] == 200
        assert await wire.rest() == b""
        dripping.cancel()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 1020 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 404),
        (b"GET /" + b"a" * 1024 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414),
        (b"GET /?" + b"a" * 100_000, 414),
        (WHOLE[:-2] + b"x: y\r\n" * 19 + b"\r\n", 200),
        (WHOLE[:-2] + b"x: y\r\n" * 20 + b"\r\n", 431),
        (WHOLE[:-2] + b"x: " + b"y" * 4000 + b"\r\n\r\n", 200),
        (WHOLE[:-2] + b"x: " + b"y" * 4096 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 500_000, 431),
        (b"NONSENSE\r\n\r\n", 400),
    ],
)
async def test_a_head_has_a_largest_size(api: Api, head: bytes, status: int) -> None:
    async with _wire(api, LARGE) as wire:
        await wire.send(head)
        found, body = await wire.answer()
        assert found == status
        if status in {400, 414, 431}:
            assert body.endswith(b".\n")
            assert await wire.rest() == b""


async def test_a_head_behind_a_large_body_is_counted_by_itself(api: Api) -> None:
    async with _wire(api, LARGE) as wire:
        head = f"POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 20000\r\n\r\n"
        await wire.send(head.encode() + b"x" * 20_000 + WHOLE[:10])
        assert (await wire.answer())[0] == 405
        await wire.send(WHOLE[10:])
        assert (await wire.answer())[0] == 200
