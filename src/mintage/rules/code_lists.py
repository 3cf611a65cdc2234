"""Code lists that Application Identifiers refer to: countries, currencies, package and media types.

The values are data of the package (`data/code-lists.txt`, see its README for the source).
"""

from functools import cache
from importlib.resources import files
from typing import Literal

CodeList = Literal["iso3166", "iso3166alpha2", "iso4217", "mediatype", "packagetype"]


@cache
def codes_of(name: CodeList) -> frozenset[str]:
    """All values of a list. Raises LookupError if the package's data lacks it."""
    text = files("mintage.rules").joinpath("data/code-lists.txt").read_text(encoding="ascii")
    for line in text.splitlines():
        list_name, *codes = line.split()
        if list_name == name:
            return frozenset(codes)
    raise LookupError(f"no code list {name}")
