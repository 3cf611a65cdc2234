"""Where a request comes from and which host it names; forwarded headers only from configured proxies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from mintage.forwarded import Address, Network, address_of, client_behind, is_within, networks_of

__all__ = ["Address", "Network", "Origin", "TrustedProxies"]

_REMEMBERED: Final = 4096


class Origin(NamedTuple):
    """`host`: lower case, without port and brackets, empty if none or several are named.

    `address`: the client's; None where the server knows none (a Unix socket).
    """

    host: str
    address: Address | None


class TrustedProxies:
    """The proxies whose `X-Forwarded-Host` and `X-Forwarded-For` are believed."""

    def __init__(self, addresses: Iterable[str]) -> None:
        """Addresses or networks (`10.0.0.0/8`); `ValueError` for what is neither."""
        self._networks = networks_of(frozenset(addresses))

    def origin_of(self, peer_text: str | None, headers: Mapping[bytes, bytes]) -> Origin:
        """Host and address of the client, whoever stands between; `headers` by lower-case name."""
        host = headers.get(b"host", b"")
        direct = _direct(peer_text, host)
        peer = direct.address
        if not self._networks or peer is None or not is_within(peer, self._networks):
            return direct
        forwarded_hosts = _elements(headers, b"x-forwarded-host")
        return Origin(
            _host(forwarded_hosts[-1]) if forwarded_hosts else direct.host,
            client_behind(peer, _elements(headers, b"x-forwarded-for"), self._networks),
        )


@lru_cache(maxsize=_REMEMBERED)
def _direct(peer_text: str | None, host: bytes) -> Origin:
    """What a connection and its Host header say where nobody stands between."""
    return Origin(
        _host(host.decode("latin-1")), address_of(peer_text) if peer_text is not None else None
    )


def _elements(headers: Mapping[bytes, bytes], name: bytes) -> list[str]:
    values = headers.get(name, b"").decode("latin-1")
    return [element.strip() for element in values.split(",") if element.strip()]


def _host(value: str) -> str:
    host = value.strip().lower()
    if "," in host or not (host.isascii() and host.isprintable()):  # Named twice, or none.
        return ""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
