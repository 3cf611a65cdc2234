"""GS1's conformance list for resolvers 1.2, statement by statement, at GTIN, GTIN + lot, GTIN + serial.

The statements are numbered as in `Conformance1_2.txt`. 4 and 5 are of compressed URIs, which are not read;
17 does not apply: no prefix is handed on to another resolver. 2 is in `test_behind_tls`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import pytest
import pytest_asyncio

from tests.resolver.desk import BASE_URL, Desk
from tests.support.world import GTIN_TABLE

VECTORS = Path(__file__).parents[1] / "vectors"
STATEMENTS = (VECTORS / "gs1-resolver" / "Conformance1_2.txt").read_text("utf-8").splitlines()
LINKSET_SCHEMA = json.loads(
    (VECTORS / "gs1-linkset" / "gs1-linkset-schema.json").read_text("utf-8")
)
DESCRIPTION_SCHEMA = json.loads(
    (VECTORS / "gs1-resolver" / "description-file-schema-1.2.0.json").read_text("utf-8")
)
LEVELS = ("gtin", "lot", "serial")
GTIN14 = GTIN_TABLE.zfill(14)
VOC = "https://ref.gs1.org/voc/"
HOME = "https://brand.example/oak"
MANUAL = "https://brand.example/oak/manual?v=2#start"
MANUAL_DE = "https://brand.example/de/oak/manual"


@dataclass(frozen=True)
class Stage:
    """A product with links, and a path that names it at each level."""

    desk: Desk
    paths: dict[str, str]


@pytest_asyncio.fixture
async def stage(desk: Desk) -> Stage:
    world = desk.world
    product_id = await world.product(gtin=GTIN_TABLE)
    for link in (
        {"link_type": "gs1:pip", "href": HOME, "title": "Oak table", "is_default": True},
        {"link_type": "gs1:instructions", "href": MANUAL, "title": "Manual", "hreflang": "en"},
        {
            "link_type": "gs1:instructions",
            "href": MANUAL_DE,
            "title": "Anleitung",
            "hreflang": "de",
        },
    ):
        await world.rpc("set_product_link", "admin", product_id=product_id, **link)
    serial = await world.submit(product_id, 2)
    await world.run(serial["mint_job_id"])
    lots = [{"lot_code": "L/1", "qty": 2}]
    in_lots = await world.submit(product_id, 2, identity_mode="batch", lots=lots)
    await world.run(in_lots["mint_job_id"])
    return Stage(
        desk,
        {
            "gtin": f"/01/{GTIN14}",
            "lot": f"/01/{GTIN14}/10/L%2F1",
            "serial": (await desk.urls(serial["mint_batch_id"]))[0],
        },
    )


def _anchors(path: str) -> list[str]:
    first, _, rest = path.removeprefix("/01/").partition("/")
    return [f"{BASE_URL}/01/{first}"] + ([f"{BASE_URL}{path}"] if rest else [])


async def _linkset(stage: Stage, level: str) -> dict[str, Any]:
    async with stage.desk.phone() as phone:
        answer = await phone.get(f"{stage.paths[level]}?linkType=linkset")
    assert answer.status_code == 200
    linkset: dict[str, Any] = answer.json()
    return linkset


def test_the_list_is_the_one_that_these_tests_are_numbered_by() -> None:
    assert len(STATEMENTS) == 18
    assert "GET, HEAD and OPTIONS" in STATEMENTS[0]
    assert "trailing slashes" in STATEMENTS[17]


@pytest.mark.parametrize("level", LEVELS)
async def test_1_get_head_and_options_are_answered(stage: Stage, level: str) -> None:
    async with stage.desk.phone() as phone:
        statuses = [
            (await phone.request(method, stage.paths[level])).status_code
            for method in ("GET", "HEAD", "OPTIONS")
        ]
    assert statuses == [307, 307, 204]


@pytest.mark.parametrize("level", LEVELS)
async def test_3_every_origin_may_ask(stage: Stage, level: str) -> None:
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    async with stage.desk.phone() as phone:
        answers = [
            await phone.get(stage.paths[level], headers={"Origin": "https://app.example"}),
            await phone.options(stage.paths[level], headers=preflight),
            await phone.get(f"{stage.paths[level]}?linkType=linkset"),
        ]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "*"
        for method in ("GET", "HEAD", "OPTIONS"):
            assert method in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize("level", LEVELS)
async def test_6_and_7_a_uri_with_a_fault_is_400_and_an_error_never_200(
    stage: Stage, level: str
) -> None:
    path = stage.paths[level]
    wrong_digit = path.replace(GTIN14, GTIN14[:-1] + str((int(GTIN14[-1]) + 1) % 10))
    async with stage.desk.phone() as phone:
        for faulty in (f"{path}/foo", wrong_digit, path.replace("/01/", "/gtin/"), f"{path}?01=1"):
            for query in ("", "linkType=linkset"):
                joint = "&" if "?" in faulty else "?"
                assert (await phone.get(f"{faulty}{joint}{query}")).status_code == 400
        missing = await phone.get("/01/09506000134376?linkType=linkset")
    assert missing.status_code == 404


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("asked_by", ["linkset", "all", "accept"])
async def test_8_all_links_of_every_level_are_listed_in_a_valid_linkset(
    stage: Stage, level: str, asked_by: str
) -> None:
    path = stage.paths[level]
    accept = {"Accept": "application/linkset+json"}
    async with stage.desk.phone() as phone:
        if asked_by == "accept":
            answer = await phone.get(path, headers=accept)
        else:
            answer = await phone.get(f"{path}?linkType={asked_by}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/linkset+json"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["vary"] == "Accept, Accept-Language"
    assert 'rel="http://www.w3.org/ns/json-ld#context"' in answer.headers["link"]
    linkset = answer.json()
    jsonschema.validate(linkset, LINKSET_SCHEMA)
    contexts = linkset["linkset"]
    assert [context["anchor"] for context in contexts] == _anchors(path)
    assert {link["href"] for link in contexts[0][f"{VOC}instructions"]} == {MANUAL, MANUAL_DE}
    assert await stage.desk.outcomes() == []


async def test_8_a_path_with_lot_and_serial_has_a_context_of_each_level(stage: Stage) -> None:
    serial = stage.paths["serial"].rpartition("/")[2]
    path = f"/01/{GTIN14}/10/L%2F1/21/{serial}"
    async with stage.desk.phone() as phone:
        answer = await phone.get(f"{path}?linkType=linkset")
        plain = await phone.get(path)
    linkset = answer.json()
    jsonschema.validate(linkset, LINKSET_SCHEMA)
    anchors = [f"/01/{GTIN14}", f"/01/{GTIN14}/10/L%2F1", path]
    assert [context["anchor"] for context in linkset["linkset"]] == [BASE_URL + a for a in anchors]
    for context in linkset["linkset"]:
        assert context[f"{VOC}defaultLink"] == [{"href": HOME, "title": "Oak table"}]
    assert f"{VOC}instructions" in linkset["linkset"][0]
    assert (plain.status_code, plain.headers["location"]) == (307, HOME)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("query", ["", "?linkType=linkset", "?linkType=all", "?linkType=gs1:pip"])
async def test_7_nothing_that_is_an_error_is_answered_200(
    stage: Stage, level: str, query: str
) -> None:
    path = stage.paths[level]
    unknown = {
        "gtin": "/01/09506000134376",
        "lot": "/01/09506000134376/10/L%2F1",
        "serial": f"/01/{GTIN14}/21/NOT-ISSUED",
    }
    bot = {"User-Agent": "Googlebot/2.1"}
    async with stage.desk.phone() as phone:
        answers = {
            "not issued": await phone.get(unknown[level] + query),
            "not issued, to a bot": await phone.get(unknown[level] + query, headers=bot),
            "of no brand": await phone.get(path + query, headers={"Host": "other.example"}),
            "a method that is none of ours": await phone.post(path + query),
            "another key": await phone.get(f"/00/106141412345678908{query}"),
            "a bad escape": await phone.get(f"{path}/%GG{query}"),
            "no such type": await phone.get(f"{path}?linkType=gs1:nosuchtype"),
        }
        if level == "serial":
            [unit] = [
                unit["id"]
                for unit in (await stage.desk.world.rpc("list_mint_units", limit=200))["units"]
                if unit["resolver_url"].endswith(path)
            ]
            await stage.desk.revoke(unit)
            answers["revoked"] = await phone.get(path + query)
    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert set(statuses.values()) <= {400, 404, 405, 410}, statuses
    assert statuses.get("revoked", 410) == 410


@pytest.mark.parametrize("level", LEVELS)
async def test_9_the_linkset_is_named_in_a_header_of_every_answer(stage: Stage, level: str) -> None:
    path = stage.paths[level]
    async with stage.desk.phone() as phone:
        redirected = await phone.get(path)
        others = [await phone.options(path), await phone.head(path), await phone.get("/01/123")]
    expected = (
        f'<{BASE_URL}{path}?linkType=linkset>; rel="linkset"; type="application/linkset+json"'
    )
    assert redirected.headers["link"] == expected
    assert all('rel="linkset"' in answer.headers["link"] for answer in others)


@pytest.mark.parametrize("level", LEVELS)
async def test_10_and_12_one_link_is_the_default_and_answers_a_plain_request(
    stage: Stage, level: str
) -> None:
    linkset = await _linkset(stage, level)
    async with stage.desk.phone() as phone:
        answer = await phone.get(stage.paths[level])
        asked = await phone.get(f"{stage.paths[level]}?linkType=gs1:defaultLink")
    for context in linkset["linkset"]:
        assert context[f"{VOC}defaultLink"] == [{"href": HOME, "title": "Oak table"}]
    assert answer.headers["location"] == asked.headers["location"] == HOME


@pytest.mark.parametrize("level", LEVELS)
async def test_11_every_link_has_its_target_type_and_title(stage: Stage, level: str) -> None:
    linkset = await _linkset(stage, level)
    for context in linkset["linkset"]:
        for name, links in context.items():
            if name not in {"anchor", "itemDescription"}:
                assert name.startswith(VOC)
                assert all(link["href"] and link["title"] for link in links)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("spelling", ["gs1:", "https://gs1.org/voc/", VOC])
async def test_13_the_link_type_asked_for_is_where_it_leads(
    stage: Stage, level: str, spelling: str
) -> None:
    path = f"{stage.paths[level]}?linkType={spelling}instructions"
    async with stage.desk.phone() as phone:
        german = await phone.get(path, headers={"Accept-Language": "de-AT, en;q=0.5"})
        english = await phone.get(path, headers={"Accept-Language": "en"})
        missing = await phone.get(f"{stage.paths[level]}?linkType={spelling}nosuchtype")
    assert (german.status_code, german.headers["location"]) == (307, MANUAL_DE)
    assert (english.status_code, english.headers["location"]) == (307, MANUAL)
    assert missing.status_code == 404


@pytest.mark.parametrize("level", LEVELS)
async def test_14_all_pairs_are_passed_on(stage: Stage, level: str) -> None:
    path = stage.paths[level]
    english = {"Accept-Language": "en"}
    async with stage.desk.phone() as phone:
        plain = await phone.get(f"{path}?17=271231&a=b&x")
        typed = await phone.get(f"{path}?a=b&linkType=gs1:instructions&x=1", headers=english)
        odd = "a=%C3%A4%26&b=x%20y+z&b=2&%5Bc%5D=[1]&d=/?:@!$'()*,;~&e==&=f&%F0%9F%8C%B3=tree"
        kept = await phone.get(f"{path}?{odd}")
        raw = httpx2.URL(f"{BASE_URL}{path}").copy_with(raw_path=f"{path}?g=a|b{{c}}".encode())
        escaped = await phone.get(raw)
    assert plain.headers["location"] == f"{HOME}?17=271231&a=b&x"
    assert kept.headers["location"] == f"{HOME}?{odd}"
    assert escaped.headers["location"] == f"{HOME}?g=a%7Cb%7Bc%7D"
    assert typed.headers["location"] == "https://brand.example/oak/manual?v=2&a=b&x=1#start"


async def test_15_and_16_the_description_file_is_valid_and_names_the_vocabulary(desk: Desk) -> None:
    async with desk.phone() as phone:
        answer = await phone.get("/.well-known/gs1resolver", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "public, max-age=3600"
    description = answer.json()
    jsonschema.validate(description, DESCRIPTION_SCHEMA)
    assert description["resolverRoot"] == BASE_URL
    assert {"namespace": VOC, "prefix": "gs1:"} in description["supportedLinkType"]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("query", ["", "?linkType=gs1:instructions", "?linkType=linkset"])
async def test_18_a_slash_at_the_end_changes_nothing(stage: Stage, level: str, query: str) -> None:
    path = stage.paths[level]
    async with stage.desk.phone() as phone:
        phone.headers["Accept-Language"] = "de"
        without, with_slash = await phone.get(path + query), await phone.get(f"{path}/{query}")
    assert with_slash.status_code == without.status_code
    assert with_slash.headers == without.headers
    assert with_slash.content == without.content
