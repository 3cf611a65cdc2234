"""docs/api/mint-api-v1.md is true: its request is run, its answers come about, its codes are all there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

from mintage.api import functions
from mintage.errors import ERROR_KINDS, ROUTE_NOT_FOUND, RPC_NOT_FOUND
from tests.api.conftest import Api, api, door, secrets, settings  # noqa: F401 - fixtures
from tests.docs.test_rpc_examples import differences
from tests.support.minting import production_batch

PAGE = (Path(__file__).parents[2] / "docs" / "api" / "mint-api-v1.md").read_text("utf-8")
PATH = "/functions/v1/mint-api-v1"
# Other codes of the kinds that an RPC has and the function has not.
ELSEWHERE = {RPC_NOT_FOUND.function_code, ROUTE_NOT_FOUND.function_code, "CONFLICT"}


def shown(heading: str) -> dict[str, Any]:
    """The first JSON block under a heading of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found: dict[str, Any] = json.loads(section.partition("```json\n")[2].partition("```")[0])
    return found


async def request_of_the_page(api: Api) -> tuple[dict[str, Any], UUID]:  # noqa: F811
    """The request with ids of the world in place of those shown, and the product."""
    product_id = await api.world.product()
    batch_id = await production_batch(api.world, product_id, quantity=None)
    ids = {
        "brand_id": str(api.world.brand_id),
        "product_id": str(product_id),
        "product_batch_id": str(batch_id),
    }
    return shown("Request") | ids, product_id


async def test_the_request_of_the_page_is_answered_as_it_shows(api: Api) -> None:  # noqa: F811
    body, _ = await request_of_the_page(api)
    answer = await api.post(PATH, "owner", body)
    expected = shown("Response (success)")
    assert answer.status_code == 200
    assert not differences(expected, answer.json())
    for key in ("status", "is_duplicate", "kicked", "processed_count"):
        assert answer.json()[key] == expected[key]


async def test_the_errors_of_the_page_come_about(api: Api) -> None:  # noqa: F811
    body, product_id = await request_of_the_page(api)
    wrong = await api.post(PATH, "owner", body | {"requested_quantity": 0})
    assert (wrong.status_code, wrong.json()) == (400, shown("Response (error)"))
    await api.world.rpc(
        "update_product", product_id=product_id, patch={"mint_readiness_status": "NOT_READY"}
    )
    blocked = await api.post(PATH, "owner", body)
    assert (blocked.status_code, blocked.json()) == (422, shown("Response (blocked)"))


def test_the_page_has_every_code() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([0-9]{3}) \|", PAGE, re.MULTILINE)
    kinds = {(kind.function_code, str(kind.status)) for kind in ERROR_KINDS}
    expected = {row for row in kinds if row[0] not in ELSEWHERE}
    assert set(rows) == expected | {("PREFLIGHT_BLOCKED", str(functions._BLOCKED_STATUS))}
    assert len(rows) == len(set(rows))
