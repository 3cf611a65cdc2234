"""Bodies as they arrive: counted while they are read, two large ones at a time; a real server's too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from mintage.api.app import build_api
from mintage.api.door import Door, error_response
from mintage.api.endpoint import Endpoint
from mintage.api.middleware import RequestIds
from mintage.listening import server_config
from tests.api.conftest import Api

MIB = 1024 * 1024
SUBMIT = "/rest/v1/rpc/submit_mint_request"
LISTING = "/rest/v1/rpc/list_my_brands"


async def send(
    api: Api, path: str, content: bytes | AsyncIterator[bytes], caller: str = "owner"
) -> httpx2.Response:
    headers = {"content-type": "application/json"} | api.headers(caller)
    return await api.client.post(path, content=content, headers=headers)


async def chunks(size: int, part: int = 64 * 1024) -> AsyncIterator[bytes]:
    for _ in range(size // part):
        yield b" " * part
    yield b"{}"


@asynccontextmanager
async def serving(config: uvicorn.Config) -> AsyncIterator[str]:
    """A real server on loopback; its base URL."""
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


def served(api: Api) -> AbstractAsyncContextManager[str]:
    """A real server of the control plane."""
    config = server_config(build_api(api.door), api.door.platform.limits)
    config.port = 0
    return serving(config)


async def test_a_body_of_exactly_the_limit_is_taken(api: Api) -> None:
    assert (await send(api, LISTING, b"{}" + b" " * (MIB - 2))).status_code == 200
    assert (await send(api, LISTING, b"{}" + b" " * (MIB - 1))).status_code == 413


async def test_a_body_without_a_length_is_counted_while_it_is_read(api: Api) -> None:
    response = await send(api, LISTING, chunks(2 * MIB))
    assert response.status_code == 413
    assert response.json()["code"] == "54000"
    assert f"{MIB:,} bytes" in response.json()["message"]


async def test_a_length_that_lies_is_not_believed(api: Api) -> None:
    headers = {"content-type": "application/json", "content-length": "2"} | api.headers("owner")
    response = await api.client.post(LISTING, content=chunks(2 * MIB), headers=headers)
    assert response.status_code == 413


async def test_submitting_takes_32_mib_and_no_more(api: Api) -> None:
    body = {
        "_brand_id": str(api.world.brand_id),
        "_product_id": str(await api.world.product()),
        "_requested_quantity": 3,
        "_identity_mode": "serial",
        "_activation_mode": "first_scan",
        "_serials": ["A-1", "A-2", "A-3"],
    }
    content = json.dumps(body).encode()
    right = await send(api, SUBMIT, content + b" " * (32 * MIB - len(content)))
    assert (right.status_code, right.json()["ok"]) == (200, True)
    assert (await send(api, SUBMIT, b" " * (32 * MIB + 1))).status_code == 413


async def test_a_body_of_one_who_is_refused_anyway_is_counted_and_not_kept(api: Api) -> None:
    # Two large bodies are held: one more would be 503, but these are not held at all.
    api.door.big_bodies.held = 2
    assert (await send(api, SUBMIT, chunks(4 * MIB), "anonymous")).status_code == 401
    assert (await send(api, SUBMIT, chunks(33 * MIB), "anonymous")).status_code == 413
    plain = await api.client.post(
        SUBMIT, content=chunks(4 * MIB), headers={"content-type": "text/plain"}
    )
    assert plain.status_code == 415


async def test_a_third_large_body_is_503_with_retry_after(api: Api) -> None:
    go_on = asyncio.Event()
    arrived = asyncio.Semaphore(0)

    async def slow() -> AsyncIterator[bytes]:
        yield b" " * (MIB + 1)
        arrived.release()
        await go_on.wait()
        yield b"{}"

    held = [asyncio.create_task(send(api, SUBMIT, slow())) for _ in range(2)]
    for _ in held:
        await arrived.acquire()
    third = await send(api, SUBMIT, chunks(2 * MIB))
    assert (third.status_code, third.json()["code"]) == (503, "PGRST003")
    assert int(third.headers["retry-after"]) >= 1
    fourth = await send(api, "/functions/v1/mint-api-v1", chunks(2 * MIB))
    assert (fourth.status_code, fourth.json()["error"]["code"]) == (503, "UNAVAILABLE")
    # Ordinary ones go on.
    assert (await send(api, SUBMIT, b"{}")).status_code == 400
    go_on.set()
    assert [(await task).status_code for task in held] == [400, 400]
    assert api.door.big_bodies.held == 0
    assert (await send(api, SUBMIT, chunks(2 * MIB))).status_code == 400


async def test_a_body_that_does_not_arrive_is_given_up(api: Api) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    limits = replace(api.door.platform.limits, body_timeout_s=0.01)
    door = replace(api.door, platform=replace(api.door.platform, limits=limits))
    transport = httpx2.ASGITransport(build_api(door))
    async with httpx2.AsyncClient(transport=transport, base_url="https://a.example") as client:
        response = await send(replace(api, client=client), LISTING, endless())
    assert response.status_code == 408
    assert response.json() == {
        "code": "PGRST005",
        "message": "Request timeout: the body did not arrive within 0.01 s",
        "details": None,
        "hint": "send the body at once",
        "errors": [],
    }
    assert response.headers["connection"] == "close"
    assert api.door.big_bodies.held == 0


async def test_a_real_client_reads_413_of_a_body_that_it_is_still_sending(api: Api) -> None:
    headers = {"content-type": "application/json"} | api.headers("owner")
    async with served(api) as url, httpx2.AsyncClient(base_url=url) as client:
        for content in (b" " * (8 * MIB), chunks(8 * MIB)):
            response = await client.post(LISTING, content=content, headers=headers)
            assert response.status_code == 413
        again = await client.post(LISTING, content=b"{}", headers=headers)
        assert again.status_code == 200


async def test_a_client_that_asks_before_it_sends_is_told_at_once(api: Api) -> None:
    async with served(api) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST {LISTING} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {8 * MIB}\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
        writer.close()
        await writer.wait_closed()


async def test_a_real_server_answers_head_with_the_length_and_no_body(api: Api) -> None:
    path = f"/rest/v1/rpc/list_mint_batches?_brand_id={api.world.brand_id}"
    async with served(api) as url, httpx2.AsyncClient(base_url=url) as client:
        by_head = await client.head(path, headers=api.headers("owner"))
        by_get = await client.get(path, headers=api.headers("owner"))
    assert by_head.status_code == 200
    assert by_head.headers["content-length"] == by_get.headers["content-length"]
    assert by_head.content == b""


async def test_a_client_that_goes_away_leaves_nothing_behind(api: Api) -> None:
    async with served(api) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        token = api.token("owner")
        writer.write(
            f"POST {SUBMIT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: {8 * MIB}\r\n\r\n".encode()
        )
        writer.write(b" " * (2 * MIB))
        await writer.drain()
        while api.door.big_bodies.held == 0:
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        while api.door.big_bodies.held:
            await asyncio.sleep(0.01)
        async with httpx2.AsyncClient(base_url=url) as client:
            assert (await client.get("/auth/v1/settings")).status_code == 200


async def test_an_answer_that_breaks_off_cuts_the_connection_and_is_logged(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(_door: Door, _request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"some"
            raise LookupError("what was sent")

        return StreamingResponse(parts(), headers={"content-length": "100"})

    endpoint = Endpoint(api.door, broken, error_response)
    app = Starlette(routes=[Route("/", endpoint)], middleware=[Middleware(RequestIds)])
    config = uvicorn.Config(app, port=0, lifespan="off", log_level="critical", access_log=False)
    async with serving(config) as url, httpx2.AsyncClient(base_url=url) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get("/")
    logged = capsys.readouterr().out
    assert "LookupError" in logged
    assert "what was sent" not in logged
