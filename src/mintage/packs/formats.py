"""The one table of pack formats: a new format is one file beside this one and a row here.

A group's manifest is no row: nobody asks for it, every group ends with one (`packs.signed_manifest`).
Not here: which units a pack holds and where its file goes (`operations.pack_execution`, `storage`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mintage.packs import signed_manifest
from mintage.packs.columns import UnitColumns
from mintage.packs.context import PackContext, PackOptions, PackRefusal, PackSubject
from mintage.packs.csv_columns import write_csv_columns
from mintage.packs.csv_pack import write_csv
from mintage.packs.epcis import EpcisOptions, refuse_epcis, write_epcis
from mintage.packs.label_options import LabelsPdfOptions
from mintage.packs.label_refusals import refuse_labels_pdf, wants_all_lengths
from mintage.packs.label_verification import verify_labels_pdf
from mintage.packs.labels_pdf import write_labels_pdf
from mintage.packs.manifest_packs import write_full_manifest, write_qr_manifest
from mintage.packs.nfc import NfcOptions, refuse_nfc, wants_url_length, write_nfc
from mintage.packs.qr_packs import (
    QrPngOptions,
    QrSvgOptions,
    refuse_qr_png,
    verify_qr_png,
    verify_qr_svg,
    write_qr_png,
    write_qr_svg,
)
from mintage.packs.rfid import RfidOptions, refuse_rfid, wants_serial_facts, write_rfid
from mintage.packs.rows import UnitRow
from mintage.rules.lifecycle import IDENTITY_MODES, IdentityMode

Writer = Callable[[PackContext, Iterable[UnitRow]], Iterator[bytes]]
"""Rows in unit order in, the file's bytes in order out; holds no more than a slice's worth of them.

The same context and rows give the same bytes: no clock, no randomness."""
ColumnWriter = Callable[[PackContext, list[UnitColumns]], Iterator[bytes | memoryview]]
"""The same bytes from columns, for a format that is written faster so."""
Verifier = Callable[[PackContext, Sequence[UnitRow], Path], None]
"""Reads a written file back, a sample of it, before the pack is closed. Raises `PackUnreadable`."""
Refuser = Callable[[PackSubject], Sequence[PackRefusal]]
"""All reasons why the format cannot be written of this subject; none if it can."""


@dataclass(frozen=True, slots=True)
class PackFormat:
    """One row of the table.

    A batch of another identity mode is refused with `FORMAT_NOT_APPLICABLE`; what else is refused,
    `refuse` says. `wants_unit_facts` says of some options that `refuse` needs to know all serials.
    `uses_profiles`: a print profile changes the file. `is_heavy`: writing computes so long that it is
    done in a process of its own.
    """

    name: str
    file_extension: str
    media_type: str
    write: Writer
    write_columns: ColumnWriter | None = None
    identity_modes: frozenset[IdentityMode] = frozenset(IDENTITY_MODES)
    options_model: type[PackOptions] = PackOptions
    uses_profiles: bool = False
    refuse: Refuser | None = None
    wants_unit_facts: Callable[[PackOptions], bool] | None = None
    is_heavy: bool = False
    verify: Verifier | None = None


_ROWS: Final = (
    PackFormat(
        name="csv",
        file_extension="csv",
        media_type="text/csv; charset=utf-8",
        write=write_csv,
        write_columns=write_csv_columns,
        uses_profiles=True,
    ),
    PackFormat(
        name="epcis",
        file_extension="jsonld",
        media_type="application/ld+json",
        write=write_epcis,
        options_model=EpcisOptions,
        refuse=refuse_epcis,
        is_heavy=True,
    ),
    PackFormat(
        name="labels_pdf",
        file_extension="pdf",
        media_type="application/pdf",
        write=write_labels_pdf,
        options_model=LabelsPdfOptions,
        refuse=refuse_labels_pdf,
        wants_unit_facts=wants_all_lengths,
        is_heavy=True,
        verify=verify_labels_pdf,
    ),
    PackFormat(
        name="full_manifest",
        file_extension="csv",
        media_type="text/csv; charset=utf-8",
        write=write_full_manifest,
        uses_profiles=True,
        is_heavy=True,
    ),
    PackFormat(
        name="nfc",
        file_extension="csv",
        media_type="text/csv; charset=utf-8",
        write=write_nfc,
        options_model=NfcOptions,
        uses_profiles=True,
        refuse=refuse_nfc,
        wants_unit_facts=wants_url_length,
        is_heavy=True,
    ),
    PackFormat(
        name="qr_manifest",
        file_extension="csv",
        media_type="text/csv; charset=utf-8",
        write=write_qr_manifest,
        uses_profiles=True,
        is_heavy=True,
    ),
    PackFormat(
        name="qr_png",
        file_extension="zip",
        media_type="application/zip",
        write=write_qr_png,
        options_model=QrPngOptions,
        refuse=refuse_qr_png,
        is_heavy=True,
        verify=verify_qr_png,
    ),
    PackFormat(
        name="qr_svg",
        file_extension="zip",
        media_type="application/zip",
        write=write_qr_svg,
        options_model=QrSvgOptions,
        is_heavy=True,
        verify=verify_qr_svg,
    ),
    PackFormat(
        name="rfid",
        file_extension="csv",
        media_type="text/csv; charset=utf-8",
        write=write_rfid,
        identity_modes=frozenset({"serial"}),
        options_model=RfidOptions,
        uses_profiles=True,
        refuse=refuse_rfid,
        wants_unit_facts=wants_serial_facts,
        is_heavy=True,
    ),
)

FORMATS: Final = {row.name: row for row in _ROWS}


def file_extension_of(format_name: str) -> str:
    """The extension of a pack's file; `bin` for a format that is gone."""
    if format_name == signed_manifest.FORMAT:
        return signed_manifest.FILE_EXTENSION
    return FORMATS[format_name].file_extension if format_name in FORMATS else "bin"


def media_type_of(format_name: str) -> str:
    """The media type of a pack's file."""
    if format_name == signed_manifest.FORMAT:
        return signed_manifest.MEDIA_TYPE
    return FORMATS[format_name].media_type if format_name in FORMATS else "application/octet-stream"
