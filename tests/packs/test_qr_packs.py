"""The qr_svg and qr_png formats: every symbol read, sizes measured, what is wrong found before closing."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mintage.packs.context import PackContext, PackOptions, PackUnreadable
from mintage.packs.formats import FORMATS
from mintage.packs.qr_packs import QrPngOptions, QrSvgOptions, refuse_qr_png
from mintage.packs.rows import UnitRow
from tests.packs.building import GTIN, MOMENT, context, row, subject
from tests.packs.desk import Desk
from tests.packs.reading import columns_of
from tests.packs.symbol_reading import png_pixels, read_all, svg_pixels, svg_root

UNITS = 500
FORMATS_OF_SYMBOLS = ("qr_svg", "qr_png")
PIXELS: dict[str, Callable[[bytes], NDArray[np.uint8]]] = {
    "qr_svg": svg_pixels,
    "qr_png": png_pixels,
}


def units(count: int, first: int = 0) -> list[UnitRow]:
    """Units with serials of the generated form."""
    return [
        row(
            number,
            serial_number=f"J9WXRCH3QS2{number:05}",
            resolver_url=f"https://id.example.com/01/{GTIN}/21/J9WXRCH3QS2{number:05}",
        )
        for number in range(first, first + count)
    ]


def of_format(name: str, rows: Iterable[UnitRow], **options: Any) -> bytes:
    """The pack of `rows` in the format."""
    return b"".join(FORMATS[name].write(asked(name, **options), rows))


def asked(name: str, **options: Any) -> PackContext:
    model: type[PackOptions] = FORMATS[name].options_model
    return context(options=model(**options))


def opened(content: bytes) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return archive


@pytest.mark.parametrize("name", FORMATS_OF_SYMBOLS)
def test_every_symbol_of_a_pack_reads_as_the_url_of_its_unit(name: str) -> None:
    rows = units(UNITS)
    archive = opened(of_format(name, rows))
    codes = columns_of(archive.read("codes.csv"))
    assert codes["unit_id"] == [str(each.unit_id) for each in rows]
    assert codes["serial_number"] == [each.serial_number for each in rows]
    assert codes["resolver_url"] == [each.resolver_url for each in rows]
    assert archive.namelist() == [*codes["file_name"], "codes.csv"]
    for file_name, url in zip(codes["file_name"], codes["resolver_url"], strict=True):
        (read,) = read_all(PIXELS[name](archive.read(file_name)))
        assert (read.text, read.ec_level) == (url, "M")


@pytest.mark.parametrize("name", FORMATS_OF_SYMBOLS)
def test_the_level_and_the_quiet_zone_are_as_asked(name: str) -> None:
    options = {"error_correction": "H", "quiet_zone_modules": 6}
    archive = opened(of_format(name, units(1), **options))
    pixels = PIXELS[name](archive.read(archive.namelist()[0]))
    (read,) = read_all(pixels)
    assert read.ec_level == "H"
    dark_rows, dark_columns = np.nonzero(pixels == 0)
    module = pixels.shape[0] / (41 + 2 * 6)
    assert (dark_rows.min() / module, dark_columns.min() / module) == (6, 6)
    assert pixels.shape[0] - dark_rows.max() - 1 == 6 * module


def test_an_svg_states_its_size_in_millimetres() -> None:
    archive = opened(of_format("qr_svg", units(1), module_mm=0.423, quiet_zone_modules=4))
    root = svg_root(archive.read(archive.namelist()[0]))
    modules = int(root.attrib["viewBox"].split()[2])
    assert root.attrib["width"] == root.attrib["height"] == f"{modules * 0.423:.3f}mm"


@pytest.mark.parametrize(
    ("options", "module_px"), [({}, 10), ({"module_mm": 0.5, "dpi": 305}, 6), ({"module_px": 3}, 3)]
)
def test_a_png_has_whole_pixels_a_module_and_states_its_resolution(
    options: dict[str, Any], module_px: int
) -> None:
    archive = opened(of_format("qr_png", units(1), **options))
    with Image.open(io.BytesIO(archive.read(archive.namelist()[0]))) as image:
        assert image.mode == "1"
        assert image.size == ((29 + 4 + 8) * module_px, (29 + 4 + 8) * module_px)
        assert image.info["dpi"][0] == pytest.approx(options.get("dpi", 600), rel=1e-4)


def test_a_module_between_two_pixels_is_refused_with_what_would_fit() -> None:
    options = QrPngOptions(module_mm=0.3, dpi=203)
    (refusal,) = refuse_qr_png(subject(options=options))
    assert refusal.code == "FORMAT_NOT_APPLICABLE"
    assert "2.40 pixels at 203 dpi" in refusal.message
    assert "0.250 or 0.375" in refusal.message
    for fitting in (0.250, 0.375):
        assert refuse_qr_png(subject(options=QrPngOptions(module_mm=fitting, dpi=203))) == []
    assert refuse_qr_png(subject(options=QrPngOptions())) == []


@pytest.mark.parametrize("name", FORMATS_OF_SYMBOLS)
def test_the_same_units_give_the_same_bytes(name: str) -> None:
    assert of_format(name, units(20)) == of_format(name, units(20))


@pytest.mark.parametrize("name", FORMATS_OF_SYMBOLS)
def test_entries_are_dated_when_the_packs_were_asked_for(name: str) -> None:
    infos = opened(of_format(name, units(2))).infolist()
    # A ZIP counts seconds by two.
    assert {info.date_time for info in infos} == {MOMENT.replace(second=14).timetuple()[:6]}
    # Bit 3 would say that sizes follow the content, which readers of streams cannot use.
    assert not any(info.flag_bits & 0x08 for info in infos)


@pytest.mark.parametrize("name", FORMATS_OF_SYMBOLS)
def test_a_pack_goes_out_while_it_is_written(name: str) -> None:
    taken = 0

    def counted() -> Iterator[UnitRow]:
        nonlocal taken
        for each in units(2000):
            taken += 1
            yield each

    first = next(iter(FORMATS[name].write(asked(name), counted())))
    assert first
    assert taken < 2000


def test_units_of_a_lot_share_an_url_and_have_a_file_each() -> None:
    url = f"https://id.example.com/01/{GTIN}/10/L1"
    rows = [row(number, serial_number=None, lot_code="L1", resolver_url=url) for number in range(3)]
    archive = opened(of_format("qr_svg", rows))
    files = archive.namelist()[:-1]
    assert len(files) == 3
    assert len({archive.read(name) for name in files}) == 1


def verify(name: str, rows: Sequence[UnitRow], content: bytes, folder: Path) -> None:
    """What happens before a pack is closed."""
    file = folder / "pack.zip"
    file.write_bytes(content)
    check = FORMATS[name].verify
    assert check is not None
    check(asked(name), rows, file)


@pytest.mark.parametrize("name", FORMATS_OF_SYMBOLS)
@pytest.mark.parametrize("options", [{}, {"quiet_zone_modules": 0}, {"error_correction": "L"}])
def test_what_was_written_is_verified(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    rows = units(60)
    verify(name, rows, of_format(name, rows, **options), tmp_path)


@pytest.mark.parametrize("name", FORMATS_OF_SYMBOLS)
def test_symbols_of_other_units_are_found_before_the_pack_is_closed(
    name: str, tmp_path: Path
) -> None:
    rows = units(3)
    changed = [each._replace(resolver_url=f"{each.resolver_url}0") for each in rows]
    with pytest.raises(PackUnreadable, match="does not read as its URL"):
        verify(name, rows, of_format(name, changed), tmp_path)
    with pytest.raises(PackUnreadable, match="other files"):
        verify(name, rows, of_format(name, rows[:2]), tmp_path)


async def test_packs_of_symbols_are_written_and_closed(desk: Desk) -> None:
    batch_id = (await desk.world.minted(30))["mint_batch_id"]
    for name in FORMATS_OF_SYMBOLS:
        await desk.request(batch_id, format=name, options={"error_correction": "Q"})
    await desk.process_all()
    for pack in await desk.packs():
        name = pack["format"]
        assert pack["storage_path"].endswith(".zip")
        archive = opened(desk.folder.joinpath(pack["storage_path"]).read_bytes())
        codes = columns_of(archive.read("codes.csv"))
        assert len(codes["file_name"]) == 30
        for file_name, url in zip(codes["file_name"], codes["resolver_url"], strict=True):
            (read,) = read_all(PIXELS[name](archive.read(file_name)))
            assert (read.text, read.ec_level) == (url, "Q")


def test_options_have_the_defaults_that_the_page_states() -> None:
    assert QrSvgOptions().model_dump() == {
        "error_correction": "M",
        "module_mm": 0.5,
        "quiet_zone_modules": 4,
    }
