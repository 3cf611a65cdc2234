"""The console's texts, by key: `texts/en.toml`. A translation is one more file of the same keys.

Not here: what the API says (reasons and errors come from `operations` as they are).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

LANGUAGES: Final = ("en",)


@cache
def texts(language: str = "en") -> Mapping[str, str]:
    """Every text of a language by its dotted key."""
    source = resources.files("mintage.console").joinpath(f"texts/{language}.toml")
    return MappingProxyType(dict(_flat(tomllib.loads(source.read_text("utf-8")), "")))


def text(key: str, /, **values: object) -> str:
    """The text of `key`, with `{name}` filled in. Raises `KeyError` for a key there is not.

    With `count` 1 the text of `<key>_one` is taken, if there is one.
    """
    found = texts()
    if values.get("count") == 1 and f"{key}_one" in found:
        key = f"{key}_one"
    sentence = found[key]
    if "{" not in sentence:
        return sentence
    return sentence.format_map({name: _shown(value) for name, value in values.items()})


def has_text(key: str) -> bool:
    """True if there is a text of this key."""
    return key in texts()


def field_name(argument: str) -> str:
    """An argument as a person reads it: `_requested_quantity` is Quantity."""
    name = argument.lstrip("_")
    known = texts().get(f"field.{name}")
    return known if known is not None else name[:1].upper() + name[1:].replace("_", " ")


def _shown(value: object) -> object:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value


def _flat(table: Mapping[str, object], above: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", str(value)
