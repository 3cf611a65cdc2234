"""One process, one host: the resolver's paths on the platform's own name, which is a brand's too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx2
import jsonschema
import pytest
import pytest_asyncio
from starlette.routing import Route

from mintage.api.routes import FIRST_SEGMENTS, api_routes
from mintage.app import Front
from mintage.resolver.app import build_resolver
from mintage.settings import read_settings
from tests.resolver.desk import BASE_URL, IPHONE, Desk
from tests.resolver.test_conformance import DESCRIPTION_SCHEMA
from tests.support.world import GTIN_TABLE

if TYPE_CHECKING:
    from mintage.api.door import Door

CODE = f"/01/{GTIN_TABLE.zfill(14)}"
OURS = 418


@pytest_asyncio.fixture
async def phone(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    """A phone at a host where the control plane, which answers 418, the console and the resolver are."""

    async def other(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": OURS, "headers": []})
        await send({"type": "http.response.body"})

    settings = replace(read_settings({}), platform_url=BASE_URL)
    front = Front(other, build_resolver(desk.resolver), settings, other)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(front), base_url=BASE_URL, headers={"User-Agent": IPHONE}
    ) as client:
        yield client


async def test_the_description_file_is_found_where_doors_share_a_host(
    phone: httpx2.AsyncClient,
) -> None:
    answer = await phone.get("/.well-known/gs1resolver")
    assert answer.status_code == 200
    jsonschema.validate(answer.json(), DESCRIPTION_SCHEMA)


async def test_a_code_is_answered_on_a_shared_host_as_on_the_brands_own(
    desk: Desk, phone: httpx2.AsyncClient
) -> None:
    await desk.world.product(gtin=GTIN_TABLE)
    paths = (
        *(CODE, f"/{CODE}", f"/stem{CODE}", f"/a/b{CODE}", f"{CODE}/10/A%2FB"),
        *(f"/gtin{CODE.removeprefix('/01')}", "/01", "/stem/01/123", "/00/123456789012345675"),
        *("/mu/no-id", "/414/4012345000009"),
    )
    async with desk.phone() as alone:
        expected = {path: (await alone.get(BASE_URL + path)).status_code for path in paths}
    assert {expected[path] for path in paths} == {307, 400, 404}
    assert [expected[path] for path in paths[:5]] == [307] * 5
    assert expected[paths[5]] == 400
    assert {path: (await phone.get(BASE_URL + path)).status_code for path in paths} == expected


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/rest/v1/rpc/list_products",
            "/functions/v1/21/x",
            "/storage/v1/object/01/2026/a.csv",
        ),
        *(
            "/auth/v1/user",
            "/.well-known/mintage-keys.json",
            "/docs",
            "/docs/01/errors",
            "/openapi.json",
        ),
        *("/console", "/console/01/10", "/nothing", "/realtime/v1/websocket"),
    ],
)
async def test_the_paths_of_the_other_doors_stay_theirs(
    phone: httpx2.AsyncClient, path: str
) -> None:
    assert (await phone.get(path)).status_code == OURS


def test_every_route_of_the_control_plane_begins_with_a_segment_that_is_kept_for_it() -> None:
    routes = api_routes(cast("Door", SimpleNamespace()))
    firsts = {route.path.split("/")[1] for route in routes if isinstance(route, Route)}
    assert firsts == FIRST_SEGMENTS
