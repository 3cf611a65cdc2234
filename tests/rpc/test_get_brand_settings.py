"""get_brand_settings: every setting of the brand, also those that nobody has set."""

from __future__ import annotations

from typing import Any

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import World

RPC = "get_brand_settings"
DEFAULTS: dict[str, Any] = {
    "name": "Acme",
    "default_identity_mode": "serial",
    "default_activation_mode": "first_scan",
    "strata": None,
    "gcp_length": None,
    "print_profile": None,
    "biz_location": None,
    "read_point": None,
    "clone_thresholds": {
        "scans_a_day_review": 10,
        "scans_a_day_elevated": 30,
        "scans_a_day_high": 100,
        "countries_a_day_review": 2,
        "countries_a_day_elevated": 3,
        "countries_a_day_high": 5,
        "travel_minutes_review": 120,
        "travel_minutes_elevated": 60,
        "travel_minutes_high": 15,
    },
    "redirect_signed_urls": False,
}


async def test_a_new_brand_has_the_defaults(world: World) -> None:
    answer = await world.rpc(RPC)
    assert answer == {"ok": True, "settings": DEFAULTS}
    assert list(answer["settings"]) == list(DEFAULTS)
    assert list(answer["settings"]["clone_thresholds"]) == list(DEFAULTS["clone_thresholds"])


async def test_what_was_set_is_told(world: World) -> None:
    changed = await world.rpc("update_brand_settings", patch={"gcp_length": 7})
    assert await world.rpc(RPC) == changed
    assert (await world.rpc(RPC, "stranger"))["settings"] == DEFAULTS | {"name": "Rival"}


@pytest.mark.parametrize("caller", ["owner", "admin", "service"])
async def test_those_who_administer_read_them(world: World, caller: str) -> None:
    assert (await world.rpc(RPC, caller))["settings"] == DEFAULTS


async def test_nobody_else_reads_them(world: World) -> None:
    for caller in ("editor", "viewer", "stranger", "nobody"):
        await refused_with(FORBIDDEN, world.rpc(RPC, caller, brand_id=world.brand_id))
    await refused_with(NOT_AUTHENTICATED, world.rpc(RPC, "anonymous"))
    assert set(await bad_arguments(world.rpc(RPC, name="x"))) == {"_name"}
