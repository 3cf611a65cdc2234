"""Database URLs: the servers that one names, and what of it is for the driver and not for the server.

`postgresql://one:5432,two:5432/mintage?target_session_attrs=read-write` names two servers, of which the
one that takes writes is meant; sockets go `?host=/run/one,/run/two`. `statement_cache_size` in the query
is asyncpg's: 0 behind PgBouncer in transaction mode. Not here: connecting (`connect`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

SERVERS_MAX: Final = 8
STATEMENT_CACHE_SIZE: Final = 100
_CACHE_SIZE: Final = "statement_cache_size"
_PREFERENCE: Final = ("target_session_attrs", "prefer-standby")


@dataclass(frozen=True, slots=True)
class Target:
    """What asyncpg is told: a URL for each server, in the order in which they are tried.

    `statement_cache_size` is how many statements a connection keeps prepared; None: the URL does not say.
    """

    dsns: tuple[str, ...]
    statement_cache_size: int | None


def read_dsn(url: str) -> Target:
    """`url` without what is the driver's, cut at its servers.

    Raises `ValueError` for a cache size that is no number, ports that do not fit the servers, more servers
    than `SERVERS_MAX`, and a preference among them: they are tried one by one.
    """
    parts = urlsplit(url)
    cache_size = None
    kept = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name != _CACHE_SIZE:
            kept.append((name, value))
        elif value.isascii() and value.isdigit():
            cache_size = int(value)
        else:
            raise ValueError(f"{_CACHE_SIZE}={value} in the database URL must be a whole number")
    account, at, hosts = parts.netloc.rpartition("@")
    if hosts:
        servers = [(f"{account}{at}{host}", kept) for host in hosts.split(",")]
    else:
        servers = [(parts.netloc, query) for query in _queries(kept)]
    if len(servers) > SERVERS_MAX:
        raise ValueError(f"the database URL names more than {SERVERS_MAX} servers")
    if len(servers) > 1 and _PREFERENCE in kept:
        raise ValueError("prefer-standby in the database URL is not known: say standby, or any")
    return Target(
        tuple(
            f"{parts.scheme}://{netloc}{parts.path}" + (f"?{urlencode(query)}" if query else "")
            for netloc, query in servers
        ),
        cache_size,
    )


def _queries(pairs: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """`pairs` once for each server that their `host` names, with its own `host` and `port`."""
    named = dict(pairs)
    hosts = named.get("host", "").split(",")
    ports = named.get("port", "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise ValueError("the database URL must have one port, or one for each of its hosts")
    found = []
    for host, port in zip(hosts, ports, strict=True):
        own = {"host": host, "port": port}
        found.append([(name, own.get(name, value)) for name, value in pairs])
    return found
