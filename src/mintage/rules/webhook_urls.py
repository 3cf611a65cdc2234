"""Where a webhook may lead: the form of its URL, and which addresses its name may have (SECURITY, SSRF).

Sources: the IANA registries of special-purpose IPv4 and IPv6 addresses (RFC 6890); RFC 6052 (NAT64), RFC
3056 (6to4), RFC 4291 §2.5.5 (mapped). Not here: asking for a name's addresses (`worker.webhook_http`).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final
from urllib.parse import urlsplit

URL_CHARACTERS_MAX: Final = 2000
HTTPS_PORT: Final = 443
HTTP_PORT: Final = 80
PORT_MIN: Final = 1024
_TEXT: Final = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_LABEL: Final = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")

_NEVER: Final = tuple(
    map(IPv4Network, ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"))
)
_NOT_PUBLIC: Final = tuple(
    map(
        IPv4Network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
        ),
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_PRIVATE_SIX: Final = (IPv6Network("fc00::/7"), IPv6Network("::1/128"))
# Teredo and other protocol assignments, ORCHIDv2 among them; documentation.
_NOT_PUBLIC_SIX: Final = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_NAT64: Final = IPv6Network("64:ff9b::/96")


class WebhookUrlProblem(ValueError):
    """The URL may not be a webhook's; the message completes "the URL …"."""


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """A URL that may be called. `host` is a name, or an address as it is written; in lower case.

    `is_named_by_operator`: the host may be private, and be called over http.
    """

    scheme: str
    host: str
    port: int
    path: str
    is_named_by_operator: bool

    @property
    def authority(self) -> str:
        """The Host header: without the scheme's own port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        own = HTTPS_PORT if self.scheme == "https" else HTTP_PORT
        return host if self.port == own else f"{host}:{self.port}"


def read_webhook_url(url: str, hosts_of_operator: Collection[str]) -> WebhookTarget:
    """`url` taken apart. Raises `WebhookUrlProblem` for what no webhook may have.

    https only, without user information, a fragment, or a host spelt as a number in an odd way; on port
    443 or one from 1024 on. A host of `hosts_of_operator` may be called over http and on any port.
    """
    if len(url) > URL_CHARACTERS_MAX or not _TEXT.fullmatch(url):
        raise WebhookUrlProblem(
            f"must begin with https:// and have at most {URL_CHARACTERS_MAX} printable ASCII characters"
        )
    if "\\" in url or "#" in url:
        raise WebhookUrlProblem("must have no backslash and no fragment")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise WebhookUrlProblem(
            "must have a host and perhaps a port, as https://example.com:8443/"
        ) from None
    if "@" in parts.netloc:
        raise WebhookUrlProblem("must have no user information")
    _check_host(host)
    is_named = host in hosts_of_operator
    if parts.scheme != "https" and not is_named:
        raise WebhookUrlProblem("must begin with https://")
    port = port if port is not None else (HTTPS_PORT if parts.scheme == "https" else HTTP_PORT)
    if port == 0 or not (is_named or port == HTTPS_PORT or port >= PORT_MIN):
        raise WebhookUrlProblem(f"must have port {HTTPS_PORT}, or one from {PORT_MIN} on")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = WebhookTarget(parts.scheme, host, port, path, is_named)
    literal = literal_address(host)
    if literal is not None and not may_be_called(literal, is_named_by_operator=is_named):
        raise WebhookUrlProblem("must lead to a public address")
    return target


def literal_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that `host` is; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def may_be_called(address: IPv4Address | IPv6Address, *, is_named_by_operator: bool) -> bool:
    """True for a public address; for a host that the operator has named, for a private one too.

    Link-local (cloud metadata is there), multicast, reserved and unspecified ones are never called. An IPv6
    address that stands for an IPv4 one (mapped, NAT64, 6to4) is judged as that.
    """
    if isinstance(address, IPv4Address):
        if _is_in(address, _NEVER):
            return False
        return is_named_by_operator or not _is_in(address, _NOT_PUBLIC)
    if address.scope_id is not None:
        return False
    standing_for = _four_in(address)
    if standing_for is not None:
        return may_be_called(standing_for, is_named_by_operator=is_named_by_operator)
    if address in _GLOBAL_UNICAST:
        return not any(address in network for network in _NOT_PUBLIC_SIX)
    return is_named_by_operator and any(address in network for network in _PRIVATE_SIX)


def _is_in(address: IPv4Address, networks: Collection[IPv4Network]) -> bool:
    return any(address in network for network in networks)


def _four_in(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFF_FFFF)
    return None


def _check_host(host: str) -> None:
    """A name, or an address in its usual form: `2130706433`, `0x7f.1` and `127.0.0.01` are none."""
    if ":" in host:
        try:
            IPv6Address(host)
        except AddressValueError:
            raise WebhookUrlProblem("must have a host") from None
        return
    if not _NAME.fullmatch(host):
        raise WebhookUrlProblem("must have a host of a-z, 0-9, hyphens and dots")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            IPv4Address(host)
        except AddressValueError:
            raise WebhookUrlProblem(
                "must have an address as four decimal numbers, or a name that does not end in one"
            ) from None
