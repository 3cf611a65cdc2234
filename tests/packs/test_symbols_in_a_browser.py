"""SVG symbols as a browser draws them, at sizes that are no whole pixels."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.browser.browser import CHROMIUM, chromium
from tests.embedded.support import needs
from tests.packs.symbol_reading import read_all
from tests.packs.test_qr_packs import of_format, opened, units

pytestmark = pytest.mark.long
SYMBOLS = 60
COLUMNS = 6
BOXES = """[...document.images].map((image) => {
  const box = image.getBoundingClientRect();
  return [box.x, box.y, box.width, box.height];
})"""


@pytest.mark.parametrize("module_mm", [0.75, 1.1])
async def test_a_browser_draws_symbols_that_read_as_their_urls(module_mm: float) -> None:
    needs(CHROMIUM.exists(), "chromium")
    rows = units(SYMBOLS)
    archive = opened(of_format("qr_svg", rows, module_mm=module_mm))
    pictures = [
        base64.b64encode(archive.read(f"{row.unit_id}.svg")).decode("ascii") for row in rows
    ]
    images = "".join(
        f'<img alt="" src="data:image/svg+xml;base64,{picture}">' for picture in pictures
    )
    width_px = 41 * module_mm * 96 / 25.4
    style = f"display:grid;gap:7px;grid-template-columns:repeat({COLUMNS},max-content)"
    async with chromium() as browser:
        page = await browser.new_page()
        await page.set_content(f'<body style="background:#ccc"><div style="{style}">{images}</div>')
        await page.wait_for_load_state("load")
        boxes = await page.evaluate(BOXES)
        shot = await page.screenshot(full_page=True)
    assert len(boxes) == SYMBOLS
    with Image.open(io.BytesIO(shot)) as image:
        pixels = np.asarray(image.convert("L"))
    for (left, top, width, height), row in zip(boxes, rows, strict=True):
        assert width == height == pytest.approx(width_px, abs=0.1)
        part = pixels[int(top) : int(top + height) + 1, int(left) : int(left + width) + 1]
        (read,) = read_all(np.ascontiguousarray(part))
        assert read.text == row.resolver_url
