"""Symbols as an independent reader sees them, and SVG files drawn by rules of their own."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import numpy as np
import zxingcpp
from numpy.typing import NDArray
from PIL import Image

SVG = "{http://www.w3.org/2000/svg}"
PATH_STEP = re.compile(r"([MhvHVz])([-0-9. ]*)")


def read_all(pixels: NDArray[np.uint8]) -> list[zxingcpp.Barcode]:
    """Every symbol that is found in an image of any kind."""
    return list(zxingcpp.read_barcodes(pixels))


def drawn(modules: NDArray[np.bool_], *, height: int = 1) -> NDArray[np.uint8]:
    """Modules as an image of four pixels each, ten modules of white around; each row `height` times."""
    tall = np.repeat(modules, height, axis=0)
    dark = np.pad(np.repeat(np.repeat(tall, 4, axis=0), 4, axis=1), 40)
    return np.where(dark, 0, 255).astype(np.uint8)


def png_pixels(content: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("L"))


def svg_root(content: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(content)  # noqa: S314 - written by the test itself


def svg_pixels(content: bytes, scale: int = 4) -> NDArray[np.uint8]:
    """An SVG of filled rectangles, drawn: `scale` pixels a unit of its view box."""
    root = svg_root(content)
    width, height = (int(each) for each in root.attrib["viewBox"].split()[2:])
    image = np.full((height * scale, width * scale), 128, dtype=np.uint8)
    for path in root.iter(f"{SVG}path"):
        value = 255 if path.attrib.get("fill") == "#fff" else 0
        for left, top, right, bottom in _rectangles(path.attrib["d"]):
            image[top * scale : bottom * scale, left * scale : right * scale] = value
    return image


def _rectangles(data: str) -> list[tuple[int, int, int, int]]:
    """The bounds of each closed part of a path of horizontal and vertical steps."""
    found = []
    x = y = 0
    points: list[tuple[int, int]] = []
    for command, text in PATH_STEP.findall(data):
        values = [int(each) for each in text.split()]
        if command == "z":
            xs, ys = {px for px, _ in points}, {py for _, py in points}
            assert len(xs) == len(ys) == 2, "a rectangle has two sides each way"
            found.append((min(xs), min(ys), max(xs), max(ys)))
            points = []
            continue
        match command:
            case "M":
                x, y = values
            case "h":
                x += values[0]
            case "H":
                x = values[0]
            case "v":
                y += values[0]
        points.append((x, y))
    return found
