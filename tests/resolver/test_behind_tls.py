"""Statement 2 of the conformance list: HTTPS, through a proxy that ends TLS and forwards to the resolver."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
import uvicorn

from mintage.resolver.app import build_resolver
from tests.resolver.desk import HOST, IPHONE, Desk
from tests.support.certificates import self_signed
from tests.support.world import GTIN_TABLE

GTIN14 = GTIN_TABLE.zfill(14)
CLIENT = "198.51.100.7"


@asynccontextmanager
async def _served(desk: Desk) -> AsyncIterator[int]:
    """The resolver over plain HTTP, for which this machine is a proxy; its port."""
    resolver = replace(desk.resolver, trusted_proxies=frozenset({"127.0.0.1"}))
    config = uvicorn.Config(
        build_resolver(resolver),
        port=0,
        log_level="warning",
        lifespan="off",
        ws="none",
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


@asynccontextmanager
async def _tls_proxy(certificate: Path, backend_port: int) -> AsyncIterator[int]:
    """A proxy that ends TLS: one request a connection, with forwarded headers; its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *lines = head.strip().split("\r\n")
        host = next(line.partition(":")[2] for line in lines if line.lower().startswith("host:"))
        kept = [line for line in lines if not line.lower().startswith(("host:", "connection:"))]
        forwarded = [
            "Host: resolver.internal",
            "Connection: close",
            f"X-Forwarded-Host:{host}",
            f"X-Forwarded-For: {CLIENT}",
            "X-Forwarded-Proto: https",
        ]
        inner, outer = await asyncio.open_connection("127.0.0.1", backend_port)
        outer.write("\r\n".join([request_line, *kept, *forwarded, "", ""]).encode("latin-1"))
        writer.write(await inner.read())
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        for each in (outer, writer):
            each.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("level", ["gtin", "lot", "serial"])
async def test_2_https_is_answered_as_the_host_that_the_client_asked(
    desk: Desk, tmp_path: Path, level: str
) -> None:
    minted = await desk.world.minted(1)
    [serial_path] = await desk.urls(minted["mint_batch_id"])
    path = {"gtin": f"/01/{GTIN14}", "lot": f"/01/{GTIN14}/10/ANY", "serial": serial_path}[level]
    certificate = self_signed(tmp_path / "host.pem", HOST)
    trusting = ssl.create_default_context(cafile=str(certificate))
    headers = {"User-Agent": IPHONE, "Host": HOST}
    async with (
        _served(desk) as backend_port,
        _tls_proxy(certificate, backend_port) as port,
        httpx2.AsyncClient(verify=trusting, headers=headers) as client,
    ):
        answer = await client.get(
            f"https://127.0.0.1:{port}{path}", extensions={"sni_hostname": HOST}
        )
    assert answer.status_code == 307
    assert answer.headers["location"].startswith(f"https://{HOST}/p/")
    await desk.settle()
    assert str(await desk.value("select ip_prefix from scan_event")) == "198.51.100.0/24"
