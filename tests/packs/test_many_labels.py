"""Twenty-five thousand labels in one file; pages at random are drawn by PDFium and by Poppler."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mintage.packs.label_options import LabelsPdfOptions
from mintage.packs.label_sheets import SHEETS
from mintage.packs.labels_pdf import write_labels_pdf
from tests.embedded.support import needs
from tests.packs.building import context
from tests.packs.label_reading import Drawn
from tests.packs.symbol_reading import read_all
from tests.packs.test_qr_packs import units

pytestmark = pytest.mark.long
LABELS = 25_000
PAGES = 20
SHEET = SHEETS["avery_l7160"]
MODULE_MM = 0.5
QUIET_MM = 2.0


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The labels, written as a pack is: chunk by chunk."""
    path = tmp_path_factory.mktemp("labels") / "labels.pdf"
    options = LabelsPdfOptions(module_mm=MODULE_MM, text=["gtin", "serial"])
    with path.open("wb") as stream:
        for chunk in write_labels_pdf(context(unit_count=LABELS, options=options), units(LABELS)):
            stream.write(chunk)
    yield path
    path.unlink()


def pages_at_random() -> list[int]:
    """Twenty pages, the last one among them."""
    count = SHEET.pages(LABELS, 1)
    chosen = random.Random(25).sample(range(count - 1), PAGES - 1)  # noqa: S311 - a sample
    return [*chosen, count - 1]


def check(drawn: Drawn, page: int, pixels: NDArray[np.uint8]) -> None:
    """Every label of the page reads as its row, in modules and with a quiet zone as they were asked for."""
    first = page * SHEET.labels
    rows = units(min(SHEET.labels, LABELS - first), first)
    for position, row in enumerate(rows):
        label = drawn.label(pixels, SHEET, position)
        (read,) = read_all(label)
        assert read.text == row.resolver_url
        corner = read.position.top_left
        left, top = (each * 25.4 / drawn.dpi for each in (corner.x, corner.y))
        size = 33 * MODULE_MM
        around = [
            drawn.pixels(each)
            for each in (
                top - QUIET_MM,
                top + size + QUIET_MM,
                left - QUIET_MM,
                left + size + QUIET_MM,
            )
        ]
        assert min(around) >= -1
        zone = label[max(around[0], 0) + 3 : around[1] - 3, max(around[2], 0) + 3 : around[3] - 3]
        extent = drawn.extent(zone)
        assert extent.width == pytest.approx(size, abs=0.1)
        assert extent.height == pytest.approx(size, abs=0.1)


def test_every_symbol_on_twenty_pages_at_random_reads_as_its_row(file: Path) -> None:
    drawn = Drawn(file.read_bytes(), dpi=400)
    assert len(drawn) == SHEET.pages(LABELS, 1)
    for page in pages_at_random():
        check(drawn, page, drawn.page(page))


def test_another_renderer_draws_the_same_symbols(file: Path, tmp_path: Path) -> None:
    program = shutil.which("pdftoppm")
    needs(program is not None, "pdftoppm")
    drawn = Drawn(file.read_bytes(), dpi=400)
    for page in pages_at_random():
        number = str(page + 1)
        subprocess.run(
            [str(program), "-gray", "-r", "400", "-f", number, "-l", number, file, tmp_path / "p"],
            check=True,
        )
        (image,) = tmp_path.glob("p-*.pgm")
        with Image.open(image) as opened:
            check(drawn, page, np.asarray(opened.convert("L")))
        image.unlink()
