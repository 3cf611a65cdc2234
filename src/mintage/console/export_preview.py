"""One row or one label of an export, before it is asked for: as the pack would hold it.

Tables and documents are shown as text, labels and codes as pictures. Nothing is kept. Not here: the form.
"""

from __future__ import annotations

import asyncio
import base64
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mintage.console.acting import refusal_sentence
from mintage.console.forms import Form
from mintage.console.option_fields import options_of
from mintage.console.visit import Visit
from mintage.errors import INVALID_INPUT, SUBJECT_NOT_FOUND, MintageError
from mintage.operations.arguments_exports import RequestPayloadPacks
from mintage.operations.pack_preview import preview_payload_pack
from mintage.packs.columns import UnitColumns
from mintage.packs.context import PackContext
from mintage.packs.formats import FORMATS
from mintage.packs.label_options import LabelsPdfOptions
from mintage.packs.label_rendering import rendered
from mintage.packs.labels_pdf import start_position
from mintage.packs.libraries import png_of
from mintage.packs.making import pack_chunks
from mintage.rpcs import Rpc

_PREVIEW: Final = Rpc(preview_payload_pack, RequestPayloadPacks, "exports:write", is_read_only=True)
_TEXT_CHARACTERS_MAX: Final = 4000
_PIXELS_A_MM: Final = 8
_LABEL_PIXELS_MAX: Final = 1200
_IMAGE_TYPES: Final = {"png": "image/png", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Preview:
    """`text`, or `image_url` (a data URL) with the picture's `name`, or the `problem` that is in the way."""

    text: str | None = None
    image_url: str | None = None
    name: str = ""
    problem: str | None = None


def request_of(form: Form) -> dict[str, object]:
    """What the form asks `request_payload_packs` for."""
    pack_format = FORMATS.get(form.get("format"))
    options = options_of(pack_format.options_model, form) if pack_format is not None else None
    return {
        "mint_batch_id": form.optional("mint_batch_id"),
        "format": form.optional("format"),
        "profile": form.optional("profile"),
        "options": options or None,
    }


async def preview_of(visit: Visit, form: Form) -> Preview:
    """What a pack of the form's choice begins with; what is in the way of it is told."""
    try:
        answer = await visit.ask_own(_PREVIEW, **request_of(form))
    except MintageError as error:
        if error.kind not in {INVALID_INPUT, SUBJECT_NOT_FOUND}:
            raise
        return Preview(problem=error.details or error.message)
    if not answer["ok"]:
        return Preview(problem=refusal_sentence(answer))
    return await asyncio.to_thread(_made, form.get("format") or "csv", answer)


def _made(format_name: str, answer: Mapping[str, Any]) -> Preview:
    context: PackContext = answer["context"]
    columns: list[UnitColumns] = answer["columns"]
    content = b"".join(pack_chunks(format_name, context, columns))
    if isinstance(context.options, LabelsPdfOptions):
        return _label(context, context.options, content)
    if FORMATS[format_name].media_type == "application/zip":
        return _first_picture(content)
    text = content.decode("utf-8-sig")
    return Preview(text=text[:_TEXT_CHARACTERS_MAX])


def _label(context: PackContext, options: LabelsPdfOptions, content: bytes) -> Preview:
    """The label of the first unit, drawn as a printer would."""
    sheet = options.measured()
    if isinstance(sheet, str):
        return Preview(problem=sheet)
    largest_mm = max(sheet.label_width_mm, sheet.label_height_mm)
    pixels_a_mm = min(_PIXELS_A_MM, _LABEL_PIXELS_MAX / largest_mm)
    with rendered(content, sheet) as labels:
        pixels = labels.label(0, start_position(context, options) - 1, pixels_a_mm)
    name = f"{sheet.label_width_mm:g} × {sheet.label_height_mm:g} mm"
    return Preview(image_url=_data_url("png", png_of(pixels)), name=name)


def _first_picture(content: bytes) -> Preview:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = next(each for each in archive.namelist() if each.rpartition(".")[2] in _IMAGE_TYPES)
        return Preview(image_url=_data_url(name.rpartition(".")[2], archive.read(name)), name=name)


def _data_url(extension: str, content: bytes) -> str:
    return f"data:{_IMAGE_TYPES[extension]};base64,{base64.b64encode(content).decode('ascii')}"
