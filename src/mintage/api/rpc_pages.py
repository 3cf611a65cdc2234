"""What the page docs/api/<name>.md says of an RPC: its purpose, examples and errors, as data.

OpenAPI tells the same, so it is read from there and written once. Not here: HTML (`docs_pages`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from mintage.api.docs_source import docs_sources

_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)
_JSON: Final = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
_ERROR: Final = re.compile(r"^- ([45][0-9]{2})\b (.+)$", re.MULTILINE)
_TOPIC: Final = re.compile(r"^## (.+)\n((?:(?!## ).*\n)*)", re.MULTILINE)
_TARGET: Final = re.compile(r"^- \[[^\]]+\]\(([a-z0-9_-]+)\.md\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """A JSON block: the heading it stands under, and what it holds."""

    title: str
    content: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RpcPage:
    """`purpose` is the text above the first section; `errors` are sentences by HTTP status."""

    purpose: str
    request: Example
    answers: tuple[Example, ...]
    errors: Mapping[int, tuple[str, ...]]


@cache
def rpc_page(name: str) -> RpcPage:
    """The page of RPC `name`. Raises `LookupError` for one that has none, or no request."""
    sections = _sections(docs_sources()[f"api/{name}"])
    examples = [
        Example(title, json.loads(block))
        for title, text in sections.items()
        if title.startswith(("Request", "Response"))
        for block in _JSON.findall(text)
    ]
    requests = [example for example in examples if example.title == "Request"]
    errors: dict[int, list[str]] = {}
    for status, sentence in _ERROR.findall(sections.get("Errors", "")):
        errors.setdefault(int(status), []).append(sentence)
    return RpcPage(
        purpose=sections[""].partition("\n")[2].strip(),
        request=requests[0],
        answers=tuple(example for example in examples if example.title != "Request"),
        errors={status: tuple(sentences) for status, sentences in errors.items()},
    )


@cache
def topics() -> Mapping[str, tuple[str, ...]]:
    """The topics of docs/api/README.md in their order, and the pages that each lists."""
    return {
        title: tuple(_TARGET.findall(text))
        for title, text in _TOPIC.findall(docs_sources()["api/README"])
        if _TARGET.search(text)
    }


def _sections(text: str) -> dict[str, str]:
    """The text under each `##` heading; what stands above the first is under the empty title."""
    first, *rest = _HEADING.split(text)
    return {"": first} | dict(zip(rest[::2], rest[1::2], strict=True))
