"""Linksets of products drawn at random (from a seed), judged by GS1's schema; which refuses what is wrong."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mintage.rules.digital_link import lot_path
from mintage.rules.gs1 import check_digit
from mintage.rules.link_types import DEFAULT_LINK, link_types
from tests.resolver.desk import BASE_URL, Desk
from tests.resolver.test_conformance import LINKSET_SCHEMA, VOC

EXAMPLES = Path(__file__).parents[1] / "vectors" / "gs1-linkset"
PRODUCTS = 100
TYPES = sorted(curie for curie, each in link_types().items() if not each.is_deprecated)
LANGUAGES = (None, "en", "de-AT", "zh-Hans", "gsw", "es-419", "pt-BR")
MEDIA_TYPES = (None, "text/html", "application/pdf", "application/vc+ld+json", "image/svg+xml")
CONTEXTS = (None, None, "DE", "eu:battery-2027", "AT")
NAMES = (
    "Tisch „Eiche“",
    'Table "1"',
    "木のテーブル",
    "Стол & стул",
    "<b>Table</b>",
    "Tavolo 'lungo'",
)
LOTS = ("L/1", "2026-W46", "50%2F", "LOT_(7)", "x&y;z")


@pytest.mark.parametrize(
    ("name", "is_valid"),
    [
        ("valid-gs1", True),
        ("invalid-gs1", False),
        ("invalid-basic", False),
        # Of a list of links only, without what GS1 asks for besides.
        ("valid-basic", False),
    ],
)
def test_the_schema_tells_gs1s_own_examples_apart(name: str, is_valid: bool) -> None:
    example = json.loads((EXAMPLES / f"{name}-example.json").read_text("utf-8"))
    judge = jsonschema.Draft202012Validator(LINKSET_SCHEMA)
    assert judge.is_valid(example) == is_valid


@pytest.mark.parametrize("seed", [20261130])
@pytest.mark.long
async def test_linksets_of_a_hundred_random_products_validate_at_every_level(
    desk: Desk, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - a test's
    judge = jsonschema.Draft202012Validator(LINKSET_SCHEMA)
    levels_seen = 0
    for number in range(PRODUCTS):
        paths = await _random_product(desk, draw, number)
        async with desk.phone(f"198.51.100.{number}") as phone:
            for place, path in enumerate(paths):
                asked = draw.choice(["?linkType=linkset", "?linkType=all", "/?linkType=linkset"])
                answer = await phone.get(path + asked)
                assert answer.status_code == 200, (path, answer.text)
                linkset = answer.json()
                judge.validate(linkset)
                contexts: list[dict[str, Any]] = linkset["linkset"]
                anchors = [BASE_URL + paths[0]] + ([BASE_URL + path] if place else [])
                assert [context["anchor"] for context in contexts] == anchors
                assert all(len(context[f"{VOC}defaultLink"]) == 1 for context in contexts)
                levels_seen += 1
    assert levels_seen == 3 * PRODUCTS
    assert await desk.outcomes() == []


async def _random_product(desk: Desk, draw: random.Random, number: int) -> list[str]:
    """A product with links, and its paths at GTIN, lot and serial level."""
    world = desk.world
    payload = f"0950600{number:06}"
    gtin = payload + check_digit(payload)
    product_id = await world.product(name=f"{draw.choice(NAMES)} {number}", gtin=gtin)
    default_at = draw.randrange(8)
    for place in range(draw.randrange(7)):
        link_type = draw.choice(TYPES)
        await world.rpc(
            "set_product_link",
            product_id=product_id,
            link_type="gs1:pip" if link_type == DEFAULT_LINK else link_type,
            href=f"https://brand.example/{number}/{place}?a=%C3%A4&b[]=1#x",
            title=f"{draw.choice(NAMES)} {place}",
            hreflang=draw.choice(LANGUAGES),
            media_type=draw.choice(MEDIA_TYPES),
            context=draw.choice(CONTEXTS),
            is_default=place == default_at,
        )
    minted = await world.submit(product_id, 1)
    await world.run(minted["mint_job_id"])
    lots = [{"lot_code": draw.choice(LOTS), "qty": 1}]
    in_lots = await world.submit(product_id, 1, identity_mode="batch", lots=lots)
    await world.run(in_lots["mint_job_id"])
    [serial_path] = await desk.urls(minted["mint_batch_id"])
    [lot] = await desk.fetch(
        "select lot_code from mint_lot where mint_batch_id = $1", in_lots["mint_batch_id"]
    )
    return [f"/01/{gtin}", lot_path(gtin, lot["lot_code"]), serial_path]
