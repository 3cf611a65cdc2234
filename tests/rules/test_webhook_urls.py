"""Which addresses a webhook may lead to, and the schedule of its tries."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mintage.rules.webhook_urls import may_be_called, read_webhook_url
from mintage.rules.webhooks import retry_delay_s


@pytest.mark.parametrize(
    ("address", "anybody", "named"),
    [
        ("93.184.215.14", True, True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True, True),
        ("64:ff9b::5db8:d70e", True, True),
        ("10.0.0.1", False, True),
        ("172.31.255.255", False, True),
        ("172.32.0.1", True, True),
        ("192.168.1.1", False, True),
        ("100.127.255.255", False, True),
        ("100.128.0.1", True, True),
        ("127.9.9.9", False, True),
        ("198.19.0.1", False, True),
        ("203.0.113.9", False, True),
        ("::1", False, True),
        ("fd12:3456::1", False, True),
        ("::ffff:192.168.0.1", False, True),
        ("64:ff9b::a00:1", False, True),
        ("2002:c0a8:1::1", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("0.0.0.0", False, False),
        ("255.255.255.255", False, False),
        ("239.1.1.1", False, False),
        ("::", False, False),
        ("fe80::1", False, False),
        ("fe80::1%1", False, False),
        ("ff02::1", False, False),
        ("2001::1", False, False),
        ("2001:db8::1", False, False),
        ("64:ff9b:1::1", False, False),
        ("4000::1", False, False),
    ],
)
def test_an_address_may_be_called_or_not(address: str, anybody: bool, named: bool) -> None:
    found = ip_address(address)
    assert may_be_called(found, is_named_by_operator=False) is anybody
    assert may_be_called(found, is_named_by_operator=True) is named


def test_a_url_is_taken_apart() -> None:
    target = read_webhook_url("HTTPS://Erp.Example.com:8443/a/b?c=d", ())
    assert (target.host, target.port, target.path) == ("erp.example.com", 8443, "/a/b?c=d")
    assert target.authority == "erp.example.com:8443"
    assert read_webhook_url("https://example.com", ()).authority == "example.com"
    literal = read_webhook_url("https://[2606:4700::1111]/", ())
    assert literal.authority == "[2606:4700::1111]"


def test_the_pause_grows_by_the_schedule_with_a_tenth_either_way() -> None:
    assert retry_delay_s((5.0, 300.0), 1, 0.5) == 5.0
    assert retry_delay_s((5.0, 300.0), 2, 0.0) == pytest.approx(270.0)
    assert retry_delay_s((5.0, 300.0), 2, 1.0) == pytest.approx(330.0)
    assert retry_delay_s((5.0, 300.0), 3, 0.5) is None
