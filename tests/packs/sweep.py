"""All symbols of whole packs, each one read: `make sweep` (minutes). The tests read a part of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mintage.packs.label_options import LabelsPdfOptions
from mintage.packs.label_sheets import Sheet
from mintage.packs.labels_pdf import write_labels_pdf
from tests.packs.building import context
from tests.packs.label_reading import Drawn
from tests.packs.reading import columns_of
from tests.packs.symbol_reading import read_all
from tests.packs.test_labels_pdf import due
from tests.packs.test_qr_packs import FORMATS_OF_SYMBOLS, PIXELS, of_format, opened, units

PACK_UNITS = 10_000


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", FORMATS_OF_SYMBOLS)
def test_every_symbol_of_a_whole_pack_reads_as_the_url_of_its_unit(name: str) -> None:
    rows = units(PACK_UNITS)
    archive = opened(of_format(name, rows))
    codes = columns_of(archive.read("codes.csv"))
    assert codes["resolver_url"] == [row.resolver_url for row in rows]
    for file_name, url in zip(codes["file_name"], codes["resolver_url"], strict=True):
        (read,) = read_all(PIXELS[name](archive.read(file_name)))
        assert (read.text, read.ec_level) == (url, "M")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "options", [{"sheet": "avery_l4732"}, {"symbol": "gs1_datamatrix"}], ids=json.dumps
)
def test_every_label_of_a_whole_pack_reads_as_its_unit(options: dict[str, Any]) -> None:
    model = LabelsPdfOptions.model_validate_json(json.dumps(options))
    sheet = model.measured()
    assert isinstance(sheet, Sheet)
    rows = units(PACK_UNITS)
    drawn = Drawn(b"".join(write_labels_pdf(context(unit_count=PACK_UNITS, options=model), rows)))
    read = []
    for page in range(len(drawn)):
        pixels = drawn.page(page)
        for position in range(min(sheet.labels, PACK_UNITS - page * sheet.labels)):
            (symbol,) = read_all(drawn.label(pixels, sheet, position))
            read.append(symbol.text)
    assert read == [due(row, model.symbol) for row in rows]
