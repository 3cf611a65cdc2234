"""Pages at the limits: as many links, as long a description as a product may have, in every language."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from uuid import uuid4

import pytest

from mintage.operations.product_links import LINKS_MAX
from mintage.operations.resolving import Link, ProductShown
from mintage.resolver.link_names import ALL_LINKS, TYPE_NAMES
from mintage.resolver.pages import PAGE_BYTES_MAX, choices_page, product_page
from mintage.resolver.texts import LANGUAGES, TEXTS, Language
from mintage.rules.link_types import link_types
from tests.resolver.desk import NOW

PAGE = "https://acme.example.com/p/01234567-89ab-cdef-0123-456789abcdef"
TYPES = ("gs1:pip", "gs1:instructions", "gs1:support", "gs1:statisticInfo", "gs1:certificationInfo")


def _links(count: int, types: tuple[str, ...] = TYPES) -> list[Link]:
    return [
        Link(
            types[number % len(types)],
            f"https://www.brand.example/oak-table/papers/{number}?language=de&version=2",
            f"Aufbau & Pflege, Teil {number}",
            "de-AT",
            "application/pdf",
            False,
        )
        for number in range(count)
    ]


def _page(language: Language, description: str, links: list[Link]) -> str:
    product = ProductShown(
        uuid4(),
        "Eichentisch „Vogesen“",
        description,
        "https://brand.example/a.png",
        "09506000134352",
    )
    return product_page(language, "Möbel & Söhne", product, PAGE, NOW.date(), links).html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("description", ["", "a" * 2000, "ß " * 1000, "木" * 2000, "&" * 2000])
@pytest.mark.parametrize("count", [50, LINKS_MAX])
def test_a_products_page_weighs_less_than_twenty_kilobytes(
    language: Language, description: str, count: int
) -> None:
    html = _page(language, description, _links(count))
    assert len(html.encode()) < PAGE_BYTES_MAX == 20_000
    assert unescape(html).count(description) >= 1
    shown = re.findall(r"<h3[^>]*>([^<]+)</h3>", html)
    assert len(shown) == len(TYPES), "there is room for one of each type"
    assert TYPE_NAMES["gs1:support"][LANGUAGES.index(language)] in shown
    assert html.count("<li>") >= len(TYPES)
    assert (ALL_LINKS[language] in html) == (html.count("<li>") < count)


def test_links_of_any_length_leave_the_page_light_and_the_first_is_there() -> None:
    long = [replace(link, href=f"https://a.example/{'&' * 1900}") for link in _links(30)]
    html = _page("en", "&" * 2000, long)
    assert (html.count("<li>"), ALL_LINKS["en"] in html) == (1, True)
    assert len(_page("en", "", long).encode()) < PAGE_BYTES_MAX


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("count", [2, 50, LINKS_MAX])
def test_a_page_of_choices_weighs_less_than_twenty_kilobytes(
    language: Language, count: int
) -> None:
    html = choices_page(language, "Möbel & Söhne", _links(count, ("gs1:support",))).html
    assert len(html.encode()) < PAGE_BYTES_MAX
    assert html.count("<li>") >= min(count, 40)
    assert (ALL_LINKS[language] in html) == (html.count("<li>") < count)
    assert "<h3" not in html


def test_links_stand_by_their_type_under_its_name() -> None:
    html = _page("fr", "", [replace(link, hreflang=None) for link in _links(7)])
    said = [
        unescape(text) for text in re.findall(r'<h3[^>]*>[^<]+</h3>|(?<=">)[^<]+(?=<small>)', html)
    ]
    assert said == [
        "<h3>Certificats</h3>",
        "Aufbau & Pflege, Teil 4",
        "<h3>Mode d’emploi</h3>",
        "Aufbau & Pflege, Teil 1",
        "Aufbau & Pflege, Teil 6",
        "<h3>Informations produit</h3>",
        "Aufbau & Pflege, Teil 0",
        "Aufbau & Pflege, Teil 5",
        '<h3 lang="en">Statistics</h3>',
        "Aufbau & Pflege, Teil 3",
        "<h3>Assistance</h3>",
        "Aufbau & Pflege, Teil 2",
    ]
    assert ALL_LINKS["fr"] not in html
    assert TEXTS["fr"].links in html


def test_every_named_type_is_one_and_has_a_name_in_each_language() -> None:
    assert TYPE_NAMES.keys() <= link_types().keys()
    assert {len(names) for names in TYPE_NAMES.values()} == {len(LANGUAGES)}
    assert all(name and name == name.strip() for names in TYPE_NAMES.values() for name in names)
