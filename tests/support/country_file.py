"""A country file of a few networks, written in MaxMind's format (MaxMind DB specification 2.0).

An IPv6 tree with records of 24 bits; IPv4 networks lie under ::/96. Enough of the format for maps of text.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple


class _Number(NamedTuple):
    """An unsigned number of one of the format's kinds: 5 (16 bits), 6 (32), 9 (64)."""

    kind: int
    value: int


_MARKER = b"\xab\xcd\xefMaxMind.com"


def write_country_file(path: Path, records: Mapping[str, object]) -> Path:
    """A file at `path` with a record for each network, none inside another."""
    data = b""
    places: list[int] = []
    for record in records.values():
        places.append(len(data))
        data += _encoded(record)
    tree: list[list[int | None]] = [[None, None]]
    leaves: dict[tuple[int, int], int] = {}
    for text, place in zip(records, places, strict=True):
        bits = _bits(text)
        node = 0
        for bit in bits[:-1]:
            following = tree[node][bit]
            if following is None:
                tree.append([None, None])
                following = tree[node][bit] = len(tree) - 1
            node = following
        leaves[node, bits[-1]] = place
    count = len(tree)
    octets = b""
    for number, sides in enumerate(tree):
        for bit, following in enumerate(sides):
            leaf = leaves.get((number, bit))
            child = count if following is None else following
            octets += (child if leaf is None else count + 16 + leaf).to_bytes(3, "big")
    about = {
        "node_count": _Number(6, count),
        "record_size": _Number(5, 24),
        "ip_version": _Number(5, 6),
        "database_type": "Test-Country",
        "languages": [],
        "binary_format_major_version": _Number(5, 2),
        "binary_format_minor_version": _Number(5, 0),
        "build_epoch": _Number(9, 1_700_000_000),
        "description": {},
    }
    path.write_bytes(octets + bytes(16) + data + _MARKER + _encoded(about))
    return path


def _bits(text: str) -> list[int]:
    network = ip_network(text)
    length = network.prefixlen + (96 if network.version == 4 else 0)
    number = int(network.network_address)
    return [number >> (127 - place) & 1 for place in range(length)]


def _encoded(value: object) -> bytes:
    """One value of the data section: control byte (kind, size), then what it says."""
    if isinstance(value, str):
        return bytes([2 << 5 | len(value)]) + value.encode("ascii")
    if isinstance(value, _Number):
        octets = value.value.to_bytes((value.value.bit_length() + 7) // 8, "big")
        is_basic = value.kind < 8
        control = [value.kind << 5 | len(octets)] if is_basic else [len(octets), value.kind - 7]
        return bytes(control) + octets
    if isinstance(value, list):
        return bytes([len(value), 11 - 7]) + b"".join(_encoded(each) for each in value)
    if isinstance(value, dict):
        pairs = b"".join(_encoded(name) + _encoded(each) for name, each in value.items())
        return bytes([7 << 5 | len(value)]) + pairs
    raise TypeError(f"{type(value).__name__} is not written by tests")
