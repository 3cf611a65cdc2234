"""A symbol as an SVG file: one path over a white ground, its size in millimetres, its unit one module.

Runs of dark modules are rectangles of one path: a renderer adds their areas up, and no seams are seen
between rows at any scale.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mintage.packs.symbols import Symbol

_SIZE: Final = re.compile(rb'viewBox="0 0 (\d+) (\d+)"')
_RUN: Final = re.compile(rb"M(\d+) (\d+)h(\d+)v1h-\d+z")


def symbol_svg(symbol: Symbol, module_mm: float, quiet_zone_modules: int) -> bytes:
    """The file: UTF-8, one `svg` of (modules + 2 × quiet zone) × `module_mm` in width and height."""
    width = symbol.width + 2 * quiet_zone_modules
    height = symbol.height + 2 * quiet_zone_modules
    # A light module on either side: where the difference is not nought, a run begins or ends.
    edges = np.flatnonzero(np.diff(np.pad(symbol.modules, ((0, 0), (1, 1))).astype(np.int8)))
    rows, columns = np.divmod(edges.reshape(-1, 2), symbol.width + 1)
    starts = zip(
        (columns[:, 0] + quiet_zone_modules).tolist(),
        (rows[:, 0] + quiet_zone_modules).tolist(),
        (columns[:, 1] - columns[:, 0]).tolist(),
        strict=True,
    )
    path = "".join([f"M{x} {y}{_rectangle(run)}" for x, y, run in starts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_mm(width * module_mm)}mm" '
        f'height="{_mm(height * module_mm)}mm" viewBox="0 0 {width} {height}" '
        f'shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{width}v{height}H0z"/>'
        f'<path d="{path}"/></svg>\n'
    ).encode()


def read_symbol_svg(file: bytes) -> NDArray[np.bool_]:
    """The modules of a file of `symbol_svg`, quiet zone included. Raises `ValueError` for another."""
    size = _SIZE.search(file)
    if size is None:
        raise ValueError("not an SVG of a symbol")
    modules = np.zeros((int(size[2]), int(size[1])), dtype=np.bool_)
    for column, row, run in _RUN.findall(file):
        modules[int(row), int(column) : int(column) + int(run)] = True
    return modules


@cache
def _rectangle(run: int) -> str:
    return f"h{run}v1h-{run}z"


def _mm(length: float) -> str:
    return f"{length:.4f}".rstrip("0").rstrip(".")
