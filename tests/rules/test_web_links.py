"""Forms of links and locations: URLs, URIs, language tags, media types."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mintage.rules.violation import RuleViolation
from mintage.rules.web_links import (
    URL_CHARACTERS_MAX,
    check_https_url,
    check_language_tag,
    check_link_context,
    check_location_uri,
    check_media_type,
)


def refused(check: Callable[[str], None], value: str) -> None:
    with pytest.raises(RuleViolation) as raised:
        check(value)
    assert raised.value.problem
    assert raised.value.hint


@pytest.mark.parametrize(
    "value",
    [
        "https://example.com",
        "https://example.com/",
        "https://example.com?a=b",
        "https://example.com#a",
        "https://EXAMPLE.com:8443/a/b;c?d=%C3%A4&e=[1]#f",
        "https://xn--bcher-kva.example/",
        "https://my_shop.example/@name/a@b",
        "https://127.0.0.1/",
        "https://[2001:db8::1]:8443/",
        "https://localhost/",
        "https://example.com./",
        "https://example.com/" + "a" * (URL_CHARACTERS_MAX - 20),
    ],
)
def test_an_absolute_https_url_is_right(value: str) -> None:
    check_https_url(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "https",
        "https:",
        "https:/example.com",
        "https:///example.com",
        "https://",
        "https://?a",
        "http://example.com/",
        "HTTPS://example.com/",
        "//example.com/",
        "/a/b",
        "javascript:alert(1)",
        "data:text/html,x",
        " https://example.com/",
        "https://example.com/ ",
        "https://example.com/a b",
        "https://example.com/\t",
        "https://example.com/\r\nx: y",
        "https://example.com/\x00",
        "https://example.com/ä",
        "https://bücher.example/",
        "https://example.com/%",
        "https://example.com/%2",
        "https://example.com/%zz",
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://@example.com/",
        "https://example.com\\@evil.example/",
        "https://example.com\\.evil.example/",
        "https://exa$mple.com/",
        "https://-example.com/",
        "https://example-.com/",
        "https://example..com/",
        "https://.example.com/",
        "https://%65xample.com/",
        "https://[2001:db8::1/",
        "https://[nonsense]/",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:x/",
        "https://" + "a" * 64 + ".example/",
        "https://example.com/" + "a" * (URL_CHARACTERS_MAX - 19),
    ],
)
def test_what_is_no_absolute_https_url_is_refused(value: str) -> None:
    refused(check_https_url, value)


@pytest.mark.parametrize(
    "value",
    [
        "https://id.gs1.org/414/9506000134352",
        "http://example.com/plant-3",
        "urn:epc:id:sgln:9506000.00000.0",
        "URN:uuid:0190d1c2-0000-7000-8000-000000000000",
        "urn:x-acme:plant%203",
    ],
)
def test_a_location_is_a_url_or_a_urn(value: str) -> None:
    check_location_uri(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "plant 3",
        "plant",
        "urn:",
        "urn:epc",
        "urn:epc:",
        "urn:-x:a",
        "urn:x:a",
        "geo:52.5,13.4",
        "ftp://example.com/",
        "javascript:alert(1)",
        "https://",
        "https://a@example.com/",
        "https://example.com/ä",
        "urn:epc:id:" + "0" * 500,
        "ur\u0274:epc:id",
    ],
)
def test_what_is_no_location_is_refused(value: str) -> None:
    refused(check_location_uri, value)


@pytest.mark.parametrize(
    "value",
    [
        # RFC 5646, appendix A.
        "de",
        "fr",
        "ja",
        "zh-Hant",
        "zh-cmn-Hans-CN",
        "cmn-Hans-CN",
        "zh-yue-HK",
        "sr-Latn-RS",
        "sl-rozaj-biske",
        "de-CH-1901",
        "sl-IT-nedis",
        "hy-Latn-IT-arevela",
        "es-419",
        "de-CH-x-phonebk",
        "az-Arab-x-AZE-derbend",
        "en-US-u-islamcal",
        "zh-CN-a-myext-x-private",
        "en-a-myext-b-another",
        "pt-br",
        "EN",
    ],
)
def test_a_language_tag_is_right(value: str) -> None:
    check_language_tag(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "e",
        "en_GB",
        "en-",
        "-en",
        "en--GB",
        "de DE",
        "deutschland",
        "de-419-DE",
        "a-DE",
        "ar-a-",
        "en-x",
        "\u017fv",
        "en\n",
        "en-GB-" + "oxendict-" * 4 + "oxendict",
    ],
)
def test_what_is_no_language_tag_is_refused(value: str) -> None:
    refused(check_language_tag, value)


@pytest.mark.parametrize(
    "value",
    ["text/html", "application/ld+json", "application/vnd.gs1.epcis+xml", "image/svg+xml", "a/b"],
)
def test_a_media_type_is_right(value: str) -> None:
    check_media_type(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text",
        "text/",
        "/html",
        "text//html",
        "a/b/c",
        "text/html; charset=utf-8",
        "text/html ",
        "text/ht ml",
        "*/*",
        "text/html\n",
        "text/" + "a" * 128,
        "tëxt/html",
    ],
)
def test_what_is_no_media_type_is_refused(value: str) -> None:
    refused(check_media_type, value)


@pytest.mark.parametrize("value", ["DE", "eu-battery", "urn:x:1", "a.b_c~d", "x" * 64])
def test_a_context_is_right(value: str) -> None:
    check_link_context(value)


@pytest.mark.parametrize("value", ["", "a b", "DE\n", "é", "a&b", "a/b", "x" * 65])
def test_what_is_no_context_is_refused(value: str) -> None:
    refused(check_link_context, value)
