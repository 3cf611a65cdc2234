"""update_brand_settings: what the patch has and nothing else, thresholds in order, one event a change."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mintage.errors import FORBIDDEN
from tests.support.minting import row
from tests.support.refusals import bad_arguments, payloads, raced, refused_with
from tests.support.world import World

RPC = "update_brand_settings"
EVERYTHING: dict[str, Any] = {
    "name": "Acme Wood",
    "default_identity_mode": "batch",
    "default_activation_mode": "active_at_mint",
    "strata": 1_000_000,
    "gcp_length": 12,
    "print_profile": "bartender",
    "biz_location": "https://id.gs1.org/414/9506000134352",
    "read_point": "urn:epc:id:sgln:9506000.00000.0",
    "redirect_signed_urls": True,
}


async def _set(world: World, caller: str = "owner", **patch: Any) -> dict[str, Any]:
    settings: dict[str, Any] = (await world.rpc(RPC, caller, patch=patch))["settings"]
    return settings


async def _settings(world: World) -> dict[str, Any]:
    settings: dict[str, Any] = (await world.rpc("get_brand_settings"))["settings"]
    return settings


async def test_every_setting_is_set_and_told(world: World) -> None:
    before = await _settings(world)
    after = await _set(world, **EVERYTHING)
    assert after == before | EVERYTHING
    assert await _settings(world) == after
    assert (await world.rpc("get_brand_settings", "stranger"))["settings"]["strata"] is None


@pytest.mark.parametrize("name", EVERYTHING)
async def test_a_patch_changes_what_it_has_and_nothing_else(world: World, name: str) -> None:
    before = await _settings(world)
    after = await _set(world, **{name: EVERYTHING[name]})
    assert after == before | {name: EVERYTHING[name]}


@pytest.mark.parametrize(
    "name", ["strata", "gcp_length", "print_profile", "biz_location", "read_point"]
)
async def test_null_unsets_what_may_be_unset(world: World, name: str) -> None:
    await _set(world, **EVERYTHING)
    unset: dict[str, Any] = {name: None}
    assert (await _set(world, **unset))[name] is None


async def test_the_name_is_what_list_my_brands_tells(world: World) -> None:
    await _set(world, name="Acme Wood")
    (brand,) = (await world.rpc("list_my_brands"))["brands"]
    assert (brand["name"], brand["slug"]) == ("Acme Wood", "acme")


async def test_preflights_take_the_default_modes(world: World) -> None:
    await _set(world, default_identity_mode="batch", default_activation_mode="active_at_mint")
    made = await world.rpc(
        "preflight_mint_batch", product_id=await world.product(), requested_quantity=5
    )
    job = await row(world, "select * from mint_job where id = $1", made["id"])
    assert (job["identity_mode"], job["activation_mode"]) == ("batch", "active_at_mint")


async def test_batches_take_the_strata(world: World) -> None:
    await _set(world, strata=1_000_000)
    submitted = await world.submit(await world.product(), 10)
    batch = await row(world, "select * from mint_batch where id = $1", submitted["mint_batch_id"])
    assert batch["serial_strata"] == 1_000_000


async def test_of_the_thresholds_those_given_are_changed(world: World) -> None:
    before = (await _settings(world))["clone_thresholds"]
    first = await _set(world, clone_thresholds={"scans_a_day_high": 500})
    assert first["clone_thresholds"] == before | {"scans_a_day_high": 500}
    second = await _set(world, clone_thresholds={"travel_minutes_high": 1})
    assert second["clone_thresholds"] == before | {
        "scans_a_day_high": 500,
        "travel_minutes_high": 1,
    }
    kept = await row(
        world, "select clone_thresholds::text from brand where id = $1", world.brand_id
    )
    assert "review" not in kept["clone_thresholds"]
    assert (await _set(world, clone_thresholds=None))["clone_thresholds"] == before


@pytest.mark.parametrize(
    ("thresholds", "named"),
    [
        ({"scans_a_day_high": 29}, ["scans_a_day_high"]),
        ({"scans_a_day_review": 31}, ["scans_a_day_elevated"]),
        ({"countries_a_day_elevated": 6}, ["countries_a_day_high"]),
        ({"travel_minutes_high": 61}, ["travel_minutes_high"]),
        ({"travel_minutes_review": 59}, ["travel_minutes_elevated"]),
        (
            {"scans_a_day_review": 200, "travel_minutes_elevated": 121},
            ["scans_a_day_elevated", "travel_minutes_elevated"],
        ),
    ],
)
async def test_thresholds_out_of_order_are_named(
    world: World, thresholds: dict[str, int], named: list[str]
) -> None:
    problems = await bad_arguments(world.rpc(RPC, patch={"clone_thresholds": thresholds}))
    assert list(problems) == [f"_patch.clone_thresholds.{name}" for name in named]
    assert (await _settings(world))["clone_thresholds"]["scans_a_day_review"] == 10


async def test_thresholds_may_be_equal(world: World) -> None:
    equal = {"scans_a_day_review": 5, "scans_a_day_elevated": 5, "scans_a_day_high": 5}
    assert (await _set(world, clone_thresholds=equal))["clone_thresholds"].items() >= equal.items()


async def test_an_event_tells_the_changed_keys(world: World) -> None:
    await _set(world, name="Acme", gcp_length=7, clone_thresholds={"scans_a_day_high": 500})
    assert await payloads(world, "settings_changed") == [
        {
            "subject": "brand",
            "change": "updated",
            "changed": {
                "gcp_length": {"from": None, "to": 7},
                "clone_thresholds": {"from": {}, "to": {"scans_a_day_high": 500}},
            },
        }
    ]


async def test_the_same_values_again_are_no_event(world: World) -> None:
    await _set(world, **EVERYTHING)
    await _set(world, **EVERYTHING)
    assert len(await payloads(world, "settings_changed")) == 1


async def test_patches_of_different_keys_at_once_are_all_kept(world: World) -> None:
    answers, errors = await raced(
        *(world.rpc(RPC, patch={name: value}) for name, value in EVERYTHING.items())
    )
    assert (len(answers), errors) == (len(EVERYTHING), [])
    assert (await _settings(world)).items() >= EVERYTHING.items()
    assert len(await payloads(world, "settings_changed")) == len(EVERYTHING)


async def test_of_patches_of_one_key_at_once_each_tells_what_it_replaced(world: World) -> None:
    await asyncio.gather(*(_set(world, gcp_length=length) for length in (6, 7, 8, 9)))
    changes = [
        payload["changed"]["gcp_length"] for payload in await payloads(world, "settings_changed")
    ]
    # Their times are those of the calls, not of the lock: they form a chain in some order.
    by_former = {change["from"]: change["to"] for change in changes}
    assert len(by_former) == 4
    chain: list[int | None] = [None]
    while chain[-1] in by_former:
        chain.append(by_former[chain[-1]])
    assert (len(chain), set(chain[1:])) == (5, {6, 7, 8, 9})
    assert chain[-1] == (await _settings(world))["gcp_length"]


@pytest.mark.parametrize("caller", ["owner", "admin", "service"])
async def test_those_who_administer_set_them(world: World, caller: str) -> None:
    assert (await _set(world, caller, strata=5))["strata"] == 5


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger", "nobody"])
async def test_others_set_nothing(world: World, caller: str) -> None:
    call = world.rpc(RPC, caller, brand_id=world.brand_id, patch={"name": "x"})
    await refused_with(FORBIDDEN, call)
    assert (await _settings(world))["name"] == "Acme"


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("name", ""),
        ("name", None),
        ("default_identity_mode", "unit"),
        ("default_identity_mode", None),
        ("default_activation_mode", None),
        ("strata", 0),
        ("strata", 1_000_001),
        ("strata", True),
        ("gcp_length", 5),
        ("gcp_length", 13),
        ("gcp_length", "7"),
        ("print_profile", ""),
        ("biz_location", "Plant 3"),
        ("biz_location", "javascript:alert(1)"),
        ("biz_location", "https://a@b.example/"),
        ("read_point", "urn:x"),
        ("read_point", "urn:epc:id:" + "0" * 500),
        ("clone_thresholds", {}),
        ("clone_thresholds", 5),
        ("redirect_signed_urls", None),
        ("redirect_signed_urls", 1),
        ("slug", "other"),
        ("id", "x"),
    ],
)
async def test_a_bad_value_is_named(world: World, name: str, bad: Any) -> None:
    assert list(await bad_arguments(world.rpc(RPC, patch={name: bad}))) == [f"_patch.{name}"]


@pytest.mark.parametrize("bad", [0, -1, 1.5, "5", None, True, 1_000_001])
async def test_a_bad_threshold_is_named(world: World, bad: Any) -> None:
    patch = {"clone_thresholds": {"scans_a_day_high": bad}}
    named = list(await bad_arguments(world.rpc(RPC, patch=patch)))
    assert named == ["_patch.clone_thresholds.scans_a_day_high"]


@pytest.mark.parametrize("bad", [{}, None, [], "x", {"nonsense": 1}])
async def test_a_patch_is_an_object_of_settings(world: World, bad: Any) -> None:
    (named,) = await bad_arguments(world.rpc(RPC, patch=bad))
    assert named.startswith("_patch")
