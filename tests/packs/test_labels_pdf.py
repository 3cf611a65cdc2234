"""The labels_pdf format: pages are drawn by PDFium, every symbol is read, and what was asked is measured."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import zxingcpp

from mintage.operations.pack_execution import process_payload_pack
from mintage.packs.context import PackContext, PackUnreadable
from mintage.packs.formats import FORMATS
from mintage.packs.label_options import LabelsPdfOptions
from mintage.packs.label_sheets import Sheet
from mintage.packs.labels_pdf import write_labels_pdf
from mintage.packs.rows import UnitRow
from mintage.packs.symbols import SymbolKind, element_string, gs1_elements
from mintage.packs.workshop import Workshop
from tests.packs.building import GTIN, context
from tests.packs.desk import Desk
from tests.packs.label_reading import Drawn
from tests.packs.symbol_reading import read_all
from tests.packs.test_qr_packs import units

ROLL = {"sheet": "custom", "custom": {"page": "roll", "label_width_mm": 100, "label_height_mm": 50}}
WIDE = {"sheet": "custom", "custom": {"label_width_mm": 99, "label_height_mm": 38}}
TALL = {"sheet": "custom", "custom": {"label_width_mm": 40, "label_height_mm": 60}}
NAME = "Oak dining table, 200 × 90 cm"


def asked(unit_count: int, options: dict[str, Any], **changes: Any) -> PackContext:
    model = LabelsPdfOptions.model_validate_json(json.dumps(options))
    plain: dict[str, Any] = {"product_name": NAME, "brand_name": "Acme Furniture"}
    return context(unit_count=unit_count, options=model, **plain | changes)


def labels(rows: list[UnitRow], options: dict[str, Any], **changes: Any) -> bytes:
    return b"".join(write_labels_pdf(asked(len(rows), options, **changes), rows))


def sheet_of(options: dict[str, Any]) -> Sheet:
    sheet = LabelsPdfOptions.model_validate_json(json.dumps(options)).measured()
    assert isinstance(sheet, Sheet)
    return sheet


def due(row: UnitRow, kind: SymbolKind) -> str:
    return row.resolver_url if kind == "qr" else element_string(gs1_elements(row))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sheet": "avery_l4732"},
        {"sheet": "avery_5160", "error_correction": "H", "crop_marks": True},
        {"symbol": "gs1_datamatrix"},
        {"sheet": "avery_l4732", "symbol": "gs1_datamatrix", "module_mm": 0.38},
        {"symbol": "gs1_128"} | WIDE,
        {"symbol": "gs1_128", "text": []} | ROLL,
        ROLL,
        TALL,
        {"text": []},
    ],
    ids=json.dumps,
)
def test_every_symbol_of_a_sheet_reads_as_its_unit(options: dict[str, Any]) -> None:
    sheet = sheet_of(options)
    rows = units(sheet.labels + 1)
    kind: SymbolKind = options.get("symbol", "qr")
    drawn = Drawn(labels(rows, options))
    assert len(drawn) == 2
    first = drawn.page(0)
    read = []
    for position in range(sheet.labels):
        (symbol,) = read_all(drawn.label(first, sheet, position))
        read.append(symbol.text)
        if kind != "qr":
            assert symbol.content_type == zxingcpp.ContentType.GS1
            assert symbol.symbology_identifier == ("]d2" if kind == "gs1_datamatrix" else "]C1")
        else:
            assert symbol.ec_level == options.get("error_correction", "M")
    assert read == [due(row, kind) for row in rows[:-1]]
    (last,) = read_all(drawn.label(drawn.page(1), sheet, 0))
    assert last.text == due(rows[-1], kind)


@pytest.mark.parametrize(
    ("options", "modules", "quiet_mm"),
    [
        ({"text": []}, 33, 4 * 0.5),
        ({"text": [], "module_mm": 0.635, "quiet_zone_modules": 6}, 33, 6 * 0.635),
        ({"text": [], "symbol": "gs1_datamatrix", "module_mm": 0.72}, 20, 0.72),
        ({"text": [], "symbol": "gs1_128", "module_mm": 0.25} | WIDE, 310, 2.5),
    ],
)
def test_modules_and_quiet_zones_have_the_millimetres_that_were_asked_for(
    options: dict[str, Any], modules: int, quiet_mm: float
) -> None:
    sheet = sheet_of(options)
    drawn = Drawn(labels(units(3), options), dpi=1200)
    pixel_mm = 25.4 / 1200
    extent = drawn.extent(drawn.label(drawn.page(0), sheet, 1))
    module_mm = options.get("module_mm", 0.5)
    assert extent.width == pytest.approx(modules * module_mm, abs=2 * pixel_mm)
    if options.get("symbol") != "gs1_128":
        assert extent.height == pytest.approx(modules * module_mm, abs=2 * pixel_mm)
    assert min(extent.left, sheet.label_width_mm - extent.right) >= quiet_mm - 2 * pixel_mm


@pytest.mark.parametrize(
    "options",
    [
        {"text": ["product_name", "brand_name", "sku", "gtin", "serial", "product_batch", "url"]},
        {"sheet": "avery_l4732"},
        TALL,
        {"sheet": "avery_l4732", "symbol": "gs1_datamatrix", "quiet_zone_modules": 4},
    ],
    ids=json.dumps,
)
def test_text_keeps_out_of_quiet_zones_and_inside_its_label(options: dict[str, Any]) -> None:
    sheet = sheet_of(options)
    model = LabelsPdfOptions.model_validate_json(json.dumps(options))
    rows = units(1)
    with_text = Drawn(labels(rows, options), dpi=600)
    bare_options = options | {"text": []}
    page = with_text.page(0)
    label = with_text.label(page, sheet, 0)
    (symbol,) = read_all(label)
    size = model.module_mm * (33 if model.symbol == "qr" else 20)
    quiet = model.module_mm * model.quiet_zone_modules
    scale = 25.4 / 600
    corner = symbol.position.top_left
    left, top = corner.x * scale, corner.y * scale
    around = label.copy()
    # The symbol itself is painted over; then nothing dark is nearer to it than its quiet zone.
    inner = [
        with_text.pixels(each)
        for each in (top - 0.1, top + size + 0.1, left - 0.1, left + size + 0.1)
    ]
    around[inner[0] : inner[1], inner[2] : inner[3]] = 255
    assert (around < 128).any()
    zone = [
        max(with_text.pixels(each), 0)
        for each in (
            top - quiet + 0.1,
            top + size + quiet - 0.1,
            left - quiet + 0.1,
            left + size + quiet - 0.1,
        )
    ]
    assert not (around[zone[0] : zone[1], zone[2] : zone[3]] < 128).any()
    # All that is drawn on the page lies inside the label, or in the margin below the labels.
    outside = page.copy()
    x, y = (with_text.pixels(each) for each in sheet.corner(0))
    outside[y : y + label.shape[0], x : x + label.shape[1]] = 255
    outside[-with_text.pixels(sheet.margin_bottom_mm) :] = 255
    assert not (outside < 128).any()
    assert len(labels(rows, bare_options)) < len(labels(rows, options))


def test_a_page_says_whose_labels_it_has_and_which() -> None:
    drawn = Drawn(labels(units(25), {}, pack_index=2, pack_count=3, first_unit_no=10_000))
    text = drawn.text(1)
    assert f"Acme Furniture · OAK-1 · {NAME} · batch PB-1" in text
    assert "units 10,022–10,025 · pack 2 of 3 · page 2 of 2" in text
    assert f"GTIN {GTIN}" in text
    assert "SN J9WXRCH3QS200024" in text


def test_a_batch_without_a_number_is_named_by_its_id() -> None:
    text = Drawn(labels(units(1), {}, product_batch_number=None)).text(0)
    assert "batch mint 00000000-0000-0000-0000-000000000003" in text


def test_beside_gs1_symbols_values_stand_after_their_identifiers() -> None:
    assert f"(01) {GTIN}" in Drawn(labels(units(1), {"symbol": "gs1_datamatrix"})).text(0)
    assert f"(01) {GTIN} (21) J9WXRCH3QS200000" in Drawn(
        labels(units(1), {"symbol": "gs1_128"} | WIDE)
    ).text(0)


def test_labels_of_lots_show_the_lot() -> None:
    rows = [
        row._replace(
            serial_number=None,
            lot_code="L-7",
            resolver_url=f"https://id.example.com/01/{GTIN}/10/L-7",
        )
        for row in units(2)
    ]
    drawn = Drawn(labels(rows, {"symbol": "gs1_datamatrix"}))
    assert "(10) L-7" in drawn.text(0)
    assert "(21)" not in drawn.text(0)
    (read,) = read_all(drawn.label(drawn.page(0), sheet_of({}), 1))
    assert read.text == f"(01){GTIN}(10)L-7"


def test_characters_that_the_font_lacks_are_shown_as_squares_and_told() -> None:
    drawn = Drawn(labels(units(1), {}, product_name="木の机 Oak"))
    assert "□□□ Oak" in drawn.text(0)
    assert "□ stands for characters that this font lacks" in drawn.text(0)
    assert "stands for" not in Drawn(labels(units(1), {})).text(0)


@pytest.mark.parametrize(("pack_index", "position"), [(1, 4), (2, 0)])
def test_the_start_position_is_that_of_the_first_pack(pack_index: int, position: int) -> None:
    options = {"start_position": 5}
    rows = units(18)
    drawn = Drawn(labels(rows, options, pack_index=pack_index, pack_count=2))
    page, sheet = drawn.page(0), sheet_of(options)
    (read,) = read_all(drawn.label(page, sheet, position))
    assert read.text == rows[0].resolver_url
    assert len(drawn) == (2 if pack_index == 1 else 1)
    for empty in range(position):
        assert (drawn.label(page, sheet, empty) == 255).all()


def test_crop_marks_stand_in_the_margins_at_the_edges_of_labels() -> None:
    options = {"crop_marks": True, "text": []}
    drawn, sheet = Drawn(labels(units(1), options), dpi=600), sheet_of(options)
    plain = Drawn(labels(units(1), {"text": []}), dpi=600).page(0)
    page = drawn.page(0)
    marked = (page < 200) & (plain >= 200)
    _, columns = marked.nonzero()
    x = set((columns * 25.4 / 600).round(0).tolist())
    edges = {
        round(sheet.corner(column)[0] + offset)
        for column in range(3)
        for offset in (0, sheet.label_width_mm)
    }
    assert edges <= x
    left, top = (drawn.pixels(each) for each in sheet.corner(0))
    right = page.shape[1] - drawn.pixels(sheet.margin_right_mm)
    bottom = page.shape[0] - drawn.pixels(sheet.margin_bottom_mm)
    assert marked.any()
    assert not marked[top:bottom, left:right].any()


def test_all_fonts_are_embedded() -> None:
    content = labels(units(1), {}, product_name="Дубовый стол")
    fonts = set(re.findall(rb"/BaseFont /(\S+)", content))
    assert fonts
    assert all(re.fullmatch(rb"[A-Z]{6}\+DejaVuSansCondensed(-Bold)?", font) for font in fonts)
    assert content.count(b"/FontFile2") == len(fonts)


def test_the_same_units_give_the_same_bytes() -> None:
    rows = units(50)
    first = labels(rows, {})
    assert first == labels(rows, {})
    assert b"D:20261124131415Z" in first


def test_symbols_are_masks_of_one_bit_a_module() -> None:
    content = labels(units(2), {})
    streams = re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL)
    inflated = b"".join(zlib.decompress(each) for each in streams)
    assert inflated.count(b"/W 33 /H 33 /IM true /BPC 1") == 2


@pytest.mark.parametrize(
    "options",
    [{}, {"symbol": "gs1_datamatrix", "start_position": 9}, {"symbol": "gs1_128"} | WIDE, ROLL],
)
def test_what_was_written_is_verified(options: dict[str, Any], tmp_path: Path) -> None:
    verify = FORMATS["labels_pdf"].verify
    assert verify is not None
    rows = units(60)
    file = tmp_path / "labels.pdf"
    file.write_bytes(labels(rows, options))
    verify(asked(60, options), rows, file)
    file.write_bytes(labels(units(60, first=1), options))
    with pytest.raises(PackUnreadable, match="does not read as it"):
        verify(asked(60, options), rows, file)
    file.write_bytes(labels(units(10), options))
    with pytest.raises(PackUnreadable, match="pages"):
        verify(asked(60, options), rows, file)


@pytest.mark.parametrize(
    ("options", "minting"),
    [
        ({}, {}),
        ({}, {"gtin": None}),
        ({"symbol": "gs1_datamatrix"}, {"identity_mode": "batch"}),
        ({"sheet": "avery_l4732", "symbol": "gs1_datamatrix"}, {}),
    ],
)
async def test_packs_of_labels_are_written_and_closed(
    desk: Desk, options: dict[str, Any], minting: dict[str, Any]
) -> None:
    batch_id = (await desk.world.minted(30, **minting))["mint_batch_id"]
    requested = await desk.request(batch_id, format="labels_pdf", options=options)
    assert requested["ok"] is True
    await desk.process_all()
    (pack,) = await desk.packs()
    assert pack["status"] == "completed"
    assert pack["storage_path"].endswith(".pdf")
    drawn = Drawn(desk.folder.joinpath(pack["storage_path"]).read_bytes())
    units_list = await desk.world.rpc("list_mint_units", mint_batch_id=batch_id, limit=30)
    urls = {unit["resolver_url"] for unit in units_list["units"]}
    read = [symbol for page in range(len(drawn)) for symbol in read_all(drawn.page(page))]
    assert len(read) == 30
    if options.get("symbol") is None:
        assert {symbol.text for symbol in read} == urls


async def test_labels_are_the_same_from_a_process_of_their_own(desk: Desk) -> None:
    batch_id = (await desk.world.minted(3))["mint_batch_id"]
    workshop = Workshop(1, 60)
    contents = []
    for place in (workshop, None):
        group = await desk.request(batch_id, format="labels_pdf")
        (pack,) = await desk.packs(export_group_id=group["export_group_id"])
        await process_payload_pack(
            desk.transactions, desk.store, UUID(str(pack["id"])), workshop=place
        )
        (pack,) = await desk.packs(export_group_id=group["export_group_id"], status="completed")
        await desk.process_all()
        contents.append(desk.folder.joinpath(pack["storage_path"]).read_bytes())
    await workshop.close()
    dates = re.compile(rb"D:\d{14}Z")
    first, second = (dates.sub(b"", content) for content in contents)
    # They differ by the moment that each group was asked for, which is all that is not the same.
    ids = re.compile(rb"\[<[0-9a-f]{32}><[0-9a-f]{32}>\]")
    assert ids.sub(b"", first) == ids.sub(b"", second)
