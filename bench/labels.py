"""How long does a label take, against encoding its symbol alone?

Packs of `labels_pdf` (and of `qr_svg`, `qr_png`), written to files, against the bare encoder, which is
given the same contents and whose symbols are thrown away. Alternating, median of the pairs; a side runs in
a process of its own, whose CPU and peak memory are printed. Aim: ≥ 0.30 ×. Last, so many packs one after
another: memory does not grow with their number, and stays below 200 MiB.

    python -m bench.labels [--units N] [--pairs N] [--packs N]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median
from uuid import UUID

import zxingcpp

from bench import support
from mintage.packs.context import PackContext
from mintage.packs.formats import FORMATS
from mintage.packs.rows import UnitRow

GTIN = "09506000134352"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
PACK_UNITS = 10_000
CASES: dict[str, tuple[str, dict[str, object]]] = {
    "labels_pdf, QR": ("labels_pdf", {}),
    "labels_pdf, GS1 DataMatrix": ("labels_pdf", {"symbol": "gs1_datamatrix"}),
    "labels_pdf, GS1-128": (
        "labels_pdf",
        {
            "symbol": "gs1_128",
            "sheet": "custom",
            "custom": {"label_width_mm": 100, "label_height_mm": 40},
        },
    ),
    "qr_svg": ("qr_svg", {}),
    "qr_png": ("qr_png", {}),
}


def units(first: int, count: int) -> Iterator[UnitRow]:
    """Units with serials of the length of generated ones."""
    for number in range(first, first + count):
        serial = f"J9WXRCH3Q{number:07}"
        yield UnitRow(
            UUID(int=number),
            number,
            f"https://id.example.com/01/{GTIN}/21/{serial}",
            serial,
            GTIN,
            "minted",
            MOMENT,
            None,
        )


def pack(case: str, index: int, count: int, pack_units: int) -> PackContext:
    """The pack of that index, from 1."""
    name, options = CASES[case]
    return PackContext(
        brand_id=UUID(int=1),
        brand_name="Acme Furniture",
        gcp_length=7,
        biz_location=None,
        read_point=None,
        product_id=UUID(int=2),
        product_sku="OAK-1",
        product_name="Oak dining table, 200 × 90 cm",
        gtin=GTIN,
        mint_batch_id=UUID(int=3),
        product_batch_number="PB-1",
        identity_mode="serial",
        activation_mode="first_scan",
        export_group_id=UUID(int=4),
        pack_index=index,
        pack_count=count,
        first_unit_no=(index - 1) * pack_units,
        unit_count=pack_units,
        generated_at=MOMENT,
        profile=None,
        options=FORMATS[name].options_model.model_validate_json(json.dumps(options)),
    )


def write(case: str, packs: int, pack_units: int) -> None:
    """Write packs to a file, one after another, as a worker does: rows first, then chunk by chunk."""
    writer = FORMATS[CASES[case][0]].write
    with tempfile.TemporaryFile() as file:
        for index in range(1, packs + 1):
            rows = list(units((index - 1) * pack_units, pack_units))
            file.seek(0)
            for chunk in writer(pack(case, index, packs, pack_units), rows):
                file.write(chunk)


def encode(case: str, packs: int, pack_units: int) -> None:
    """The symbols alone."""
    symbol = CASES[case][1].get("symbol", "qr")
    for unit in units(0, packs * pack_units):
        if symbol == "qr":
            zxingcpp.create_barcode(unit.resolver_url, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
            continue
        matrix = symbol == "gs1_datamatrix"
        code = zxingcpp.BarcodeFormat.DataMatrix if matrix else zxingcpp.BarcodeFormat.Code128
        zxingcpp.create_barcode(f"[01]{GTIN}[21]{unit.serial_number}", code, gs1=True)


def measure(side: str, case: str, packs: int, pack_units: int) -> dict[str, float]:
    """One side in a process of its own."""
    values = {"side": side, "case": case, "packs": packs, "units": pack_units}
    return support.in_process(
        "bench.labels", [f"--{name}={value}" for name, value in values.items()]
    )


def run(side: str, case: str, packs: int, pack_units: int) -> None:
    started = time.perf_counter()
    (write if side == "write" else encode)(case, packs, pack_units)
    elapsed_s = time.perf_counter() - started
    used, units = support.used(), packs * pack_units
    figures = {"rate": units / elapsed_s, "cpu_us": used["cpu_s"] * 1e6 / units}
    print(json.dumps(figures | {"peak_mib": used["peak_mib"]}))


def compare(pack_units: int, pairs: int, packs: int) -> None:
    for case in CASES:
        rows = [
            {side: measure(side, case, 1, pack_units) for side in order}
            for order in support.turns(pairs, "write", "encode")
        ]
        ratios = [row["write"]["rate"] / row["encode"]["rate"] for row in rows]
        print(
            f"{case}: {median(row['write']['rate'] for row in rows):,.0f} a second; ratio to the bare "
            f"encoder {support.spread(ratios)} x; CPU a label "
            f"{median(row['write']['cpu_us'] for row in rows):.0f} µs, encoder "
            f"{median(row['encode']['cpu_us'] for row in rows):.0f} µs; peak "
            f"{max(row['write']['peak_mib'] for row in rows):.0f} MiB",
            flush=True,
        )
    for case in ("labels_pdf, GS1 DataMatrix", "qr_png"):
        peaks = {
            count: measure("write", case, count, PACK_UNITS)["peak_mib"] for count in (2, packs)
        }
        told = ", ".join(f"{count} packs {peak:.0f} MiB" for count, peak in peaks.items())
        print(f"{case}: peak of {told} of {PACK_UNITS:,} units", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=PACK_UNITS)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--packs", type=int, default=20)
    parser.add_argument("--side", choices=("write", "encode"))
    parser.add_argument("--case", choices=tuple(CASES))
    options = parser.parse_args()
    if options.side is None:
        compare(options.units, options.pairs, options.packs)
    else:
        run(options.side, options.case, options.packs, options.units)


if __name__ == "__main__":
    main()
