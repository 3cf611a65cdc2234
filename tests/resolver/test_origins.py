"""Who stands behind a proxy, as proxies write it."""

from __future__ import annotations

import pytest

from mintage.resolver.origins import TrustedProxies

PROXY = "10.0.0.9"


def _client(forwarded_for: str) -> str:
    headers = {b"host": b"a.example", b"x-forwarded-for": forwarded_for.encode()}
    return str(TrustedProxies([PROXY]).origin_of(PROXY, headers).address)


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.7:5678", "198.51.100.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%eth0]:443", "fe80::1"),
        ("[::ffff:198.51.100.7]:443", "198.51.100.7"),
        (f"192.0.2.1, 198.51.100.7:1, {PROXY}:2", "198.51.100.7"),
    ],
)
def test_an_address_is_read_with_and_without_a_port(forwarded_for: str, client: str) -> None:
    assert _client(forwarded_for) == client


@pytest.mark.parametrize(
    "forwarded_for",
    [
        "unknown",
        "198.51.100.7:",
        "198.51.100.7:x",
        "198.51.100.7:123456",
        "[198.51",
        "2001:db8::1]:4",
    ],
)
def test_what_is_no_address_leaves_the_proxys_own(forwarded_for: str) -> None:
    assert _client(forwarded_for) == PROXY
