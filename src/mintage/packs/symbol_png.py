"""A symbol as a PNG file: one bit a pixel, whole pixels a module, the resolution stated (PNG, RFC 2083).

Not here: reading one back; `qr_packs` does, with a reader that is not ours.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np

from mintage.packs.symbols import Symbol

INCH_MM: Final = 25.4
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_METRE_MM: Final = 1000


def symbol_png(symbol: Symbol, module_px: int, dpi: float, quiet_zone_modules: int) -> bytes:
    """The file: (modules + 2 × quiet zone) × `module_px` pixels in width and height, black on white.

    Its `pHYs` says `dpi`, so that a program that honours it prints a module of `module_px / dpi` inches.
    """
    light = ~symbol.with_quiet_zone(quiet_zone_modules)
    height, width = light.shape
    lines = np.packbits(np.repeat(light, module_px, axis=1), axis=1)
    # Each line of pixels begins with its filter, 0 for none.
    raw = b"".join([(b"\0" + line.tobytes()) * module_px for line in lines])
    header = struct.pack(">IIBBBBB", width * module_px, height * module_px, 1, 0, 0, 0, 0)
    pixels_a_metre = round(dpi * _METRE_MM / INCH_MM)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"pHYs", struct.pack(">IIB", pixels_a_metre, pixels_a_metre, 1)),
            _chunk(b"IDAT", zlib.compress(raw, 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
