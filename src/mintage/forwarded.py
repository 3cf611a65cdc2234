"""Who stands behind a proxy: addresses as proxies write them, and whose word about them is believed.

Every door asks here. Not here: what is counted or kept by an address.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REMEMBERED: Final = 4096
# An IPv6 address may be in brackets, and must be where a port follows it.
_PORT: Final = re.compile(r"^(?:\[([^\]]*)\]|([0-9.]+))(?::[0-9]{1,5})?$")


@lru_cache(maxsize=16)
def networks_of(texts: frozenset[str]) -> tuple[Network, ...]:
    """Addresses or networks (`10.0.0.0/8`) as networks; `ValueError` for what is neither."""
    return tuple(ip_network(text) for text in sorted(texts))


@lru_cache(maxsize=_REMEMBERED)
def address_of(text: str) -> Address | None:
    """The address of a text that may name a port or, of IPv6, a zone; None if there is none in it."""
    try:
        address = ip_address(_PORT.sub(r"\1\2", text).partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


def is_within(address: Address, networks: Collection[Network]) -> bool:
    """True if one of the networks has the address."""
    return any(address in network for network in networks)


def client_behind(
    peer: Address, forwarded_for: Sequence[str], proxies: Collection[Network]
) -> Address:
    """The client of a connection that comes from `peer`, by the elements of its X-Forwarded-For."""
    # From the right: each proxy appends whom it saw, and what stands before the first that is not
    # ours is the client's own word.
    client = peer
    for text in reversed(forwarded_for):
        if not is_within(client, proxies):
            break
        address = address_of(text)
        if address is None:
            break
        client = address
    return client
