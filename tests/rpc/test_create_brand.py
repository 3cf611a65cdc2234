"""create_brand: a brand, its first host and its first owner, by the service alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mintage.errors import CONFLICT, FORBIDDEN, NOT_AUTHENTICATED
from mintage.operations.call import Caller
from mintage.perform import Platform
from mintage.settings import Limits
from tests.support.refusals import bad_arguments, payloads, raced, refused_with
from tests.support.world import World


async def _create(world: World, caller: str = "service", **changes: object) -> dict[str, Any]:
    arguments = {"slug": "oak", "name": "Oak & Co", "owner_email": "anna@example.com"} | changes
    return await world.rpc("create_brand", caller, **arguments)


async def _inside(world: World, made: dict[str, Any]) -> World:
    """The world with the new brand as its brand and its owner as owner."""
    owner = Caller("user", made["owner_user_id"])
    return replace(world, brand_id=made["brand_id"], callers={**world.callers, "owner": owner})


async def _rows(world: World, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    rows = await world.platform.database.pool.fetch(statement, *arguments)
    return [tuple(row) for row in rows]


async def test_a_new_brand_has_an_owner_with_a_password_shown_once(world: World) -> None:
    made = await _create(world)
    assert list(made) == ["ok", "brand_id", "base_url", "owner_user_id", "password"]
    assert made["ok"] is True
    assert len(made["password"]) >= 20
    inside = await _inside(world, made)
    assert (await inside.rpc("list_my_brands"))["brands"] == [
        {"id": made["brand_id"], "slug": "oak", "name": "Oak & Co", "role": "owner"}
    ]
    assert (await inside.rpc("create_product", sku="A", name="a"))["ok"]


async def test_an_account_that_exists_becomes_the_owner(world: World) -> None:
    made = await _create(world, owner_email="Nobody@example.com")
    assert made["password"] is None
    assert made["owner_user_id"] == world.user_ids["nobody"]


async def test_its_host_is_verified_and_primary(world: World) -> None:
    made = await _create(world)
    rows = await _rows(
        world,
        "select host, base_url, is_primary, verified_at = created_at "
        "from brand_host where brand_id = $1",
        made["brand_id"],
    )
    assert rows == [("oak.localhost", "http://oak.localhost", True, True)]
    assert made["base_url"] == "http://oak.localhost"


async def test_its_host_is_under_the_platforms_resolver_domain(
    world: World, platform: Platform
) -> None:
    limits = Limits(resolver_base_url="https://{slug}.id.example.com:8443")
    elsewhere = world.with_platform(replace(platform, limits=limits))
    made = await _create(elsewhere)
    rows = await _rows(
        world, "select host, base_url from brand_host where brand_id = $1", made["brand_id"]
    )
    assert rows == [("oak.id.example.com", "https://oak.id.example.com:8443")]


async def test_what_happened_is_in_the_new_brands_record(world: World) -> None:
    made = await _create(world)
    inside = await _inside(world, made)
    assert await payloads(inside, "settings_changed") == [
        {"subject": "brand", "change": "created", "slug": "oak"}
    ]
    assert await payloads(inside, "member_changed") == [
        {"user_id": str(made["owner_user_id"]), "role": "owner", "previous_role": None}
    ]
    assert await payloads(world, "settings_changed") == []


async def test_a_slug_is_taken_once(world: World) -> None:
    error = await refused_with(CONFLICT, _create(world, slug="acme"))
    assert error.message == "Conflict: slug acme is taken"
    assert [each.argument for each in error.problems] == ["_slug"]
    assert await _rows(world, "select id from app_user where email_key = 'anna@example.com'") == []


async def test_a_slug_whose_host_is_another_brands_is_taken(world: World) -> None:
    await world.platform.database.pool.execute(
        "insert into brand_host (host, brand_id, base_url, created_at) "
        "values ('oak.localhost', $1, 'http://oak.localhost', now())",
        world.brand_id,
    )
    await refused_with(CONFLICT, _create(world))
    assert await _rows(world, "select id from brand where slug = 'oak'") == []


async def test_of_eight_creates_at_once_one_wins(world: World) -> None:
    answers, errors = await raced(*(_create(world, name=f"n{i}") for i in range(8)))
    assert len(answers) == 1
    assert {error.kind for error in errors} == {CONFLICT}


async def test_eight_brands_of_one_new_owner_at_once_make_one_account(world: World) -> None:
    answers, errors = await raced(*(_create(world, slug=f"oak-{i}") for i in range(8)))
    assert not errors
    assert len({answer["owner_user_id"] for answer in answers}) == 1
    assert sum(answer["password"] is not None for answer in answers) == 1


@pytest.mark.parametrize(
    "slug", ["", "Oak", "-oak", "oak-", "oak.example", "o" * 64, "öl", "oak\n"]
)
async def test_a_slug_is_a_label_of_a_host_name(world: World, slug: str) -> None:
    assert set(await bad_arguments(_create(world, slug=slug))) == {"_slug"}


async def test_every_bad_argument_is_named_at_once(world: World) -> None:
    problems = await bad_arguments(
        _create(world, slug=None, name="", owner_email="anna", brand_id=str(world.brand_id))
    )
    assert set(problems) == {"_slug", "_name", "_owner_email", "_brand_id"}


@pytest.mark.parametrize("caller", ["owner", "admin", "viewer", "stranger", "nobody"])
async def test_only_the_service_makes_brands(world: World, caller: str) -> None:
    await refused_with(FORBIDDEN, _create(world, caller))


async def test_an_anonymous_caller_makes_none(world: World) -> None:
    await refused_with(NOT_AUTHENTICATED, _create(world, "anonymous"))
