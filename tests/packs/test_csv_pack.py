"""The csv format by itself: what is written is read back by an independent reader."""

from __future__ import annotations

import csv
import io
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.packs.csv_pack import COLUMNS, write_csv
from mintage.packs.print_profiles import PROFILES
from mintage.packs.rows import UnitRow
from mintage.rules.gs1 import SET_82
from tests.packs.building import MOMENT, context, row
from tests.packs.reading import columns_of, opened_by_libreoffice


def written(rows: list[UnitRow]) -> bytes:
    return b"".join(write_csv(context(), rows))


def test_a_file_is_written_to_the_letter() -> None:
    assert written([row(serial_number='a"b,c')]) == (
        b'"unit_id","resolver_url","serial_number","gtin","status","created_at"\r\n'
        b'"01900000-0000-7000-8000-000000000000",'
        b'"https://id.example.com/01/09506000134352/21/A0",'
        b'"a""b,c","09506000134352","minted","2026-11-24T13:14:15.000016Z"\r\n'
    )


def test_null_is_an_empty_quoted_field() -> None:
    lines = written([row(serial_number=None, gtin=None)]).split(b"\r\n")
    assert lines[1].split(b",")[2:4] == [b'""', b'""']


def test_a_time_of_another_zone_is_written_as_utc() -> None:
    east = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert b'"2026-11-24T13:14:15.000016Z"' in written([row(created_at=east)])


def test_each_unit_has_its_own_time() -> None:
    later = MOMENT + timedelta(microseconds=1)
    times = columns_of(written([row(0), row(1, created_at=later), row(2)]))["created_at"]
    assert [text[-7:] for text in times] == ["000016Z", "000017Z", "000016Z"]


@given(st.lists(st.text(SET_82, min_size=1, max_size=20), min_size=1, max_size=30))
def test_every_serial_of_set_82_is_read_back_unaltered(serials: list[str]) -> None:
    content = written([row(no, serial_number=serial) for no, serial in enumerate(serials)])
    assert columns_of(content)["serial_number"] == serials
    strict = csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)
    assert [line["serial_number"] for line in strict] == serials


def test_many_units_are_written_in_parts_and_in_order() -> None:
    chunks = list(write_csv(context(), (row(no) for no in range(5001))))
    assert len(chunks) == 4
    assert columns_of(b"".join(chunks))["serial_number"] == [f"A{no}" for no in range(5001)]


@pytest.mark.parametrize(
    "name", [None, "bartender", "generic_vdp_lf", "nicelabel", "zebradesigner"]
)
@pytest.mark.long
def test_libreoffice_opens_the_cells_of_the_units(name: str | None, tmp_path: Path) -> None:
    serials = ["00012", 'a"b,c;d', "=1+1", "-1", "1E5", "12/24", "TRUE", None]
    rows = [row(no, serial_number=serial) for no, serial in enumerate(serials)]
    rows[-1] = rows[-1]._replace(gtin=None, status="revoked")
    profile = PROFILES[name] if name is not None else None
    content = b"".join(write_csv(context(profile=profile), rows))
    opened = opened_by_libreoffice(
        content, len(COLUMNS), tmp_path, profile.delimiter if profile is not None else ","
    )
    header, *lines = csv.reader(io.StringIO(opened.decode(), newline=""), strict=True)
    assert header == [profile.header_of(each) if profile is not None else each for each in COLUMNS]
    assert lines == [
        [
            str(each.unit_id),
            each.resolver_url,
            each.serial_number or "",
            each.gtin or "",
            each.status,
            "2026-11-24T13:14:15.000016Z",
        ]
        for each in rows
    ]
