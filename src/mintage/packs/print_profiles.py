"""Print profiles: how a table is written for a vendor's software, as data files in `profiles/` (SPEC §7).

A profile is chosen by name when packs are asked for, else the brand's default is taken, else the
format's own form is written. Not here: writing a table by a profile (`packs.tables`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import resources
from string import Formatter
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

Quoting = Literal["all", "minimal"]
Encoding = Literal["utf-8", "utf-8-sig"]
LineEnd = Literal["\n", "\r\n"]

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class PrintProfile:
    """One profile. `headers` has other names for columns; those it lacks keep their own.

    `file_name` is the pattern of the name under which a pack is downloaded (`file_name_of`).
    """

    name: str
    title: str
    delimiter: str
    quoting: Quoting
    line_end: LineEnd
    encoding: Encoding
    has_header: bool
    headers: Mapping[str, str]
    file_name: str

    def header_of(self, column: str) -> str:
        """What this profile calls the column."""
        return self.headers.get(column, column)

    def file_name_of(self, place: PackPlace) -> str:
        """The name of the pack's file; of other characters than `A-Za-z0-9._-` an underscore is left."""
        return _UNSAFE.sub("_", self.file_name.format(**asdict(place)))


@dataclass(frozen=True, slots=True)
class PackPlace:
    """What a pattern of file names may say of a pack, each in braces."""

    export_group_id: UUID
    mint_batch_id: UUID
    product_sku: str
    pack_index: int
    pack_count: int
    extension: str


class _ProfileFile(BaseModel):
    """A data file: TOML with exactly these keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    title: str = Field(min_length=1, max_length=100)
    delimiter: Literal[",", ";", "\t", "|"]
    quoting: Quoting
    line_end: LineEnd
    encoding: Encoding
    has_header: bool
    headers: dict[str, str]
    file_name: str

    @field_validator("file_name")
    @classmethod
    def _has_known_places(cls, pattern: str) -> str:
        places = {name for _, name, _, _ in Formatter().parse(pattern) if name is not None}
        unknown = places - {each.name for each in fields(PackPlace)}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: no place of a file's name")
        return pattern


def _load() -> dict[str, PrintProfile]:
    profiles = {}
    folder = resources.files("mintage.packs").joinpath("profiles")
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name, dot, extension = file.name.rpartition(".")
        if dot and extension == "toml":
            read = _ProfileFile.model_validate(tomllib.loads(file.read_text("utf-8")))
            profiles[name] = PrintProfile(name=name, **read.model_dump())
    return profiles


PROFILES: Final[Mapping[str, PrintProfile]] = _load()
