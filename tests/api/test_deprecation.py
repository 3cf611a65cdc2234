"""The Deprecation header (RFC 9745): on the answers of what is deprecated, and of nothing else."""

from __future__ import annotations

from tests.api.conftest import Api


async def test_an_answer_of_a_deprecated_rpc_says_since_when(api: Api) -> None:
    product_id = await api.world.product()
    brand_id = api.world.brand_id
    preflight = await api.call(
        "preflight_mint_batch", brand_id=brand_id, product_id=product_id, requested_quantity=5
    )
    assert "deprecation" not in preflight.headers
    created = await api.call(
        "create_mint_batch_from_job", brand_id=brand_id, mint_job_id=preflight.json()["id"]
    )
    assert created.json()["ok"] is True
    assert created.headers["deprecation"] == "@1795478400"
