"""What a failure leaves in the log: one JSON line that tells where, and nothing of what was sent."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace

import httpx2

from mintage.api.app import build_api
from mintage.listening import listen_on
from mintage.settings import Limits
from mintage.telemetry import configure_logs, logger
from tests.api.conftest import Api

SENT = {
    "authorization": "Bearer canary-of-authorization",
    "apikey": "canary-of-apikey",
    "cookie": "mintage_console=canary-of-cookie",
    "x-form-token": "canary-of-form",
    "content-type": "application/json",
}
BODY = '{"email": "canary-of-email@example.com", "password": "canary-of-password"}'
PATHS = (
    "/auth/v1/token?grant_type=password&canary-of-query=1",
    "/rest/v1/rpc/list_my_brands?canary-of-query=1",
    "/functions/v1/mint-api-v1?canary-of-query=1",
    f"/storage/v1/object/sign/payload-packs/{'0' * 8}?token=canary-of-query",
)


async def test_a_failure_is_logged_without_anything_that_was_sent(
    api: Api, log: Callable[[], str]
) -> None:
    broken = replace(api.door, platform=replace(api.door.platform, database=None))  # type: ignore[arg-type]
    transport = httpx2.ASGITransport(build_api(broken))
    headers = SENT | {"authorization": api.headers("owner")["authorization"]}
    async with httpx2.AsyncClient(transport=transport, base_url="https://a") as client:
        statuses = [
            (await client.post(path, content=BODY, headers=headers)).status_code for path in PATHS
        ]
    assert statuses[:2] == [500, 500]
    told = log()
    lines = [json.loads(line) for line in told.splitlines()]
    assert [line["level"] for line in lines].count("error") >= 2
    assert "canary" not in told
    assert headers["authorization"].partition(" ")[2] not in told


def test_a_value_makes_no_second_line(log: Callable[[], str]) -> None:
    forged = 'x"}\n{"event": "signed in", "level": "info"}\r\u2028\u2029\x1b[2J'
    logger("test").warning("told", value=forged)
    told = log()
    assert (told.count("\n"), told.count("\r"), told.count("\x1b")) == (1, 0, 0)
    assert json.loads(told)["value"] == forged


def test_an_error_is_told_by_its_kind_and_place_and_never_by_its_text(
    log: Callable[[], str],
) -> None:
    try:
        raise ValueError("canary in a text")
    except ValueError as error:
        logger("test").error("it failed", exc_info=error)
    told = log()
    assert "canary" not in told
    assert json.loads(told)["error"] == "ValueError"
    assert json.loads(told)["frames"]


async def test_a_head_that_cannot_be_read_is_a_json_line_without_its_text(
    log: Callable[[], str],
) -> None:
    async def app(_scope: object, _receive: object, _send: object) -> None:
        raise AssertionError("nothing that can be read arrived")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with listen_on(listener, app, Limits()):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"canary-of-a-method\x01 /canary-of-a-path\r\n\r\n")
            await writer.drain()
            assert (await reader.read()).startswith(b"HTTP/1.1 400")
            writer.close()
    told = log()
    assert "canary" not in told
    events = {line["event"]: line for line in map(json.loads, told.splitlines())}
    line = events["Invalid HTTP request received."]
    assert (line["level"], line["logger"]) == ("warning", "uvicorn.error")


async def test_an_error_that_nobody_awaited_is_a_json_line_without_its_text(
    log: Callable[[], str],
) -> None:
    async def fails() -> None:
        raise ValueError("canary in a text")

    task = asyncio.create_task(fails())
    await asyncio.wait({task})
    del task
    gc.collect()
    told = log()
    assert "canary" not in told
    line = json.loads(told)
    assert line["event"] == "Task exception was never retrieved"
    assert (line["level"], line["logger"], line["error"]) == ("error", "asyncio", "ValueError")
    assert line["frames"]


def test_what_a_library_says_of_values_is_told_by_its_place(log: Callable[[], str]) -> None:
    logging.getLogger("some.library").error("no such row: %s", "canary of a row")
    logging.getLogger("some.library").error(f"no such row: {SENT['cookie']}")
    logging.getLogger("some.library").info("canary of what is not worth a line")
    told = log()
    assert "canary" not in told
    lines = [json.loads(line) for line in told.splitlines()]
    assert [line["logger"] for line in lines] == ["some.library"] * 2
    assert all("test_log_lines.py" in line["place"] for line in lines)


def test_warnings_and_ends_of_threads_are_json_lines(log: Callable[[], str]) -> None:
    with warnings.catch_warnings():
        configure_logs()
        warnings.simplefilter("always")
        warnings.warn("canary of a warning", ResourceWarning, stacklevel=1)

    def fails() -> None:
        raise ValueError("canary of a thread")

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    told = log()
    assert "canary" not in told
    first, second = (json.loads(line) for line in told.splitlines())
    assert (first["kind"], second["error"]) == ("ResourceWarning", "ValueError")
