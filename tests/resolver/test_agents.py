"""Which agents are people, programs and bots, and which language a reader asks for."""

from __future__ import annotations

import pytest

from mintage.operations.user_agents import AgentClass, agent_class, families
from mintage.resolver.texts import LANGUAGES, TEXTS, language_of
from tests.resolver.desk import IPHONE


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (IPHONE, "human"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "human"),
        ("", "unknown"),
        ("Scanner/3 CFNetwork/1410 Darwin/22.6.0", "unknown"),
        ("Python/3.11 aiohttp/3.9.1", "unknown"),
        ("Apache-HttpClient/4.5.14 (Java/17.0.9)", "unknown"),
        ("python-requests/2.31.0", "unknown"),
        ("curl/8.5.0 AhrefsBot/7.0", "bot"),
        ("LinkedInBot/1.0", "bot"),
        ("TelegramBot (like TwitterBot)", "bot"),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "bot"),
        ("SkypeUriPreview Preview/0.5", "bot"),
    ],
)
def test_agents_are_told_apart(user_agent: str, expected: AgentClass) -> None:
    assert agent_class(user_agent) == expected


def test_of_a_device_the_maker_is_read_and_no_model() -> None:
    galaxy = (
        "Mozilla/5.0 (Linux; Android 13; SM-G991B) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/118.0 Mobile Safari/537.36"
    )
    read = families(galaxy)
    assert (read.browser, read.os, read.device) == ("Chrome", "Android", "Samsung")
    assert families("").browser is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "en"),
        ("*", "en"),
        ("nl, ja", "en"),
        ("de-CH, fr;q=0.8", "de"),
        ("fr;q=0.2, it;q=0.9", "it"),
        ("en;q=0, es;q=0.1", "es"),
        ("es;q=oops, fr;q=0.5", "fr"),
        ("DE", "de"),
        (",;=,;q", "en"),
        ("de;q=nan, fr;q=0.1", "fr"),
    ],
)
def test_the_language_that_a_reader_likes_best_is_found(header: str, expected: str) -> None:
    assert language_of(header) == expected


def test_every_language_says_everything() -> None:
    names = set(TEXTS["en"].messages)
    for language in LANGUAGES:
        texts = TEXTS[language]
        assert set(texts.messages) == names
        assert len(set(texts.months)) == 12
        assert "{day}" in texts.genuine_since
