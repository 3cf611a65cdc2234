"""set_product_link: links by type, one default at most, https alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import FORBIDDEN, SUBJECT_NOT_FOUND
from mintage.operations.product_links import LINKS_MAX
from mintage.rules.link_types import link_types
from tests.support.catalogue import HREF, link_of
from tests.support.minting import execute, rows, value
from tests.support.refusals import (
    bad_arguments,
    blocked_by,
    payloads,
    raced,
    refused_with,
    same_bytes,
)
from tests.support.world import World

RPC = "set_product_link"
KEYS = [
    "id",
    "product_id",
    "link_type",
    "href",
    "title",
    "hreflang",
    "media_type",
    "context",
    "is_default",
    "created_at",
    "updated_at",
]
LINK = {"link_type": "gs1:pip", "href": HREF, "title": "Oak table"}


async def _defaults(world: World, product_id: UUID) -> list[UUID]:
    found = await rows(
        world, "select id from product_link where product_id = $1 and is_default", product_id
    )
    return [row["id"] for row in found]


async def _link_events(world: World) -> list[dict[str, Any]]:
    found = await payloads(world, "settings_changed")
    return [payload for payload in found if payload["subject"] == "product_link"]


async def test_a_link_is_told_with_all_its_keys(world: World) -> None:
    product_id = await world.product()
    answer = await world.rpc(RPC, product_id=product_id, **LINK)
    assert list(answer) == ["ok", "link"]
    link = answer["link"]
    assert list(link) == KEYS
    assert {key: link[key] for key in KEYS[1:9]} == {
        "product_id": product_id,
        **LINK,
        "hreflang": None,
        "media_type": None,
        "context": None,
        "is_default": False,
    }
    assert link["created_at"] == link["updated_at"]


async def test_everything_given_is_kept_as_it_is(world: World) -> None:
    product_id = await world.product()
    given = {
        "link_type": "gs1:dpp",
        "href": "https://acme.example:8443/a/b;c?d=%C3%A4&e=[1]#f",
        "title": " Produktpass “Eiche” ",
        "hreflang": "de-Latn-DE-1996-x-acme",
        "media_type": "application/ld+json",
        "context": "eu:battery-2027",
        "is_default": True,
    }
    link = await link_of(world, product_id, **given)
    assert {name: link[name] for name in given} == given


async def test_every_link_type_of_the_vocabulary_but_the_default_is_taken(world: World) -> None:
    product_id = await world.product()
    for curie in link_types():
        call = world.rpc(RPC, product_id=product_id, **LINK | {"link_type": curie})
        if curie == "gs1:defaultLink":
            assert "_is_default" in (await bad_arguments(call))["_link_type"]
        else:
            assert (await call)["link"]["link_type"] == curie


async def test_a_new_default_takes_the_old_ones_place(world: World) -> None:
    product_id, other = await world.product(), await world.product()
    first = await link_of(world, product_id, is_default=True)
    kept = await link_of(world, other, is_default=True)
    second = await link_of(world, product_id, is_default=True)
    assert await _defaults(world, product_id) == [second["id"]]
    assert await _defaults(world, other) == [kept["id"]]
    assert (await _link_events(world))[0]["previous_default_id"] == str(first["id"])
    links = (await world.rpc("list_product_links", product_id=product_id))["links"]
    old = next(link for link in links if link["id"] == first["id"])
    assert old["updated_at"] == second["created_at"]


async def test_defaults_set_at_once_leave_one(world: World) -> None:
    product_id = await world.product()
    answers, errors = await raced(
        *(world.rpc(RPC, product_id=product_id, is_default=True, **LINK) for _ in range(12))
    )
    assert (len(answers), errors) == (12, [])
    assert len(await _defaults(world, product_id)) == 1


async def test_a_link_is_changed_by_its_id_to_what_is_given(world: World) -> None:
    product_id = await world.product()
    before = await link_of(
        world, product_id, hreflang="en", media_type="text/html", context="DE", is_default=True
    )
    after = await link_of(world, product_id, link_id=before["id"], title="Oak desk")
    assert after == before | {
        "title": "Oak desk",
        "hreflang": None,
        "media_type": None,
        "context": None,
        "is_default": False,
        "updated_at": after["updated_at"],
    }
    assert after["updated_at"] > before["updated_at"]
    links = (await world.rpc("list_product_links", product_id=product_id))["links"]
    assert links == [after]


async def test_the_same_values_again_change_nothing(world: World) -> None:
    product_id = await world.product()
    link = await link_of(world, product_id, is_default=True)
    events = len(await payloads(world, "settings_changed"))
    again = await link_of(world, product_id, link_id=link["id"], is_default=True)
    assert again == link
    assert len(await payloads(world, "settings_changed")) == events


async def test_a_link_of_another_product_or_brand_is_unknown(world: World) -> None:
    product_id = await world.product()
    elsewhere = await link_of(world, await world.product())
    foreign = await link_of(world, await world.product("stranger"), caller="stranger")
    errors = [
        await refused_with(
            SUBJECT_NOT_FOUND, world.rpc(RPC, product_id=product_id, link_id=link_id, **LINK)
        )
        for link_id in (uuid4(), elsewhere["id"], foreign["id"])
    ]
    assert all(same_bytes(errors[0], error) for error in errors)


async def test_an_unknown_product_and_another_brands_are_the_same(world: World) -> None:
    foreign = await world.product("stranger")
    unknown = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, product_id=uuid4(), **LINK))
    other = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, product_id=foreign, **LINK))
    assert same_bytes(unknown, other)
    assert await value(world, "select count(*) from product_link") == 0


async def test_a_product_has_two_hundred_links_at_most(world: World) -> None:
    product_id = await world.product()
    await execute(
        world,
        "insert into product_link "
        "(brand_id, id, product_id, link_type, href, title, created_at, updated_at) "
        "select $1, gen_random_uuid(), $2, 'gs1:pip', 'https://a.example/', 'a', now(), now() "
        "from generate_series(2, $3::integer)",
        world.brand_id,
        product_id,
        LINKS_MAX,
    )
    last = await link_of(world, product_id)
    call = world.rpc(RPC, product_id=product_id, **LINK)
    assert await blocked_by(call) == ["TOO_MANY_LINKS"]
    # Changing one of them, and a link of another product, is no further link.
    assert (await link_of(world, product_id, link_id=last["id"], title="b"))["title"] == "b"
    await link_of(world, await world.product())
    product = (await world.rpc("get_product", product_id=product_id))["product"]
    assert len(product["links"]) == LINKS_MAX


async def test_an_event_tells_what_was_set_and_what_it_was_before(world: World) -> None:
    product_id = await world.product()
    long = "https://acme.example/" + "a" * 500
    link = await link_of(world, product_id, href=long)
    await link_of(world, product_id, link_id=link["id"], is_default=True)
    updated, created = await _link_events(world)
    common = {
        "subject": "product_link",
        "product_link_id": str(link["id"]),
        "product_id": str(product_id),
        "previous_default_id": None,
    }
    assert created == common | {
        "change": "created",
        "changed": {
            "link_type": {"from": None, "to": "gs1:pip"},
            "href": {"from": None, "to": long[:200] + "…"},
            "title": {"from": None, "to": "Oak table"},
            "is_default": {"from": None, "to": False},
        },
    }
    assert updated == common | {
        "change": "updated",
        "changed": {
            "href": {"from": long[:200] + "…", "to": HREF},
            "is_default": {"from": False, "to": True},
        },
    }


async def test_a_product_is_touched_by_its_links(world: World) -> None:
    product_id = await world.product()
    before = (await world.rpc("get_product", product_id=product_id))["product"]["updated_at"]
    await link_of(world, product_id)
    after = (await world.rpc("get_product", product_id=product_id))["product"]["updated_at"]
    assert after > before


@pytest.mark.parametrize("caller", ["owner", "admin", "editor", "service"])
async def test_those_who_write_products_write_their_links(world: World, caller: str) -> None:
    assert await link_of(world, await world.product(), caller=caller)


@pytest.mark.parametrize("caller", ["viewer", "stranger", "nobody"])
async def test_others_set_no_link(world: World, caller: str) -> None:
    product_id = await world.product()
    call = world.rpc(RPC, caller, brand_id=world.brand_id, product_id=product_id, **LINK)
    await refused_with(FORBIDDEN, call)


@pytest.mark.parametrize(
    "href",
    [
        "http://a.example/",
        "javascript:alert(1)",
        "//a.example/",
        "/a",
        "https://user@a.example/",
        "https://a.example/\r\nset-cookie: b=c",
        "https://a.example\\@evil.example/",
        "https://a.example/" + "a" * 1983,
    ],
)
async def test_a_link_leads_to_an_absolute_https_url_or_is_refused(world: World, href: str) -> None:
    product_id = await world.product()
    given = LINK | {"href": href}
    assert list(await bad_arguments(world.rpc(RPC, product_id=product_id, **given))) == ["_href"]


async def test_every_bad_argument_is_named_at_once(world: World) -> None:
    call = world.rpc(
        RPC,
        product_id="x",
        link_type="pip",
        href="http://a.example/",
        title="",
        hreflang="en_GB",
        media_type="text",
        context="a b",
        is_default=1,
        link_id="y",
    )
    problems = await bad_arguments(call)
    assert set(problems) == {
        "_product_id",
        "_link_type",
        "_href",
        "_title",
        "_hreflang",
        "_media_type",
        "_context",
        "_is_default",
        "_link_id",
    }
    assert "https://" in problems["_href"]
