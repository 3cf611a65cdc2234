"""Who asks: a person, a program that may stand for one, or a bot; and which browser, system and device.

The lists are of two libraries that are kept up (crawlerdetect, ua-parser). Only families are read, no
versions: nothing here tells one person from another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import ua_parser
from crawlerdetect import CrawlerDetect

AgentClass = Literal["human", "unknown", "bot"]

USER_AGENT_CHARACTERS_MAX: Final = 512
_AGENTS_REMEMBERED: Final = 4096

_CRAWLERS: Final = CrawlerDetect()
# What scanner apps, tills and conformance tests are built with. The library lists them as crawlers; by
# themselves they say nothing about who asks.
_HTTP_LIBRARIES: Final = re.compile(
    r"(?:(?:aiohttp|apache-httpclient|axios|curl|dart|deno|go-http-client|got|guzzlehttp|insomnia|java"
    r"|java-http-client|jersey|libcurl|libwww-perl|ktor-client|node|node-fetch|okhttp|php|postmanruntime"
    r"|python|python-httpx2?|python-requests|python-urllib|reactor-netty|ruby|undici|unirest-java|wget)"
    r"(?:/\S*)?(?:\s+|$)(?:\((?:java/|dart:)[^)]*\)\s*)?)+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Families:
    """Browser, operating system and device, each a family's name or None."""

    browser: str | None
    os: str | None
    device: str | None


NO_FAMILIES: Final = Families(None, None, None)


@lru_cache(maxsize=_AGENTS_REMEMBERED)
def agent_class(user_agent: str) -> AgentClass:
    """`bot`: a crawler or a link preview. `human`: what calls itself a browser. `unknown`: the rest."""
    text = user_agent[:USER_AGENT_CHARACTERS_MAX].strip()
    if not text:
        return "unknown"
    library = _HTTP_LIBRARIES.match(text)
    if _CRAWLERS.is_crawler(text[library.end() :] if library is not None else text):
        return "bot"
    return "human" if text.startswith("Mozilla/") else "unknown"


@lru_cache(maxsize=_AGENTS_REMEMBERED)
def families(user_agent: str) -> Families:
    """The families that the library reads from a User-Agent; of a device its maker, Apple's by name."""
    found = ua_parser.parse(user_agent[:USER_AGENT_CHARACTERS_MAX])
    device = found.device
    return Families(
        browser=found.user_agent.family if found.user_agent is not None else None,
        os=found.os.family if found.os is not None else None,
        device=(device.family if device.brand == "Apple" else device.brand)
        if device is not None
        else None,
    )
