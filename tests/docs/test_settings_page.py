"""docs/settings.md has every setting and limit, with its default. Mend a failure by editing the page."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from mintage.settings import SETTINGS, Limits

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text("utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in PAGE.splitlines()
    if re.match(r"\| `[A-Za-z_]+` \|", line)
]


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def test_every_setting_has_its_row() -> None:
    stated = [row for row in ROWS if row[0].startswith("`MINTAGE_")]
    assert stated == [
        (f"`{doc.variable}`", f"`{doc.default}`" if doc.default else "", doc.meaning)
        for doc in SETTINGS
    ]


def test_every_limit_has_its_row() -> None:
    stated = [row[:2] for row in ROWS if not row[0].startswith("`MINTAGE_")]
    defaults = Limits()
    assert stated == [
        (f"`{limit.name}`", _shown(getattr(defaults, limit.name))) for limit in fields(Limits)
    ]
