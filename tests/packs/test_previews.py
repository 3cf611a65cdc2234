"""One label to look at: made by the format itself, and it reads."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image

from mintage.packs.formats import FORMATS
from mintage.packs.label_layout import DoesNotFit
from mintage.packs.previews import PREVIEWED_FORMATS, Preview, preview
from tests.packs.building import context
from tests.packs.symbol_reading import png_pixels, read_all, svg_pixels
from tests.packs.test_qr_packs import units

UNIT = units(1)[0]


def shown(name: str, options: dict[str, Any], **arguments: int) -> Preview:
    model = FORMATS[name].options_model.model_validate_json(json.dumps(options))
    asked = context(options=model, pack_index=7, pack_count=9, unit_count=10_000)
    return preview(name, asked, UNIT, **arguments)


@pytest.mark.parametrize("name", sorted(PREVIEWED_FORMATS))
def test_a_preview_reads_as_its_unit(name: str) -> None:
    found = shown(name, {"error_correction": "Q"})
    pixels = svg_pixels if name == "qr_svg" else png_pixels
    (read,) = read_all(pixels(found.content))
    assert (read.text, read.ec_level) == (UNIT.resolver_url, "Q")
    assert found.media_type == ("image/svg+xml" if name == "qr_svg" else "image/png")


@pytest.mark.parametrize(
    ("options", "ratio"),
    [
        ({}, 38.1 / 63.5),
        ({"start_position": 8, "crop_marks": True}, 38.1 / 63.5),
        ({"sheet": "custom", "custom": {"label_width_mm": 40, "label_height_mm": 60}}, 60 / 40),
    ],
)
def test_a_preview_is_the_whole_label_and_nothing_beside_it(
    options: dict[str, Any], ratio: float
) -> None:
    with Image.open(io.BytesIO(shown("labels_pdf", options, width_px=800).content)) as image:
        assert image.width == pytest.approx(800, abs=2)
        assert image.height == pytest.approx(800 * ratio, abs=2)


def test_what_makes_no_picture_has_no_preview() -> None:
    with pytest.raises(KeyError, match="csv"):
        preview("csv", context(), UNIT)
    with pytest.raises(DoesNotFit, match="module_mm"):
        shown("labels_pdf", {"module_mm": 3})
    with pytest.raises(ValueError, match="1 to 2000"):
        shown("labels_pdf", {}, width_px=5000)
