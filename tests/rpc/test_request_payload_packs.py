"""request_payload_packs: what is queued, what is refused, and one open group however many ask."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg
import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED, SUBJECT_NOT_FOUND
from mintage.operations.call import SYSTEM
from mintage.operations.exports import Slice, slices_of
from mintage.packs.formats import FORMATS
from mintage.packs.print_profiles import PROFILES
from mintage.settings import Limits
from tests.support.refusals import bad_arguments, blocked_by, payloads, raced, refused_with
from tests.support.world import World


async def _execute(world: World, statement: str, *arguments: object) -> str:
    identity = SYSTEM.identity(world.brand_id)
    async with world.platform.database.transaction(identity) as connection:
        return await connection.execute(statement, *arguments)


async def _value(world: World, statement: str) -> object:
    identity = SYSTEM.identity(world.brand_id)
    async with world.platform.database.transaction(identity) as connection:
        value: object = await connection.fetchval(statement)
        return value


def test_a_hundred_thousand_units_are_ten_packs_and_a_million_a_hundred() -> None:
    pack_units = Limits().pack_units
    assert len(slices_of(100_000, pack_units)) == 10
    assert len(slices_of(1_000_000, pack_units)) == 100
    assert slices_of(1, pack_units) == [Slice(1, 0, 1)]
    slices = slices_of(10_001, pack_units)
    assert slices == [Slice(1, 0, 10_000), Slice(2, 10_000, 1)]


async def test_packs_of_a_minted_batch_are_queued(world: World) -> None:
    world = world.with_platform(
        replace(world.platform, limits=replace(world.platform.limits, pack_units=4))
    )
    batch_id = (await world.minted(10))["mint_batch_id"]
    answer = await world.rpc("request_payload_packs", "admin", mint_batch_id=batch_id)
    assert list(answer) == ["ok", "export_group_id", "pack_count", "status", "is_duplicate"]
    group_id = answer.pop("export_group_id")
    assert isinstance(group_id, UUID)
    assert answer == {"ok": True, "pack_count": 3, "status": "pending", "is_duplicate": False}
    listed = await world.rpc("list_payload_packs", export_group_id=group_id)
    counts = {pack["pack_index"]: pack["unit_count"] for pack in listed["packs"]}
    assert counts == {1: 4, 2: 4, 3: 2, 4: 0}
    assert await _value(world, "select count(*) from work_item where kind = 'payload_pack'") == 4
    assert await payloads(world, "payload_packs_requested") == [
        {"export_group_id": str(group_id), "format": "csv", "profile": None, "pack_count": 3}
    ]


async def test_workers_are_woken(world: World, dsn: str) -> None:
    batch_id = (await world.minted(1))["mint_batch_id"]
    woken: asyncio.Queue[object] = asyncio.Queue()
    connection = await asyncpg.connect(dsn)
    await connection.add_listener("mintage_work", lambda *told: woken.put_nowait(told[-1]))
    await world.rpc("request_payload_packs", mint_batch_id=batch_id)
    assert await asyncio.wait_for(woken.get(), 10) == "payload_pack"
    await connection.close()


async def test_a_second_request_answers_the_open_group(world: World) -> None:
    batch_id = (await world.minted(3))["mint_batch_id"]
    first = await world.rpc("request_payload_packs", mint_batch_id=batch_id)
    await _execute(world, "update export_group set status = 'generating'")
    second = await world.rpc("request_payload_packs", mint_batch_id=batch_id, format="csv")
    assert second == first | {"is_duplicate": True, "status": "generating"}
    assert len(await payloads(world, "payload_packs_requested")) == 1


async def test_a_request_with_other_options_than_the_open_groups_is_refused(world: World) -> None:
    batch_id = (await world.minted(3))["mint_batch_id"]
    asked = {"mint_batch_id": batch_id, "format": "qr_svg"}
    first = await world.rpc("request_payload_packs", **asked, options={"error_correction": "Q"})
    answer = await world.rpc("request_payload_packs", **asked)
    (reason,) = answer["blocking_reasons"]
    assert (answer["ok"], reason["code"]) == (False, "EXPORT_OPTIONS_DIFFER")
    assert str(first["export_group_id"]) in reason["message"]
    assert "(error_correction)" in reason["message"]
    same = await world.rpc("request_payload_packs", **asked, options={"error_correction": "Q"})
    assert same == first | {"is_duplicate": True}
    await _execute(world, "update export_group set options = '{}'")
    defaults = await world.rpc("request_payload_packs", **asked, options={"error_correction": "M"})
    assert defaults == first | {"is_duplicate": True}
    assert await _value(world, "select count(*) from export_group") == 1


async def test_racing_requests_make_one_group(world: World) -> None:
    batch_id = (await world.minted(3))["mint_batch_id"]
    answers, errors = await raced(
        *(world.rpc("request_payload_packs", mint_batch_id=batch_id) for _ in range(20))
    )
    assert errors == []
    assert len({answer["export_group_id"] for answer in answers}) == 1
    assert sorted(answer["is_duplicate"] for answer in answers) == [False] + [True] * 19
    assert await _value(world, "select count(*) from export_group") == 1
    assert await _value(world, "select count(*) from payload_pack") == 2
    assert await _value(world, "select count(*) from work_item") == 2


async def test_once_a_group_is_finished_the_next_request_makes_another(world: World) -> None:
    batch_id = (await world.minted(3))["mint_batch_id"]
    first = await world.rpc("request_payload_packs", mint_batch_id=batch_id)
    await _execute(world, "update export_group set status = 'failed'")
    second = await world.rpc("request_payload_packs", mint_batch_id=batch_id)
    assert second["is_duplicate"] is False
    assert second["export_group_id"] != first["export_group_id"]


@pytest.mark.parametrize("status", ["exported", "printed", "applied"])
async def test_a_batch_that_went_on_is_exported_again(world: World, status: str) -> None:
    batch_id = (await world.minted(3))["mint_batch_id"]
    await _execute(world, "update mint_batch set status = $1", status)
    assert (await world.rpc("request_payload_packs", mint_batch_id=batch_id))["ok"] is True


async def test_a_batch_that_is_not_minted_is_refused(world: World) -> None:
    product_id = await world.product()
    batch_id = (await world.submit(product_id, 30))["mint_batch_id"]
    asked = "request_payload_packs"
    assert await blocked_by(world.rpc(asked, mint_batch_id=batch_id)) == ["BATCH_NOT_MINTED"]
    await world.rpc("process_mint_job_batch", "service", batch_size=10)
    assert await blocked_by(world.rpc(asked, mint_batch_id=batch_id)) == ["BATCH_NOT_MINTED"]
    assert await _value(world, "select count(*) from export_group") == 0
    await world.run()
    assert (await world.rpc(asked, mint_batch_id=batch_id))["ok"] is True


async def test_a_voided_batch_is_refused(world: World) -> None:
    batch_id = (await world.minted(3))["mint_batch_id"]
    await _execute(world, "update mint_batch set status = 'voided', voided_at = now()")
    reasons = await blocked_by(world.rpc("request_payload_packs", mint_batch_id=batch_id))
    assert reasons == ["BATCH_VOIDED"]
    assert await _value(world, "select count(*) from export_group") == 0


async def test_a_format_that_does_not_fit_the_batch_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = replace(FORMATS["csv"], name="tags", identity_modes=frozenset({"batch"}))
    monkeypatch.setitem(FORMATS, "tags", tags)
    batch_id = (await world.minted(3))["mint_batch_id"]
    asked = world.rpc("request_payload_packs", mint_batch_id=batch_id, format="tags")
    assert await blocked_by(asked) == ["FORMAT_NOT_APPLICABLE"]


async def test_each_format_and_profile_has_a_group_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = replace(FORMATS["csv"], name="sheet")
    monkeypatch.setitem(FORMATS, "sheet", sheet)
    batch_id = (await world.minted(3))["mint_batch_id"]
    groups = []
    for asked in (
        {},
        {"format": "sheet"},
        {"format": "sheet", "profile": "bartender"},
        {"format": "sheet", "profile": "nicelabel"},
    ):
        for _ in range(2):
            answer = await world.rpc("request_payload_packs", mint_batch_id=batch_id, **asked)
            groups.append(answer["export_group_id"])
    assert groups[::2] == groups[1::2]
    assert len(set(groups)) == 4


async def test_an_unknown_format_is_named_with_those_there_are(world: World) -> None:
    batch_id = (await world.minted(1))["mint_batch_id"]
    problems = await bad_arguments(
        world.rpc("request_payload_packs", mint_batch_id=batch_id, format="CSV")
    )
    assert list(problems) == ["_format"]
    assert "csv" in problems["_format"]


async def test_a_profile_and_options_that_the_format_does_not_have_are_named_together(
    world: World,
) -> None:
    batch_id = (await world.minted(1))["mint_batch_id"]
    problems = await bad_arguments(
        world.rpc(
            "request_payload_packs", mint_batch_id=batch_id, profile="zebra", options={"a": 1}
        )
    )
    assert set(problems) == {"_profile", "_options.a"}
    for name in PROFILES:
        assert name in problems["_profile"]
    assert "has no options" in problems["_options.a"]
    answer = await world.rpc("request_payload_packs", mint_batch_id=batch_id, options={})
    assert answer["ok"] is True


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mint_batch_id": None}, {"_mint_batch_id"}),
        ({"mint_batch_id": "x"}, {"_mint_batch_id"}),
        ({"format": ""}, {"_format"}),
        ({"format": 1}, {"_format"}),
        ({"format": "x" * 65}, {"_format"}),
        ({"profile": ""}, {"_profile"}),
        ({"options": []}, {"_options"}),
        ({"options": "x", "profile": 1, "colour": "red"}, {"_options", "_profile", "_colour"}),
    ],
)
async def test_bad_arguments_are_all_named(
    world: World, changes: dict[str, object], named: set[str]
) -> None:
    arguments: dict[str, object] = {"mint_batch_id": uuid4()} | changes
    assert set(await bad_arguments(world.rpc("request_payload_packs", **arguments))) == named


async def test_an_unknown_batch_and_another_brands_are_refused_alike(world: World) -> None:
    batch_id = (await world.minted(1))["mint_batch_id"]
    errors = [
        await refused_with(
            SUBJECT_NOT_FOUND, world.rpc("request_payload_packs", caller, mint_batch_id=asked)
        )
        for caller, asked in (("owner", uuid4()), ("stranger", batch_id))
    ]
    assert errors[0].message == errors[1].message == "Invalid input: mint batch not found"


async def test_only_owner_admin_and_service_may_ask(world: World) -> None:
    batch_id = (await world.minted(1))["mint_batch_id"]
    for caller in ("viewer", "editor", "nobody"):
        await refused_with(
            FORBIDDEN, world.rpc("request_payload_packs", caller, mint_batch_id=batch_id)
        )
    await refused_with(
        FORBIDDEN,
        world.rpc(
            "request_payload_packs",
            "stranger",
            brand_id=str(world.brand_id),
            mint_batch_id=batch_id,
        ),
    )
    await refused_with(
        NOT_AUTHENTICATED, world.rpc("request_payload_packs", "anonymous", mint_batch_id=batch_id)
    )
    assert await _value(world, "select count(*) from export_group") == 0
    for caller in ("owner", "admin", "service"):
        assert (await world.rpc("request_payload_packs", caller, mint_batch_id=batch_id))["ok"]
