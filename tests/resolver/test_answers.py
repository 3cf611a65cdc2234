"""What is answered for each code: the rows of RESOLVER's table."""

from __future__ import annotations

from uuid import uuid4

import biip
import pytest
from biip.gs1_digital_link_uris import GS1DigitalLinkURI

from tests.resolver.desk import BASE_URL, Desk
from tests.support.world import GTIN_TABLE

GTIN14 = GTIN_TABLE.zfill(14)
OTHER_GTIN = "9506000134369"


async def _batch(desk: Desk, mint_batch_id: object) -> dict[str, object]:
    answer = await desk.world.rpc("get_mint_batch_by_id", mint_batch_id=mint_batch_id)
    batch: dict[str, object] = answer["batch"]
    return batch


async def test_a_genuine_unit_is_redirected_to_its_products_page(desk: Desk) -> None:
    minted = await desk.world.minted(3)
    batch = await _batch(desk, minted["mint_batch_id"])
    paths = await desk.urls(minted["mint_batch_id"])
    async with desk.phone() as phone:
        answer = await phone.get(paths[0])
        page = await phone.get(answer.headers["location"])
    assert answer.status_code == 307
    assert answer.headers["location"].startswith(f"{BASE_URL}/p/{batch['product_id']}?")
    assert answer.headers["cache-control"] == "no-store"
    assert page.status_code == 200
    assert "Genuine, first scanned on 24 November 2026" in page.text


async def test_listed_urls_are_digital_links_of_gtin_and_serial_to_an_independent_reader(
    desk: Desk,
) -> None:
    minted = await desk.world.minted(2)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    for unit in listed["units"]:
        parsed = biip.parse(unit["resolver_url"]).gs1_digital_link_uri
        assert isinstance(parsed, GS1DigitalLinkURI)
        values = {element.ai.ai: element.value for element in parsed.element_strings}
        assert values == {"01": GTIN14, "21": unit["serial_number"]}
        async with desk.phone() as phone:
            answer = await phone.get(parsed.as_uri(domain="acme.example.com"))
        assert answer.status_code == 307


@pytest.mark.parametrize(
    "form", ["/01/{gtin}", "/01/{gtin}/", "/01/{gtin}/22/2A", "/01/{gtin}/10/NO-SUCH-LOT"]
)
@pytest.mark.parametrize("gtin", [GTIN_TABLE, GTIN14])
async def test_a_gtin_and_an_unknown_lot_lead_to_the_product(
    desk: Desk, form: str, gtin: str
) -> None:
    product_id = await desk.world.product(gtin=GTIN_TABLE)
    async with desk.phone() as phone:
        answer = await phone.get(form.format(gtin=gtin))
    assert (answer.status_code, answer.headers["location"]) == (307, f"{BASE_URL}/p/{product_id}")
    assert await desk.outcomes() == ["recorded"]


@pytest.mark.parametrize("gtin", ["96385074", "614141999996"])
async def test_short_gtins_are_padded(desk: Desk, gtin: str) -> None:
    product_id = await desk.world.product(gtin=gtin)
    async with desk.phone() as phone:
        answers = [await phone.get(f"/01/{form}") for form in (gtin, gtin.zfill(14))]
    assert [answer.headers.get("location") for answer in answers] == [
        f"{BASE_URL}/p/{product_id}"
    ] * 2


async def test_a_retired_gtin_goes_on_leading_to_its_product_until_another_has_it(
    desk: Desk,
) -> None:
    world = desk.world
    first = await world.product(gtin=GTIN_TABLE)
    await world.rpc(
        "set_product_identifier", product_id=first, identifier_type="gtin", raw_value=OTHER_GTIN
    )
    async with desk.phone() as phone:
        while_retired = await phone.get(f"/01/{GTIN14}")
        second = await world.product(gtin=GTIN_TABLE)
        while_anothers = await phone.get(f"/01/{GTIN14}")
    assert while_retired.headers["location"] == f"{BASE_URL}/p/{first}"
    assert while_anothers.headers["location"] == f"{BASE_URL}/p/{second}"


async def test_a_serial_answers_to_the_gtins_that_its_product_had_and_has(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    batch = await _batch(desk, minted["mint_batch_id"])
    [printed] = await desk.urls(minted["mint_batch_id"])
    await desk.world.rpc(
        "set_product_identifier",
        product_id=batch["product_id"],
        identifier_type="gtin",
        raw_value=OTHER_GTIN,
    )
    async with desk.phone() as phone:
        answers = [
            await phone.get(path)
            for path in (printed, printed.replace(GTIN14, OTHER_GTIN.zfill(14)))
        ]
    assert [answer.status_code for answer in answers] == [307, 307]


async def test_every_code_that_was_not_issued_gets_the_same_bytes(desk: Desk) -> None:
    world = desk.world
    minted = await world.minted(1)
    await world.product(gtin=OTHER_GTIN)
    [printed] = await desk.urls(minted["mint_batch_id"])
    serial = printed.rpartition("/")[2]
    wrong_check = serial[:-1] + ("0" if serial[-1] != "0" else "1")
    rivals = await world.product("stranger", gtin=OTHER_GTIN)
    submitted = await world.rpc(
        "submit_mint_request",
        "stranger",
        product_id=rivals,
        requested_quantity=1,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    await world.run(submitted["mint_job_id"])
    listed = await world.rpc(
        "list_mint_units", "stranger", mint_batch_id=submitted["mint_batch_id"]
    )
    theirs = listed["units"][0]
    codes = {
        "an unknown serial": f"/01/{GTIN14}/21/NEVER-ISSUED",
        "another brand's serial": theirs["resolver_url"].removeprefix("https://rival.example.com"),
        "another brand's unit": f"/mu/{theirs['id']}",
        "another brand's product": f"/p/{rivals}",
        "a serial under another product's GTIN": f"/01/{OTHER_GTIN.zfill(14)}/21/{serial}",
        "a wrong check character": f"/01/{GTIN14}/21/{wrong_check}",
        "an unknown GTIN": "/01/09506000134376",
        "another key of GS1": "/00/106141412345678908",
        "an unknown unit": f"/mu/{uuid4()}",
        "an unknown lot": f"/ml/{uuid4()}",
        "an unknown batch": f"/mb/{uuid4()}",
        "an unknown product": f"/p/{uuid4()}",
    }
    async with desk.phone() as phone:
        answers = {name: await phone.get(path) for name, path in codes.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(
        codes, 404
    )
    assert len({answer.content for answer in answers.values()}) == 1
    assert len({tuple(answer.headers.items()) for answer in answers.values()}) == 1
    assert "This code was not issued here" in answers["an unknown serial"].text
    assert await desk.outcomes() == []


async def test_a_wrong_check_character_is_refused_before_the_database_is_asked(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    [printed] = await desk.urls(minted["mint_batch_id"])
    wrong = printed[:-1] + ("0" if printed[-1] != "0" else "1")
    await desk.world.platform.database.close()
    async with desk.phone() as phone:
        assert (await phone.get(wrong)).status_code == 404
        away = await phone.get(printed)
    assert (away.status_code, away.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/01/9506000134353", "check digit"),
        ("/01/950600013435", "check digit"),
        ("/01/95060001343521234", "01"),
        ("/01/ABCDEFGHIJKLMN", "01"),
        (f"/01/{GTIN14}/21/AB%GG", "percent escape"),
        (f"/01/{GTIN14}/21/A%20B", "21"),
        (f"/01/{GTIN14}/21/A%C3%A9", "21"),
        (f"/01/{GTIN14}/21/{'A' * 21}", "21"),
        (f"/01/{GTIN14}//21/A", "order"),
        (f"/01/{GTIN14}/21/A/10/B", "order"),
        (f"/gtin/{GTIN14}", "key"),
        (f"/01/{GTIN14}?17=999999", "17"),
        ("/mu/not-an-id", "hexadecimal"),
        ("/p/123", "hexadecimal"),
    ],
)
async def test_what_is_no_code_is_400_and_says_what_is_wrong(
    desk: Desk, path: str, said: str
) -> None:
    await desk.world.product(gtin=GTIN_TABLE)
    async with desk.phone() as phone:
        answer = await phone.get(path)
    assert answer.status_code == 400
    assert said in answer.text
    assert await desk.outcomes() == []


async def test_a_path_that_is_no_code_at_all_is_404(desk: Desk) -> None:
    async with desk.phone() as phone:
        answers = [await phone.get(path) for path in ("/", "/favicon.ico", "/p", "/mu/a/b")]
    assert {answer.status_code for answer in answers} == {404}
    assert "not issued" not in answers[0].text


async def test_serials_with_reserved_characters_are_found_as_they_are_printed(desk: Desk) -> None:
    serials = ["A/B", "A%2FB", "A+B&C", "a?b=c", "x'(y)", "<i>"]
    minted = await desk.world.minted(len(serials), serials=serials)
    async with desk.phone() as phone:
        answers = [await phone.get(path) for path in await desk.urls(minted["mint_batch_id"])]
        case_changed = await phone.get(f"/01/{GTIN14}/21/A%3Fb=c")
    assert [answer.status_code for answer in answers] == [307] * len(serials)
    assert case_changed.status_code == 404
    assert await desk.outcomes() == ["activated"] * len(serials)


async def test_without_a_gtin_units_and_lots_are_found_by_id(desk: Desk) -> None:
    serial = await desk.world.minted(1, gtin=None)
    lots = [{"lot_code": "A", "qty": 2}]
    batch = await desk.world.minted(
        2, gtin=None, identity_mode="batch", lots=lots, activation_mode="active_at_mint"
    )
    [unit_path] = await desk.urls(serial["mint_batch_id"])
    lot_path = (await desk.urls(batch["mint_batch_id"]))[0]
    assert unit_path.startswith("/mu/")
    assert lot_path.startswith("/ml/")
    async with desk.phone() as phone:
        answers = [
            await phone.get(path)
            for path in (unit_path, unit_path.upper().replace("/MU/", "/mu/"), lot_path)
        ]
        by_batch = await phone.get(f"/mb/{batch['mint_batch_id']}")
    assert [answer.status_code for answer in (*answers, by_batch)] == [307] * 4
    assert await desk.outcomes() == ["activated", "already_active", "already_active", "recorded"]


async def test_revoked_units_and_voided_batches_are_gone(desk: Desk) -> None:
    minted = await desk.world.minted(2)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    first, second = listed["units"]
    await desk.revoke(first["id"])
    async with desk.phone() as phone:
        revoked = await phone.get(first["resolver_url"])
        good = await phone.get(second["resolver_url"])
        await desk.void(minted["mint_batch_id"])
        voided = [
            await phone.get(path)
            for path in (
                second["resolver_url"],
                f"/mu/{second['id']}",
                f"/mb/{minted['mint_batch_id']}",
            )
        ]
    assert good.status_code == 307
    assert {answer.status_code for answer in (revoked, *voided)} == {410}
    assert all("location" not in answer.headers for answer in (revoked, *voided))
    assert "This code has been withdrawn" in revoked.text
    assert await desk.outcomes() == ["activated"] + ["revoked"] * 4
    assert await desk.value("select sum(delta) from tally_delta where metric = 'scans'") == 1


async def test_a_products_page_shows_it_and_is_no_scan(desk: Desk) -> None:
    product_id = await desk.world.product(
        gtin=GTIN_TABLE,
        name="<b>Oak</b> & table",
        description="Solid oak.",
        image_url="https://cdn.example.com/oak.jpg?w=1&h=2",
    )
    async with desk.phone() as phone:
        page = await phone.get(f"/p/{product_id}")
    assert page.status_code == 200
    assert "&lt;b&gt;Oak&lt;/b&gt; &amp; table" in page.text
    assert "<b>" not in page.text
    assert GTIN_TABLE in page.text
    assert "Genuine" not in page.text
    assert "img-src https://cdn.example.com;" in page.headers["content-security-policy"]
    assert await desk.outcomes() == []
