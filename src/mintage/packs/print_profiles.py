"""Print profiles: how a table is written for a vendor's software, as data files in `profiles/` (SPEC §7).

A profile is chosen by name when packs are asked for, else the brand's default is taken, else the
format's own form is written. Not here: writing a table by a profile (`packs.tables`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Quoting = Literal["all", "minimal"]
Encoding = Literal["utf-8", "utf-8-sig"]
LineEnd = Literal["\n", "\r\n"]


@dataclass(frozen=True, slots=True)
class PrintProfile:
    """One profile. `headers` has other names for columns; those it lacks keep their own."""

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
