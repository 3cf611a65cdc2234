"""Link types of the GS1 Web Vocabulary: what a link of a product leads to.

The list is data of the package (`data/gs1-link-types.json`, see its README for the source). Not here:
the form of a link's address (`web_links`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

CURIE_PREFIX: Final = "gs1:"
VOCABULARY: Final = "https://ref.gs1.org/voc/"
DEFAULT_LINK: Final = "gs1:defaultLink"
"""What a link is by its flag: the type of the link that answers where no type is asked for."""


@dataclass(frozen=True, slots=True)
class LinkType:
    """One link type: `curie` is `gs1:pip`, `uri` the same in full."""

    curie: str
    title: str
    is_deprecated: bool

    @property
    def uri(self) -> str:
        return VOCABULARY + self.curie.removeprefix(CURIE_PREFIX)


@cache
def link_types() -> Mapping[str, LinkType]:
    """Every link type of the vocabulary by its curie."""
    text = files("mintage.rules").joinpath("data/gs1-link-types.json").read_text("utf-8")
    found = {
        CURIE_PREFIX + name: LinkType(
            CURIE_PREFIX + name, facts["title"], facts["status"] == "deprecated"
        )
        for name, facts in json.loads(text).items()
    }
    return MappingProxyType(found)
