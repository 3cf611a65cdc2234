"""What a failure leaves in the log: one JSON line that tells where, and nothing of what was sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx2
import pytest
import structlog

from mintage.api.app import build_api
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


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was written to the log since the last look."""
    configure_logs()
    yield lambda: capsys.readouterr().err
    structlog.reset_defaults()


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
