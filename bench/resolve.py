"""How many redirects a second does the resolver give, its scans stored?

One resolver process, composed and listening as `mintage resolver` is (uvicorn, uvloop, httptools, limits on
heads), against a bare ASGI application that selects one row by key with the same driver, on the same
PostgreSQL in the same run; the bare one is served by uvicorn as it comes, without those limits. They
alternate, and the medians of the pairs count. A process of its own loads them, once they answer, over
loopback with a fixed number of requests on keep-alive connections.
After each run of the resolver it is stopped in order, and as many scans must be stored as were redirected.
Aim: ≥ 1.5 ×. Printed besides: the 99th percentile of both, and the CPU time that each process spends on a
request, its start left out.

    python -m bench.resolve [--requests N] [--pairs N] [--connections N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any
from uuid import UUID

import asyncpg
import uvicorn
import uvloop

from bench import support
from mintage.app import Front, stop_signals
from mintage.db.connection import open_database
from mintage.listening import listen_on
from mintage.operations.call import SERVICE
from mintage.resolver.app import Resolver, build_resolver
from mintage.resolver.scan_buffer import ScanBuffer
from mintage.settings import Limits, read_settings

UNITS = 20_000
CONNECTIONS = 64
POOL_CONNECTIONS = 4
AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1"
)
READY = "ready"
SELECT = "select id, mint_batch_id from mint_unit where brand_id = $1 and serial_number = $2"


async def serve_bare(app: Any, listener: socket.socket) -> None:
    """Serve until SIGTERM, uvicorn alone."""
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
    )
    # uvicorn raises the signal again when it has stopped; there is a figure to print then.
    signal.signal(signal.SIGTERM, lambda *_: None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    print(READY, flush=True)
    await serving


def cpu_s() -> float:
    """CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def product_side(dsn: str, listener: socket.socket) -> None:
    """The resolver, stopped in order: all scans are written. Prints the CPU time of serving."""
    limits = Limits()
    database = await open_database(
        dsn, connections=POOL_CONNECTIONS, statement_timeout_s=30, application="bench"
    )
    buffer = ScanBuffer(database, limits)
    running = asyncio.create_task(buffer.run())
    resolver = build_resolver(Resolver(database, limits, buffer, lambda: (bytes(32),)))
    settings = read_settings({})
    with stop_signals() as stopping:
        async with listen_on(listener, Front(None, resolver, settings), limits):
            print(READY, flush=True)
            started_s = cpu_s()
            await stopping.wait()
    await buffer.stop()
    await running
    print(cpu_s() - started_s)
    await database.close()


async def yardstick_side(dsn: str, brand_id: UUID, listener: socket.socket) -> None:
    """A bare ASGI application: one select by key a request, and a redirect. Prints as the other."""
    pool = await asyncpg.create_pool(dsn, min_size=POOL_CONNECTIONS, max_size=POOL_CONNECTIONS)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        serial = scope["path"].rpartition("/")[2]
        async with pool.acquire() as connection:
            unit_id = await connection.fetchval(SELECT, brand_id, serial)
        location = f"https://example.com/p/{unit_id}".encode()
        headers = [(b"location", location), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    started_s = cpu_s()
    await serve_bare(app, listener)
    print(cpu_s() - started_s)
    await pool.close()


class _Client(asyncio.Protocol):
    """One keep-alive connection: the next request goes out when the last answer is in."""

    def __init__(self, requests: list[bytes], seconds: list[float], done: asyncio.Event) -> None:
        self._requests = requests
        self._seconds = seconds
        self._done = done
        self._pending = b""
        self._started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._pending += data
        if not self._pending.endswith(b"\r\n\r\n"):
            return
        if not self._pending.startswith(b"HTTP/1.1 307"):
            raise RuntimeError(f"not a redirect: {self._pending[:200]!r}")
        self._seconds.append(time.perf_counter() - self._started)
        self._pending = b""
        self._next()

    def _next(self) -> None:
        if not self._requests:
            self._transport.close()
            self._done.set()
            return
        self._started = time.perf_counter()
        self._transport.write(self._requests.pop())


async def load(port: int, host: str, paths: Sequence[str], requests: int, clients: int) -> None:
    """Send `requests` requests and print how long they took."""
    lines = f"Host: {host}\r\nUser-Agent: {AGENT}\r\nAccept: */*\r\nAccept-Language: de-AT\r\n\r\n"
    rows = [
        f"GET {paths[number % len(paths)]} HTTP/1.1\r\n{lines}".encode()
        for number in range(requests)
    ]
    seconds: list[float] = []
    events = [asyncio.Event() for _ in range(clients)]
    loop = asyncio.get_running_loop()
    started, started_s = time.perf_counter(), cpu_s()
    for event in events:
        await loop.create_connection(
            lambda event=event: _Client(rows, seconds, event),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
    await asyncio.gather(*(event.wait() for event in events))
    elapsed_s = time.perf_counter() - started
    p99_ms = quantiles(seconds, n=100)[98] * 1000
    answered = len(seconds)
    load_us = (cpu_s() - started_s) * 1e6 / answered
    figures = {"rate": answered / elapsed_s, "p99_ms": p99_ms, "answered": answered}
    print(json.dumps(figures | {"load_us": load_us}))


def measure(
    side: str, dsn: str, brand_id: UUID, host: str, paths_file: str, options: argparse.Namespace
) -> dict[str, float]:
    """Serve one side in a process, load it from another, stop it in order."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        command = [sys.executable, "-m", "bench.resolve", "--dsn", dsn, "--brand", str(brand_id)]
        serving = [*command, "--side", side, "--listener", str(listener.fileno())]
        loading = [*command, "--side", "load", "--host", host, "--paths", paths_file]
        for name, value in (
            ("--port", listener.getsockname()[1]),
            ("--requests", options.requests),
            ("--connections", options.connections),
        ):
            loading += [name, str(value)]
        server = subprocess.Popen(
            serving, pass_fds=[listener.fileno()], stdout=subprocess.PIPE, text=True
        )
        try:
            if server.stdout is None or server.stdout.readline().strip() != READY:
                raise RuntimeError(f"the {side} does not start")
            loaded = subprocess.run(loading, check=True, stdout=subprocess.PIPE, text=True)
        finally:
            server.send_signal(signal.SIGTERM)
            spent, _ = server.communicate()
    figures: dict[str, float] = json.loads(loaded.stdout)
    figures["cpu_us"] = float(spent) * 1e6 / figures["answered"]
    return figures


async def prepare(dsn: str) -> tuple[UUID, str, list[str]]:
    """A brand with units that are active at minting: its id, its host, the paths of its units."""
    platform = await support.open_platform(dsn)
    brand_id, caller = await support.make_brand(platform.database)
    product_id = await support.make_product(platform, caller, brand_id)
    await support.rpc(
        platform,
        caller,
        "submit_mint_request",
        brand_id=brand_id,
        product_id=product_id,
        requested_quantity=UNITS,
        identity_mode="serial",
        activation_mode="active_at_mint",
    )
    while not (await support.rpc(platform, SERVICE, "process_mint_job_batch"))["done"]:
        pass
    async with platform.database.transaction(SERVICE.identity(brand_id)) as connection:
        serials = await connection.fetch(
            "select serial_number from mint_unit where brand_id = $1", brand_id
        )
        host = await connection.fetchval(
            "select host from brand_host where brand_id = $1", brand_id
        )
    await platform.database.close()
    return brand_id, host, [f"/01/09506000134352/21/{row['serial_number']}" for row in serials]


async def count_scans(dsn: str, brand_id: UUID) -> int:
    connection = await asyncpg.connect(dsn)
    count: int = await connection.fetchval(
        "select count(*) from scan_event where brand_id = $1", brand_id
    )
    await connection.close()
    return count


async def compare(options: argparse.Namespace) -> None:
    async with support.server() as dsn:
        brand_id, host, paths = await prepare(dsn)
        file, paths_file = tempfile.mkstemp(prefix="mintage-bench-")
        os.close(file)
        await asyncio.to_thread(_write, paths_file, paths)
        rows = []
        stored = 0
        for pair in range(options.pairs):
            order = ("resolver", "bare") if pair % 2 == 0 else ("bare", "resolver")
            figures = {}
            for side in order:
                figures[side] = await asyncio.to_thread(
                    measure, side, dsn, brand_id, host, paths_file, options
                )
            before, stored = stored, await count_scans(dsn, brand_id)
            if stored - before != figures["resolver"]["answered"]:
                raise RuntimeError(f"{stored - before} scans stored, {options.requests} redirects")
            rows.append(figures)
            print(
                f"pair {pair + 1}: resolver {figures['resolver']['rate']:,.0f}/s, "
                f"bare {figures['bare']['rate']:,.0f}/s",
                flush=True,
            )
        os.unlink(paths_file)
    ratios = [row["resolver"]["rate"] / row["bare"]["rate"] for row in rows]
    print(
        f"resolve: {median(row['resolver']['rate'] for row in rows):,.0f} redirects/s, each scan "
        f"stored; ratio to a bare select {support.spread(ratios)} x; p99 "
        f"{median(row['resolver']['p99_ms'] for row in rows):.1f} ms, "
        f"bare {median(row['bare']['p99_ms'] for row in rows):.1f} ms; CPU of the serving process a "
        f"request {median(row['resolver']['cpu_us'] for row in rows):.0f} µs, "
        f"bare {median(row['bare']['cpu_us'] for row in rows):.0f} µs; of the load "
        f"{median(row['resolver']['load_us'] for row in rows):.0f} and "
        f"{median(row['bare']['load_us'] for row in rows):.0f} µs"
    )


def _write(path: str, paths: list[str]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(paths, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--side", choices=("resolver", "bare", "load"))
    for name in ("dsn", "brand", "host", "paths"):
        parser.add_argument(f"--{name}")
    for name in ("listener", "port"):
        parser.add_argument(f"--{name}", type=int)
    options = parser.parse_args()
    if options.side is None:
        uvloop.run(compare(options))
    elif options.side == "load":
        with open(options.paths, encoding="utf-8") as file:
            paths = json.load(file)
        uvloop.run(load(options.port, options.host, paths, options.requests, options.connections))
    else:
        listener = socket.socket(fileno=options.listener)
        if options.side == "resolver":
            uvloop.run(product_side(options.dsn, listener))
        else:
            uvloop.run(yardstick_side(options.dsn, UUID(options.brand), listener))


if __name__ == "__main__":
    main()
