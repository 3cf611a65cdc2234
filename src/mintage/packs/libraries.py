"""The libraries that packs draw and read pictures with, each loaded when it is first needed.

Together they take a quarter of a second and 30 MiB, which a process that mints, or serves pages, does
without. Nothing else in the platform imports them (a test says so). Not here: what is drawn.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.pdfgen.canvas import Canvas


def font_face(name: str, path: Path) -> TTFont:
    """A TrueType font as reportlab reads it."""
    from reportlab.pdfbase.ttfonts import TTFont

    return TTFont(name, str(path), shapable=False)


def new_canvas(
    buffer: io.BytesIO, page_size_pt: tuple[float, float], faces: list[TTFont]
) -> Canvas:
    """reportlab's canvas, which writes a PDF to `buffer` in these fonts; the first one is there at the
    start of a page. The same calls make the same bytes."""
    from reportlab import rl_config
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfgen.canvas import Canvas

    # Streams in base 85 would be a quarter larger, for transports of seven bits that nobody has.
    rl_config.useA85 = 0
    for face in faces:
        pdfmetrics.registerFont(face)
    return Canvas(
        buffer,
        pagesize=page_size_pt,
        pageCompression=1,
        invariant=1,
        # Else it would be Helvetica, which is not embedded.
        initialFontName=faces[0].fontName,
    )


def open_pdf(file: Path | bytes) -> Any:
    """PDFium's document of a file or of its content: a context manager that closes it."""
    import pypdfium2

    return pypdfium2.PdfDocument(file)


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """Grey pixels, rows from the top, as a PNG."""
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "PNG", optimize=True)
    return picture.getvalue()


def grey_pixels(content: bytes) -> NDArray[np.uint8]:
    """The pixels of a picture in grey, rows from the top."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("L"))
