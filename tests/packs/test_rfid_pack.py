"""The rfid format: what tags hold, read by two libraries that are not ours; what no tag can hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mintage.packs.context import PackContext, UnitFacts
from mintage.packs.rfid import RfidOptions, refuse_rfid, write_rfid
from mintage.packs.rows import UnitRow
from mintage.rules.serials import serial_chunk
from mintage.rules.sgtin import SERIAL_96_END, Scheme, parse_tag_hex, parse_uri
from mintage.rules.violation import RuleViolation
from tests.packs.building import GTIN, context, row, subject
from tests.packs.desk import Desk
from tests.packs.reading import columns_of
from tests.rules.epc_oracles import read_by_epcpy, read_by_pyepc
from tests.rules.randomness import seeded_bytes
from tests.support.refusals import bad_arguments, blocked_by

PREFIX = {"gcp_length": 7}


def written(rows: list[UnitRow], pack: PackContext) -> dict[str, list[str]]:
    return columns_of(b"".join(write_rfid(pack, rows)))


def facts(**changes: Any) -> UnitFacts:
    """Of a batch whose serials SGTIN-96 can hold."""
    plain = UnitFacts("https://id.example.com", 50, 12, 0, SERIAL_96_END - 1, None)
    return replace(plain, **changes)


def test_a_file_is_written_to_the_letter() -> None:
    unit = row(serial_number="32a/b", gtin="70614141123451", resolver_url="https://a.de/1")
    options = RfidOptions(filter_value=3)
    content = b"".join(write_rfid(context(gtin="70614141123451", options=options), [unit]))
    assert content == (
        b'"unit_id","epc_hex","tag_uri","pure_identity_uri","gtin","serial_number","resolver_url"\r\n'
        b'"01900000-0000-7000-8000-000000000000",'
        b'"3674257BF6B7A659B2C2BF100000000000000000000000000000",'
        b'"urn:epc:tag:sgtin-198:3.0614141.712345.32a%2Fb",'
        b'"urn:epc:id:sgtin:0614141.712345.32a%2Fb",'
        b'"70614141123451","32a/b","https://a.de/1"\r\n'
    )


@pytest.mark.parametrize("scheme", ["sgtin-198", "sgtin-96"])
def test_two_independent_libraries_read_the_units_of_a_whole_pack(scheme: Scheme) -> None:
    if scheme == "sgtin-198":
        chunk = serial_chunk("K7Q2M", 0, 10_000, 10_000, seeded_bytes(198))
        serials = [bytes(each).decode() for each in chunk]
    else:
        serials = [str(number * 27_487_790 + 3) for number in range(10_000)]
    rows = [row(no, serial_number=serial) for no, serial in enumerate(serials)]
    columns = written(rows, context(options=RfidOptions(scheme=scheme), unit_count=10_000))
    assert columns["serial_number"] == serials
    for index, serial in enumerate(serials):
        for read in (read_by_epcpy, read_by_pyepc):
            read_back = read(columns["epc_hex"][index], scheme, 1)
            assert (read_back.gtin, read_back.serial) == (GTIN, serial)
            assert read_back.tag_uri == columns["tag_uri"][index]
            assert read_back.pure_identity_uri == columns["pure_identity_uri"][index]


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"gtin": None}, ["FORMAT_NOT_APPLICABLE"]),
        ({"gcp_length": None}, ["GCP_LENGTH_MISSING"]),
        ({"gtin": None, "gcp_length": None}, ["FORMAT_NOT_APPLICABLE", "GCP_LENGTH_MISSING"]),
    ],
)
def test_what_a_tag_needs_is_asked_for_all_at_once(
    changes: dict[str, Any], codes: list[str]
) -> None:
    refusals = refuse_rfid(subject(options=RfidOptions(), **changes))
    assert [each.code for each in refusals] == codes


@pytest.mark.parametrize(
    ("unit_facts", "said"),
    [
        (facts(), None),
        (facts(numeric_max=SERIAL_96_END), str(SERIAL_96_END)),
        (facts(numeric_max=None, not_numeric_count=12, first_not_numeric="A1"), "12 serials"),
    ],
)
def test_ninety_six_bits_hold_numbers_below_two_to_the_thirty_eighth(
    unit_facts: UnitFacts, said: str | None
) -> None:
    options = RfidOptions(scheme="sgtin-96")
    refusals = refuse_rfid(subject(options=options, unit_facts=unit_facts))
    assert [each.code for each in refusals] == ([] if said is None else ["SERIAL_NOT_NUMERIC"])
    assert all((said or "") in each.message for each in refusals)


def test_a_unit_that_a_tag_cannot_hold_stops_the_pack() -> None:
    rows = [row(serial_number="A1")]
    with pytest.raises(RuleViolation, match="SGTIN-96"):
        written(rows, context(options=RfidOptions(scheme="sgtin-96")))
    for missing in ({"gtin": None}, {"gcp_length": None}):
        with pytest.raises(ValueError, match="company prefix"):
            written(rows, context(options=RfidOptions(), **missing))


async def test_every_tag_of_a_pack_holds_the_gtin_and_serial_of_its_unit(desk: Desk) -> None:
    await desk.world.rpc("update_brand_settings", patch=PREFIX)
    minted = await desk.world.minted(5)
    for name in ("csv", "rfid"):
        await desk.request(minted["mint_batch_id"], format=name)
    await desk.process_all()
    packs = {pack["format"]: pack for pack in await desk.packs()}
    rfid, plain = (
        columns_of(desk.folder.joinpath(packs[name]["storage_path"]).read_bytes())
        for name in ("rfid", "csv")
    )
    assert rfid["unit_id"] == plain["unit_id"]
    tags = [parse_tag_hex(text) for text in rfid["epc_hex"]]
    assert [tag.serial for tag in tags] == plain["serial_number"]
    assert [tag.item.gtin for tag in tags] == plain["gtin"]
    assert tags == [parse_uri(text) for text in rfid["tag_uri"]]


async def test_a_brand_is_told_that_its_company_prefix_is_missing(desk: Desk) -> None:
    batch_id = (await desk.world.minted(2))["mint_batch_id"]
    assert await blocked_by(desk.request(batch_id, format="rfid")) == ["GCP_LENGTH_MISSING"]
    await desk.world.rpc("update_brand_settings", patch=PREFIX)
    assert (await desk.request(batch_id, format="rfid"))["ok"] is True


async def test_batches_that_have_no_sgtin_are_refused(desk: Desk) -> None:
    await desk.world.rpc("update_brand_settings", patch=PREFIX)
    world = desk.world
    without_gtin = (await world.minted(2, gtin=None))["mint_batch_id"]
    assert await blocked_by(desk.request(without_gtin, format="rfid")) == ["FORMAT_NOT_APPLICABLE"]
    without_serials = (await world.minted(2, identity_mode="batch"))["mint_batch_id"]
    assert await blocked_by(desk.request(without_serials, format="rfid")) == [
        "FORMAT_NOT_APPLICABLE"
    ]


async def test_serials_are_looked_at_before_a_pack_of_short_tags_is_queued(desk: Desk) -> None:
    await desk.world.rpc("update_brand_settings", patch=PREFIX)
    short = {"format": "rfid", "options": {"scheme": "sgtin-96"}}
    product_id = await desk.world.product(gtin=GTIN)

    async def ask(serials: list[str] | None) -> dict[str, Any]:
        minted = await desk.world.submit(product_id, 2, serials=serials)
        await desk.world.run(minted["mint_job_id"])
        return await desk.request(minted["mint_batch_id"], **short)

    generated = await ask(None)
    assert [each["code"] for each in generated["blocking_reasons"]] == ["SERIAL_NOT_NUMERIC"]
    leading_zero = await ask(["1", "02"])
    assert "1 serials, such as 02" in leading_zero["blocking_reasons"][0]["message"]
    too_large = await ask(["2", str(SERIAL_96_END)])
    assert str(SERIAL_96_END) in too_large["blocking_reasons"][0]["message"]
    assert (await ask(["3", str(SERIAL_96_END - 1)]))["ok"] is True
    outcomes = await desk.process_all()
    assert [each.result for each in outcomes] == ["completed"]


async def test_options_that_are_none_are_named(desk: Desk) -> None:
    batch_id = (await desk.world.minted(1))["mint_batch_id"]
    options = {"scheme": "sgtin-64", "filter_value": 8, "company_prefix": "0614141"}
    named = await bad_arguments(desk.request(batch_id, format="rfid", options=options))
    assert set(named) == {
        "_options.scheme",
        "_options.filter_value",
        "_options.company_prefix",
    }
