"""The resolver behind a real HTTP server: escapes in paths, HEAD, and the proxy in front of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import uvicorn

from mintage.listening import listen_on
from mintage.resolver.answers import redirect
from mintage.resolver.app import build_resolver
from mintage.settings import Limits
from tests.resolver.desk import HOST, IPHONE, Desk


@asynccontextmanager
async def _served(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the desk's resolver, which trusts this machine as its proxy, on a port of its own."""
    resolver = replace(desk.resolver, trusted_proxies=frozenset({"127.0.0.0/8"}))
    config = uvicorn.Config(
        build_resolver(resolver),
        host="127.0.0.1",
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
    port = server.servers[0].sockets[0].getsockname()[1]
    headers = {"User-Agent": IPHONE, "X-Forwarded-Host": HOST, "X-Forwarded-For": "198.51.100.7"}
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
        yield client
    server.should_exit = True
    await serving


async def test_a_serial_with_a_slash_is_found_and_head_has_no_body(desk: Desk) -> None:
    minted = await desk.world.minted(1, serials=["A/B%2F+C"])
    [path] = await desk.urls(minted["mint_batch_id"])
    async with _served(desk) as client:
        headed = await client.head(path)
        got = await client.get(path)
        page_path = got.headers["location"].partition("example.com")[2]
        page, page_headed = await client.get(page_path), await client.head(page_path)
    assert (headed.status_code, got.status_code) == (307, 307)
    assert "Genuine" in page.text
    assert (page_headed.status_code, page_headed.content) == (200, b"")
    assert page_headed.headers["content-length"] == str(len(page.content))
    assert await desk.outcomes() == ["activated"]
    assert str(await desk.value("select ip_prefix from scan_event")) == "198.51.100.0/24"


async def test_redirects_of_one_connection_come_whole_and_in_order_and_close_is_kept(
    desk: Desk,
) -> None:
    minted = await desk.world.minted(2)
    first, second = [f"{path}?n=1" for path in await desk.urls(minted["mint_batch_id"])]
    head = f"Host: {HOST}\r\nUser-Agent: {IPHONE}\r\n"
    sent = (
        f"HEAD {first} HTTP/1.1\r\n{head}\r\n"
        f"GET {first} HTTP/1.1\r\n{head}\r\n"
        f"GET {second} HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with listen_on(listener, build_resolver(desk.resolver), Limits()):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(sent.encode())
            got = (await reader.read()).decode()
            writer.close()
    *answers, rest = got.split("\r\n\r\n")
    assert rest == ""
    assert [answer.partition("\r\n")[0] for answer in answers] == [
        "HTTP/1.1 307 Temporary Redirect"
    ] * 3
    for answer, path in zip(answers, (first, first, second), strict=True):
        assert answer.count("\r\ncontent-length: 0") == answer.count("\r\nlocation: ") == 1
        assert answer.count("\r\ndate: ") == answer.count("\r\ncache-control: no-store") == 1
        assert f"{path.partition('?')[0]}?linkType=linkset>" in answer
    assert ["connection: close" in answer for answer in answers] == [False, False, True]


def test_a_redirect_that_would_break_a_line_is_refused() -> None:
    assert redirect("https://example.com/a", "https://example.com/b").lines
    assert not redirect("https://example.com/a\r\nset-cookie: a=b", "https://example.com/b").lines
    assert not redirect("https://example.com/a", "https://example.com/b\nc").lines
