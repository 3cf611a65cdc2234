"""CSV packs as an independent reader sees them."""

from __future__ import annotations

import io

import pandas


def columns_of(*files: bytes) -> dict[str, list[str]]:
    """The columns of the files one after another, all values as text, empty where there is none."""
    frames = [
        pandas.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8")
        for content in files
    ]
    whole = pandas.concat(frames)
    return {str(name): [str(value) for value in whole[name]] for name in whole.columns}
