"""full_manifest and qr_manifest: every cell as pandas, Python's csv and LibreOffice read it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from mintage.packs.context import PackContext
from mintage.packs.manifest_packs import (
    FULL_COLUMNS,
    QR_COLUMNS,
    write_full_manifest,
    write_qr_manifest,
)
from mintage.packs.rows import UnitRow
from mintage.packs.tables import guarded
from tests.packs.building import GTIN, context, row
from tests.packs.desk import Desk
from tests.packs.reading import columns_of, opened_by_libreoffice

ROWS = [
    row(0),
    row(1, serial_number='A"1', status="active"),
    row(2, serial_number="00012", status="revoked"),
    row(3, serial_number=None, lot_code="L,1", gtin=None),
]
PRODUCT = context(
    product_sku="=SUM(A1)", product_name='Chaise "Zoé"; naïve', product_batch_number=None
)


def full(rows: list[UnitRow] = ROWS, of: PackContext = PRODUCT) -> bytes:
    return b"".join(write_full_manifest(of, rows))


def expected_cells() -> dict[str, list[str]]:
    return {
        "unit_id": [str(each.unit_id) for each in ROWS],
        "unit_no": ["0", "1", "2", "3"],
        "mint_batch_id": [str(PRODUCT.mint_batch_id)] * 4,
        "lot_code": ["", "", "", "L,1"],
        "product_sku": ["'=SUM(A1)"] * 4,
        "product_name": ['Chaise "Zoé"; naïve'] * 4,
        "product_batch_number": [""] * 4,
        "gtin": [GTIN, GTIN, GTIN, ""],
        "serial_number": ["A0", 'A"1', "00012", ""],
        "status": ["minted", "active", "revoked", "minted"],
        "resolver_url": [each.resolver_url for each in ROWS],
        "created_at": ["2026-11-24T13:14:15.000016Z"] * 4,
    }


def test_a_full_manifest_has_twelve_columns_of_which_the_page_tells() -> None:
    assert len(FULL_COLUMNS) == 12
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
    section = page.partition("## full_manifest")[2].partition("\n## ")[0]
    assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == list(
        FULL_COLUMNS
    )


def test_pandas_reads_every_cell_of_a_full_manifest() -> None:
    assert columns_of(full()) == expected_cells()


def test_the_csv_module_reads_every_cell_of_a_full_manifest() -> None:
    lines = csv.DictReader(io.StringIO(full().decode(), newline=""), strict=True)
    found: dict[str, list[str]] = {name: [] for name in FULL_COLUMNS}
    for line in lines:
        for name in FULL_COLUMNS:
            found[name].append(line[name])
    assert found == expected_cells()


@pytest.mark.long
def test_libreoffice_reads_every_cell_of_a_full_manifest(tmp_path: Path) -> None:
    assert (
        columns_of(opened_by_libreoffice(full(), len(FULL_COLUMNS), tmp_path)) == expected_cells()
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM", "'@SUM"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("a=1", "a=1"),
        ("", ""),
        ("'quoted'", "'quoted'"),
    ],
)
def test_text_that_a_spreadsheet_takes_for_a_formula_is_guarded(text: str, expected: str) -> None:
    assert guarded(text) == expected


def test_a_qr_manifest_has_the_unit_and_its_url() -> None:
    found = columns_of(b"".join(write_qr_manifest(context(), ROWS)))
    assert list(found) == list(QR_COLUMNS)
    assert found["resolver_url"] == [each.resolver_url for each in ROWS]
    assert found["unit_id"] == [str(each.unit_id) for each in ROWS]


async def test_manifests_of_a_batch_hold_what_the_api_tells(desk: Desk) -> None:
    world = desk.world
    product_id = await world.product(sku="-SKU-1", name="@Lamp", gtin=GTIN)
    made = await world.rpc(
        "create_product_batch",
        product_id=product_id,
        batch_number="PB-7",
        quantity=10,
        status="READY",
    )
    submitted = await world.submit(
        product_id,
        3,
        product_batch_id=made["product_batch"]["id"],
        identity_mode="batch",
        lots=[{"lot_code": "L1", "qty": 1}, {"lot_code": "L2", "qty": 2}],
    )
    await world.run(submitted["mint_job_id"])
    await desk.request(submitted["mint_batch_id"], format="full_manifest")
    await desk.process_all()
    (pack,) = await desk.packs()
    found = columns_of((desk.folder / pack["storage_path"]).read_bytes())
    assert found["product_sku"] == ["'-SKU-1"] * 3
    assert found["product_name"] == ["'@Lamp"] * 3
    assert found["product_batch_number"] == ["PB-7"] * 3
    assert found["lot_code"] == ["L1", "L2", "L2"]
    assert found["unit_no"] == ["0", "1", "2"]
    assert found["mint_batch_id"] == [str(submitted["mint_batch_id"])] * 3
