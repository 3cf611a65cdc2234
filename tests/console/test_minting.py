"""The mint wizard, form by form: what it asks, what blocks, what it mints, and only once."""

from __future__ import annotations

import re
from typing import Any

from mintage.console.forms import Form
from mintage.console.option_fields import fields_of, options_of, shown
from mintage.console.overview import bars
from mintage.packs.formats import FORMATS
from tests.console.conftest import HOME, Browser, Console


async def minted_in(console: Console, url: str) -> dict[str, Any]:
    batch_id = url.rpartition("/")[2]
    batch: dict[str, Any] = (
        await console.world.rpc("get_mint_batch_by_id", mint_batch_id=batch_id)
    )["batch"]
    return batch


def hidden_fields(page: str) -> dict[str, str]:
    """The fields that the review page keeps, to be sent with its button."""
    form = page[page.index('enctype="multipart/form-data"') :]
    kept = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form))
    kept |= dict(re.findall(r'<textarea name="([^"]*)" hidden>([^<]*)</textarea>', form))
    kept.pop("form_token")
    return kept


async def test_what_is_reviewed_is_minted_once(console: Console, owner: Browser) -> None:
    product_id = await console.world.product()
    form = await owner.get(f"{HOME}mint?product_id={product_id}")
    key = re.search(r'name="key" value="([0-9a-f]{32})"', form.text)
    assert key is not None
    entered = {
        "product_id": str(product_id),
        "key": key[1],
        "identity": "serial",
        "requested_quantity": "1,000",
        "activation_mode": "first_scan",
    }
    review = await owner.post(f"{HOME}mint", entered | {"step": "review"})
    assert review.status_code == 200
    assert "1,000 units of Oak table will be minted." in review.text
    assert (await console.world.rpc("list_mint_batches"))["batches"] == []
    kept = hidden_fields(review.text) | {"step": "mint"}
    first = await owner.post(f"{HOME}mint", kept)
    again = await owner.post(f"{HOME}mint", kept)
    assert (first.status_code, again.headers["location"]) == (303, first.headers["location"])
    batch = await minted_in(console, first.headers["location"])
    assert (batch["requested_quantity"], batch["identity_mode"]) == (1000, "serial")
    assert len((await console.world.rpc("list_mint_batches"))["batches"]) == 1


async def test_progress_is_shown_until_it_is_done(console: Console, owner: Browser) -> None:
    product_id = await console.world.product()
    entered = {"product_id": str(product_id), "requested_quantity": "10", "step": "mint"}
    made = await owner.post(f"{HOME}mint", entered)
    url = made.headers["location"]
    page = (await owner.get(url)).text
    assert "every 1s" in page
    part = await owner.get(f"{url}/progress")
    assert "hx-refresh" not in part.headers
    assert "0 of 10 units" in part.text
    await console.world.run()
    part = await owner.get(f"{url}/progress")
    assert part.headers["hx-refresh"] == "true"
    assert "every 1s" not in (await owner.get(url)).text


async def test_every_reason_is_told_with_the_page_that_mends_it(
    console: Console, owner: Browser
) -> None:
    made = await console.world.rpc("create_product", sku="A-1", name="A")
    product_id = made["product"]["id"]
    made_batch = await console.world.rpc(
        "create_product_batch", product_id=product_id, batch_number="1", quantity=5
    )
    entered = {
        "product_id": str(product_id),
        "product_batch_id": str(made_batch["product_batch"]["id"]),
        "requested_quantity": "10",
    }
    checked = await owner.post(f"{HOME}mint/check", entered)
    codes = re.findall(r'<code class="muted">([A-Z_]+)</code>', checked.text)
    assert codes == [
        "COMMERCIAL_STATUS_NOT_ACTIVE",
        "MINT_READINESS_NOT_READY",
        "PRODUCT_BATCH_NOT_READY",
        "QUANTITY_EXCEEDS_BATCH",
    ]
    assert checked.text.count(f'href="{HOME}products/{product_id}') == 4
    blocked = await owner.post(f"{HOME}mint", entered | {"step": "mint"})
    assert blocked.status_code == 400
    assert (await console.world.rpc("list_mint_batches"))["batches"] == []


async def test_what_cannot_be_read_is_told_beside_its_field(
    console: Console, owner: Browser
) -> None:
    product_id = str(await console.world.product())
    cases = (
        ({"requested_quantity": "many"}, "wrong-requested_quantity"),
        ({"requested_quantity": "0"}, "wrong-requested_quantity"),
        ({"identity": "batch", "lots": "LOT-A"}, "wrong-lots"),
        ({"identity": "batch", "lots": "LOT-A 5\nLOT-A 6"}, "wrong-lots"),
        ({"identity": "brought", "serials": ""}, "wrong-serials"),
        ({"identity": "brought", "serials": "A-1\nA-1"}, "wrong-serials"),
        ({"identity": "brought", "serials": "=A"}, "wrong-serials"),
    )
    for entered, field in cases:
        answer = await owner.post(
            f"{HOME}mint", {"product_id": product_id, "step": "mint"} | entered
        )
        assert (answer.status_code, f'id="{field}"' in answer.text) == (400, True), entered
        for value in entered.values():
            assert value.partition("\n")[0].replace("=", "=") in answer.text


async def test_lots_and_serials_are_minted_as_they_were_typed(
    console: Console, owner: Browser
) -> None:
    product_id = str(await console.world.product())
    entered = {
        "product_id": product_id,
        "identity": "batch",
        "lots": "LOT-A 5\nLOT-B; 7\n",
        "step": "mint",
    }
    made = await owner.post(f"{HOME}mint", entered)
    batch = await minted_in(console, made.headers["location"])
    assert [(lot["lot_code"], lot["quantity"]) for lot in batch["lots"]] == [
        ("LOT-A", 5),
        ("LOT-B", 7),
    ]
    reviewed = await owner.upload(
        f"{HOME}mint",
        {"product_id": product_id, "identity": "brought", "step": "review"},
        "serials_file",
        '\ufeffA-1\r\nA-2\r\n\r\n"A-3"\r\n'.encode(),
    )
    assert "3 units of Oak table" in reviewed.text
    made = await owner.post(f"{HOME}mint", hidden_fields(reviewed.text) | {"step": "mint"})
    job_id = (await minted_in(console, made.headers["location"]))["mint_job_id"]
    await console.world.run(job_id)
    units = await console.world.rpc(
        "list_mint_units", mint_batch_id=made.headers["location"].rpartition("/")[2]
    )
    assert {unit["serial_number"] for unit in units["units"]} == {"A-1", "A-2", "A-3"}
    again = await owner.post(
        f"{HOME}mint",
        {"product_id": product_id, "identity": "brought", "serials": "A-2\nA-9", "step": "mint"},
    )
    assert again.status_code == 400
    assert "A-2" in again.text


async def test_going_back_keeps_what_was_entered(console: Console, owner: Browser) -> None:
    product_id = str(await console.world.product())
    entered = {
        "product_id": product_id,
        "requested_quantity": "77",
        "activation_mode": "active_at_mint",
    }
    back = await owner.post(f"{HOME}mint", entered | {"step": "edit"})
    assert back.status_code == 200
    assert 'value="77"' in back.text
    assert re.search(r'value="active_at_mint" checked', back.text)


async def test_an_export_is_asked_for_and_watched(console: Console, owner: Browser) -> None:
    submitted = await console.world.minted(3)
    entered = {"mint_batch_id": str(submitted["mint_batch_id"]), "format": "csv", "profile": ""}
    made = await owner.post(f"{HOME}exports/new", entered)
    assert made.status_code == 303
    page = (await owner.get(made.headers["location"])).text
    assert "0 of 1 packs completed" in page or "packs completed" in page
    assert "every 1s" in page
    pack_id = (await console.world.rpc("list_payload_packs"))["packs"][0]["id"]
    led = await owner.get(f"{HOME}exports/of-pack/{pack_id}")
    assert led.headers["location"] == made.headers["location"]
    refused = await owner.post(
        f"{HOME}exports/new",
        entered | {"format": "rfid", "option_scheme": "sgtin-96", "option_filter_value": "1"},
    )
    assert refused.status_code == 409
    assert "gcp_length" in refused.text
    wrong = await owner.post(
        f"{HOME}exports/new", entered | {"format": "rfid", "option_filter_value": "many"}
    )
    assert wrong.status_code == 400


def test_only_options_that_were_changed_are_sent_on() -> None:
    model = FORMATS["labels_pdf"].options_model
    untouched = {
        field.name: [*shown(field, Form({}), is_posted=False)] for field in fields_of(model)
    }
    assert options_of(model, form_of(untouched)) == {}
    changed = untouched | {
        "option_sheet": ["custom"],
        "option_custom.label_width_mm": ["40"],
        "option_custom.label_height_mm": ["20.5"],
        "option_text": ["serial"],
        "option_crop_marks": ["yes"],
        "option_module_mm": ["a lot"],
    }
    assert options_of(model, form_of(changed)) == {
        "sheet": "custom",
        "custom": {"label_width_mm": 40, "label_height_mm": 20.5},
        "text": ["serial"],
        "crop_marks": True,
        "module_mm": "a lot",
    }


def form_of(lists: dict[str, list[str]]) -> Form:
    return Form({name: values[-1] for name, values in lists.items() if values}, lists)


def test_a_chart_is_as_high_as_its_highest_day() -> None:
    days = [{"day": f"2026-01-{n:02}", "scans": value} for n, value in ((1, 0), (2, 1), (3, 1000))]
    heights = [bar.height for bar in bars(days, "scans")]
    assert heights == [0.0, 2.0, 116.0]
    assert [bar.height for bar in bars([{"day": "2026-01-01", "scans": 0}], "scans")] == [0.0]
    assert bars([], "scans") == []
