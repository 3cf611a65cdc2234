"""The nfc format: URLs as NDEF messages, and the chips that they fit."""

from __future__ import annotations

from typing import Any

import pytest

from mintage.packs.context import UnitFacts
from mintage.packs.nfc import NfcOptions, refuse_nfc, write_nfc
from mintage.rules.ndef import Chip
from tests.packs.building import context, row, subject
from tests.packs.desk import Desk
from tests.packs.reading import columns_of
from tests.rules.test_ndef import read_message

BASE = "https://id.example.com"


def facts(characters: int) -> UnitFacts:
    """Of a batch whose longest URL has that many characters."""
    return UnitFacts(BASE, characters, 16, 0, None, None)


def test_a_file_is_written_to_the_letter() -> None:
    url = "https://a.de/1"
    content = b"".join(write_nfc(context(options=NfcOptions()), [row(resolver_url=url)]))
    assert content == (
        b'"unit_id","resolver_url","ndef_hex","ndef_bytes","tag_bytes"\r\n'
        b'"01900000-0000-7000-8000-000000000000","https://a.de/1","D101075504612E64652F31","11","14"\r\n'
    )


@pytest.mark.parametrize(
    ("chip", "longest"),
    [
        # Characters of the longest https:// URL: what is free, without https:// (8) and what is around
        # it: header, two lengths, type and code (5), or 8 in a long record; TLV tag and terminator (2)
        # and its length (1 or 3); or NLEN (2).
        ("ntag213", 139 + 8 - 5 - 3),
        ("ntag215", 496 + 8 - 8 - 5),
        ("ntag216", 872 + 8 - 8 - 5),
        ("ntag424dna", 256 + 8 - 5 - 2),
    ],
)
def test_a_batch_fits_a_chip_up_to_its_last_byte(chip: Chip, longest: int) -> None:
    options = NfcOptions(chip=chip)
    assert refuse_nfc(subject(options=options, unit_facts=facts(longest))) == []
    (refusal,) = refuse_nfc(subject(options=options, unit_facts=facts(longest + 1)))
    assert refusal.code == "FORMAT_NOT_APPLICABLE"
    assert f"{longest + 1} characters" in refusal.message
    written = b"".join(
        write_nfc(
            context(options=options),
            [row(resolver_url=BASE + "/" + "a" * (longest - len(BASE) - 1))],
        )
    )
    assert int(columns_of(written)["tag_bytes"][0]) in {139, 496, 872, 256}


@pytest.mark.parametrize("minting", [{}, {"gtin": None}, {"identity_mode": "batch"}])
async def test_every_tag_of_a_pack_holds_the_url_of_its_unit(
    desk: Desk, minting: dict[str, Any]
) -> None:
    minted = await desk.world.minted(7, **minting)
    await desk.request(minted["mint_batch_id"], format="csv")
    requested = await desk.request(minted["mint_batch_id"], format="nfc")
    await desk.process_all()
    packs = {pack["format"]: pack for pack in await desk.packs()}
    assert packs["nfc"]["export_group_id"] == requested["export_group_id"]
    nfc, plain = (
        columns_of(desk.folder.joinpath(packs[name]["storage_path"]).read_bytes())
        for name in ("nfc", "csv")
    )
    assert nfc["unit_id"] == plain["unit_id"]
    messages = [bytes.fromhex(text) for text in nfc["ndef_hex"]]
    assert [read_message(each) for each in messages] == plain["resolver_url"]
    assert [int(text) for text in nfc["ndef_bytes"]] == [len(each) for each in messages]


async def test_a_batch_with_urls_that_are_too_long_is_refused_with_the_figures(desk: Desk) -> None:
    long_host = f"https://{'a' * 60}.{'b' * 60}.example.com"
    await desk.world.rpc("set_brand_host", "service", base_url=long_host, is_primary=True)
    batch_id = (await desk.world.minted(2))["mint_batch_id"]
    answer = await desk.request(batch_id, format="nfc")
    assert answer["ok"] is False
    (reason,) = answer["blocking_reasons"]
    assert reason["code"] == "FORMAT_NOT_APPLICABLE"
    assert "NTAG 213 has 139" in reason["message"]
    larger = await desk.request(batch_id, format="nfc", options={"chip": "ntag215"})
    assert larger["ok"] is True
