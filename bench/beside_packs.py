"""How quick does the web stay beside packs that are being written?

`mintage serve` in a process of its own, with the worker in it; one client asks for `list_mint_batches` over
loopback, one call after another. Alone, and while packs of 10,000 units of one format are under way, two a
group, a new group as soon as one is finished. Alone is measured anew before each format. Printed for each
format: the median and the 99th percentile beside packs, as multiples of those alone. PostgreSQL, the worker's
processes and the client share the machine, so a part of each ratio is the processors' alone.

    python -m bench.beside_packs [--calls N] [--formats NAME,NAME]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import uvloop

from bench import support
from bench.packs import mint
from bench.submit import web
from mintage.operations.call import SERVICE
from mintage.packs.formats import FORMATS
from mintage.secrets import load_or_create_secrets
from mintage.settings import read_settings
from mintage.tokens import service_key

PACK_UNITS = 10_000
PACKS = 2
LOOK_EVERY = 5
"""Calls from one look at the group to the next."""


@dataclass
class Client:
    """One connection that is kept; each answer is looked at."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str
    brand_id: str

    async def call(self, name: str, **arguments: object) -> dict[str, Any]:
        """Raises `RuntimeError` for an answer that is not 200 and `ok`."""
        raw = {"_brand_id": self.brand_id} | {f"_{key}": each for key, each in arguments.items()}
        body = json.dumps(raw).encode()
        self.writer.write(
            f"POST /rest/v1/rpc/{name} HTTP/1.1\r\nhost: localhost\r\napikey: {self.token}\r\n"
            f"authorization: Bearer {self.token}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        content = await self.reader.readexactly(length)
        answer: dict[str, Any] = json.loads(content)
        if not (head.startswith(b"HTTP/1.1 200") and answer["ok"]):
            raise RuntimeError(f"{name}: {content!r}")
        return answer

    async def timed(self) -> float:
        started = time.perf_counter()
        await self.call("list_mint_batches")
        return time.perf_counter() - started


async def alone(client: Client, calls: int) -> list[float]:
    return [await client.timed() for _ in range(calls)]


async def beside(client: Client, calls: int, batch_id: str, format_name: str) -> list[float]:
    """At least `calls` calls while packs are under way, and as many more as the last group takes."""
    taken: list[float] = []
    while len(taken) < calls:
        group = await client.call(
            "request_payload_packs", mint_batch_id=batch_id, format=format_name
        )
        while await _is_open(client, group["export_group_id"]):
            taken += [await client.timed() for _ in range(LOOK_EVERY)]
    return taken


async def _is_open(client: Client, group_id: str) -> bool:
    """Raises `RuntimeError` if a pack failed."""
    listed = await client.call("list_payload_packs", export_group_id=group_id)
    statuses = {pack["status"] for pack in listed["packs"]}
    if "failed" in statuses:
        raise RuntimeError("a pack failed")
    return statuses != {"completed"}


def told(name: str, apart: Sequence[float], together: Sequence[float]) -> str:
    """One line: medians, 99th percentiles, and what they are of those alone."""
    middle, late = median(together), quantiles(together, n=100)[98]
    middle_alone, late_alone = median(apart), quantiles(apart, n=100)[98]
    return (
        f"{name}: median {middle * 1000:.2f} ms, {middle / middle_alone:.2f} x alone; "
        f"p99 {late * 1000:.2f} ms, {late / late_alone:.2f} x alone; "
        f"most {max(together) * 1000:.1f} ms; {len(together):,} calls"
    )


async def compare(calls: int, formats: Sequence[str]) -> None:
    async with support.server() as dsn:
        brand_id, batch_id = await mint(dsn, PACKS * PACK_UNITS)
        platform = await support.open_platform(dsn)
        patch = {"gcp_length": 7}
        await support.rpc(
            platform, SERVICE, "update_brand_settings", brand_id=brand_id, patch=patch
        )
        await platform.database.close()
        with tempfile.TemporaryDirectory(prefix="mintage-bench-") as folder:
            listener = socket.create_server(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            listener.close()
            settings = {
                "MINTAGE_DATA": folder,
                "MINTAGE_DATABASE_URL": dsn,
                "MINTAGE_PORT": str(port),
                "MINTAGE_CALLS_A_MINUTE": "10000000",
            }
            token = service_key(load_or_create_secrets(Path(read_settings(settings).secrets_file)))
            kept = {
                name: value for name, value in os.environ.items() if not name.startswith("MINTAGE_")
            }
            async with web(kept | settings, port, "serve"):
                connection = await asyncio.open_connection("127.0.0.1", port)
                client = Client(*connection, token, str(brand_id))
                await alone(client, calls)  # warm-up
                for name in formats:
                    apart = await alone(client, calls)
                    together = await beside(client, calls, str(batch_id), name)
                    print(told(name, apart, together), flush=True)
                connection[1].close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--formats", default=",".join(FORMATS))
    options = parser.parse_args()
    uvloop.run(compare(options.calls, options.formats.split(",")))


if __name__ == "__main__":
    main()
