"""One row or label of an export before it is asked for: what the pack would hold, or what is in the way."""

from __future__ import annotations

import base64
import html
import io
import re

import pytest
import zxingcpp
from PIL import Image

from tests.console.conftest import HOME, Browser, Console


async def asked(
    console: Console, owner: Browser, format_name: str, **more: str
) -> tuple[str, dict[str, object]]:
    """The fragment for a new batch, and the batch's first unit."""
    submitted = await console.world.minted(2)
    batch_id = submitted["mint_batch_id"]
    units = await console.world.rpc("list_mint_units", mint_batch_id=batch_id)
    entered = {"mint_batch_id": str(batch_id), "format": format_name} | more
    answer = await owner.post(f"{HOME}exports/preview", entered)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    first = next(unit for unit in units["units"] if unit["unit_no"] == 0)
    return answer.text, first


@pytest.mark.parametrize("name", ["csv", "full_manifest", "qr_manifest", "epcis", "nfc"])
async def test_a_text_shows_the_first_unit(console: Console, owner: Browser, name: str) -> None:
    fragment, unit = await asked(console, owner, name)
    shown = html.unescape(fragment[fragment.index("<pre") : fragment.index("</pre>")])
    told = {"epcis": "serial_number", "nfc": "serial_number"}.get(name, "resolver_url")
    assert str(unit[told]) in shown
    if name != "epcis":
        assert len(shown.strip().splitlines()) == 2


@pytest.mark.parametrize("name", ["labels_pdf", "qr_png"])
async def test_a_picture_reads_as_the_first_unit(
    console: Console, owner: Browser, name: str
) -> None:
    more = {"option_start_position": "5"} if name == "labels_pdf" else {}
    fragment, unit = await asked(console, owner, name, **more)
    found = re.search(r'src="data:image/png;base64,([^"]+)"', fragment)
    assert found is not None
    picture = Image.open(io.BytesIO(base64.b64decode(found[1])))
    read = zxingcpp.read_barcode(picture)
    assert read is not None
    assert read.text == unit["resolver_url"]


async def test_a_drawing_is_shown_as_it_is(console: Console, owner: Browser) -> None:
    fragment, _ = await asked(console, owner, "qr_svg")
    assert 'src="data:image/svg+xml;base64,' in fragment


async def test_what_is_in_the_way_is_told_before_it_is_asked_for(
    console: Console, owner: Browser
) -> None:
    fragment, _ = await asked(console, owner, "rfid")
    assert "gcp_length" in fragment
    batch = (await console.world.rpc("list_mint_batches"))["batches"][0]
    for entered in (
        {"mint_batch_id": str(batch["id"]), "format": "labels_pdf", "option_module_mm": "a lot"},
        {"mint_batch_id": "nonsense", "format": "csv"},
        {"mint_batch_id": str(batch["id"]), "format": "nonsense"},
        {"format": "csv"},
    ):
        answer = await owner.post(f"{HOME}exports/preview", entered)
        assert (answer.status_code, 'role="alert"' in answer.text) == (200, True), entered
    assert (await console.world.rpc("list_payload_packs"))["packs"] == []


async def test_a_preview_needs_no_script_and_keeps_what_was_entered(
    console: Console, owner: Browser
) -> None:
    submitted = await console.world.minted(1)
    entered = {
        "mint_batch_id": str(submitted["mint_batch_id"]),
        "format": "labels_pdf",
        "option_sheet": "avery_l7160",
        "option_module_mm": "0.4",
        "step": "preview",
    }
    answer = await owner.post(f"{HOME}exports/new", entered)
    assert (answer.status_code, "data:image/png" in answer.text) == (200, True)
    assert 'value="0.4"' in answer.text


async def test_only_who_may_export_is_shown_a_preview(console: Console) -> None:
    submitted = await console.world.minted(1)
    entered = {"mint_batch_id": str(submitted["mint_batch_id"]), "format": "csv"}
    for member in ("viewer", "editor", "stranger"):
        browser = await console.signed_in(member)
        answer = await browser.post(f"{HOME}exports/preview", entered)
        assert answer.status_code == 403, member
