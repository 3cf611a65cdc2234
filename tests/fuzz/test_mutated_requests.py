"""Two thousand mutated requests over every door: no 5xx, no hang, no secret in an answer or in the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.routing import Match, Route

from mintage.api.routes import api_routes
from mintage.console.app import console_routes
from mintage.health import HEALTH_PATHS
from mintage.perform import Platform
from mintage.rpcs import RPCS
from mintage.telemetry import configure_logs
from tests.fuzz.asking import Answer, Request, ask, faults_of, scope_of
from tests.fuzz.running import run
from tests.fuzz.seeds import BRAND_HOST, PLATFORM_HOST, Target, open_target, seeds_of
from tests.fuzz.seeds import request as make_request
from tests.support.logs import log_plainly
from tests.support.world import World

REQUESTS = 2_000


@pytest.fixture
def logs_as_lines() -> Iterator[None]:
    configure_logs()
    yield
    log_plainly()


@pytest.mark.long
@pytest.mark.usefixtures("logs_as_lines")
async def test_mutated_requests_break_nothing_and_learn_nothing(
    platform: Platform, world: World, dsn: str, tmp_path: Path
) -> None:
    async with open_target(platform, world, dsn, tmp_path) as target:
        outcome = await run(target, seed=1, count=REQUESTS)
    assert not outcome.faults, "\n\n".join(outcome.faults)
    assert sum(outcome.statuses.values()) >= REQUESTS * 0.95
    # They reach behind the first check: most doors say yes to some.
    assert {200, 303, 307, 400, 401, 403, 404, 405, 415} <= set(outcome.statuses), outcome.statuses


@pytest.mark.long
async def test_every_route_has_a_seed_that_is_right(
    platform: Platform, world: World, dsn: str, tmp_path: Path
) -> None:
    async with open_target(platform, world, dsn, tmp_path) as target:
        seeds = seeds_of(target)
        asked = {name: make() for name, make in seeds.items()}
        routes = [*api_routes(None), *console_routes(None)]  # type: ignore[arg-type]
        without = [
            route.path
            for route in routes
            if isinstance(route, Route)
            and not any(
                route.matches(scope_of(each))[0] is not Match.NONE for each in asked.values()
            )
        ]
        assert not without, "give each route a seed in tests/fuzz/seeds.py"
        paths = {unquote(each.target.partition(b"?")[0].decode()) for each in asked.values()}
        assert {f"/rest/v1/rpc/{name}" for name in RPCS} | HEALTH_PATHS <= paths
        refused = await _refused(target, asked)
    # What is not there, what is for a token of the moment, and what earlier seeds have ended or made.
    assert len(refused) <= len(asked) // 6, refused
    assert not {name for name, status in refused.items() if status in {401, 415, 422}}


async def _refused(target: Target, asked: dict[str, Request]) -> dict[str, int]:
    refused = {}
    for name in asked:
        request = seeds_of(target)[name]()
        answer = await ask(target.application, request)
        assert not faults_of(request, answer, {}), name
        if answer.status >= 400:
            refused[name] = answer.status
    return refused


@pytest.mark.long
async def test_metrics_are_shown_to_nobody_who_only_asks(
    platform: Platform, world: World, dsn: str, tmp_path: Path
) -> None:
    async with open_target(platform, world, dsn, tmp_path) as target:
        for who in ("nobody", "viewer", "owner", "stranger", "api key"):
            for host in (PLATFORM_HOST, BRAND_HOST, b"localhost"):
                asked = make_request(target, "GET", "/metrics", who, host=host)
                answer = await ask(target.application, asked)
                assert answer.status in {401, 403, 404}, (who, host)
                assert b"# TYPE" not in answer.body


def test_what_is_wrong_with_an_answer_is_found() -> None:
    asked = Request("GET", b"/a")
    canaries = {"a password": b"correct horse"}

    def found(**changes: object) -> list[str]:
        right: dict[str, Any] = {"status": 200, "body": b"{}", "is_whole": True}
        return faults_of(asked, Answer(**right | changes), canaries)

    assert found() == []
    assert found(headers=[(b"content-length", b"2")]) == []
    for changes in (
        {"status": 500},
        {"is_whole": False},
        {"status": 204},
        {"headers": [(b"content-length", b"3")]},
        {"headers": [(b"location", b"a\r\nset-cookie: b")]},
        {"headers": [(b"x-a", b"correct horse")]},
        {"body": b"it is 'correct horse'"},
        {"body": b"Traceback (most recent call last)"},
    ):
        assert len(found(**changes)) == 1, changes
