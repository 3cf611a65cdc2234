"""Where a request comes from and which host it names; forwarded headers only from configured proxies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.requests import Request

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Origin:
    """`host`: lower case, without port and brackets, empty if none or several are named.

    `address`: the client's; None where the server knows none (a Unix socket).
    """

    host: str
    address: Address | None


class TrustedProxies:
    """The proxies whose `X-Forwarded-Host` and `X-Forwarded-For` are believed."""

    def __init__(self, addresses: Iterable[str]) -> None:
        """Addresses or networks (`10.0.0.0/8`); `ValueError` for what is neither."""
        self._networks = [ip_network(text) for text in addresses]

    def origin_of(self, request: Request) -> Origin:
        """Host and address of the client of `request`, whoever stands between."""
        peer = _address(request.client.host) if request.client is not None else None
        if peer is None or not self._trusts(peer):
            return Origin(_host(request.headers.getlist("host")), peer)
        forwarded_hosts = _elements(request, "x-forwarded-host")
        hosts = forwarded_hosts[-1:] or request.headers.getlist("host")
        return Origin(
            _host(hosts), self._client_behind(peer, _elements(request, "x-forwarded-for"))
        )

    def _client_behind(self, peer: Address, forwarded_for: list[str]) -> Address:
        # From the right: each proxy appends whom it saw, and what stands before the first that is not
        # ours is the client's own word.
        client = peer
        for text in reversed(forwarded_for):
            address = _address(text)
            if address is None:
                break
            client = address
            if not self._trusts(address):
                break
        return client

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def prefix_of(address: Address) -> Network:
    """The /24 of an IPv4 address, the /48 of an IPv6 one: all that is ever kept of it."""
    return ip_network((address, 24 if address.version == 4 else 48), strict=False)


def _elements(request: Request, name: str) -> list[str]:
    values = ",".join(request.headers.getlist(name))
    return [element.strip() for element in values.split(",") if element.strip()]


def _host(values: list[str]) -> str:
    if len(values) != 1:
        return ""
    host = values[0].strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address
