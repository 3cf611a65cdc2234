"""How many mint requests a second are taken over HTTP?

`mintage web` in a process of its own; another process submits over loopback, by 8 clients on keep-alive
connections, each answer looked at. Against it, from a third process, the bare transaction through the
driver: the statements of one submit as the driver itself recorded them, with ids of their own, on 8
connections to the same PostgreSQL. In turns, median of the pairs. Aim: ≥ 0.3 ×, and no error. The clients
are one caller in one brand, so MINTAGE_CALLS_A_MINUTE is raised; calls are counted all the same.

    python -m bench.submit [--submits N] [--pairs N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

import asyncpg
import uvloop

from bench import support
from mintage.db.connection import Database
from mintage.operations.call import Caller
from mintage.perform import Platform
from mintage.rules.serials import draw_prefix
from mintage.rules.unit_ids import draw_unit_id_low
from mintage.secrets import load_or_create_secrets
from mintage.settings import Limits, read_settings
from mintage.tokens import Tokens, now_s

CLIENTS = 8
PATH = "/rest/v1/rpc/submit_mint_request"
READY_WITHIN_S = 60
BATCH_DRAWS = "select unit_id_low, serial_prefix from mint_batch where mint_job_id = $1"


@dataclass(frozen=True)
class Task:
    """What both sides are told."""

    dsn: str
    port: int
    token: str
    brand_id: UUID
    user_id: UUID
    product_id: UUID
    submits: int

    def arguments(self) -> dict[str, object]:
        """One submit's, as the platform takes them in Python."""
        return {
            "brand_id": self.brand_id,
            "product_id": self.product_id,
            "requested_quantity": 25_000,
            "identity_mode": "serial",
            "activation_mode": "first_scan",
        }


@dataclass
class Recorded:
    """The statements of one submit, in order, and its values that must be new in another."""

    statements: list[tuple[str, tuple[object, ...]]] = field(default_factory=list)
    unit_id_low: UUID = field(default_factory=uuid4)
    serial_prefix: str = ""

    def again(self, known: set[UUID]) -> list[tuple[str, tuple[object, ...]]]:
        """The same statements with new ids and draws; those of `known` stay."""
        new: dict[object, object] = {
            self.unit_id_low: draw_unit_id_low(time.time_ns() // 1_000_000, os.urandom),
            self.serial_prefix: draw_prefix(os.urandom),
        }

        def replaced(value: object) -> object:
            if isinstance(value, list):
                return [replaced(each) for each in value]
            if isinstance(value, UUID) and value not in known:
                return new.setdefault(value, uuid4())
            return new.get(value, value) if isinstance(value, str) else value

        return [
            (statement, tuple(replaced(value) for value in values))
            for statement, values in self.statements
        ]


async def product_side(task: Task) -> dict[str, float]:
    """All submits over HTTP, by 8 clients: seconds, and how many failed."""
    body = json.dumps(
        {
            f"_{name}": str(value) if isinstance(value, UUID) else value
            for name, value in task.arguments().items()
        }
    ).encode()
    request = (
        f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {task.token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
    started = time.perf_counter()
    failures = await asyncio.gather(*(_client(task, request, count) for count in _shares(task)))
    return {"wall_s": time.perf_counter() - started, "failures": sum(failures)}


async def _client(task: Task, request: bytes, count: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", task.port)
    failures = 0
    for _ in range(count):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        content = await reader.readexactly(length)
        failures += not (head.startswith(b"HTTP/1.1 200") and content.startswith(b'{"ok":true'))
    writer.close()
    return failures


async def yardstick_side(task: Task) -> dict[str, float]:
    """As many bare transactions on 8 connections, recorded before the clock starts."""
    recorded = await _record(task)
    started = time.perf_counter()
    await asyncio.gather(*(_replay(task, recorded, count) for count in _shares(task)))
    return {"wall_s": time.perf_counter() - started, "failures": 0}


async def _record(task: Task) -> Recorded:
    """What the driver is asked in one submit, its `begin` and `commit` too."""
    recorded = Recorded()

    def log(asked: asyncpg.connection.LoggedQuery) -> None:
        recorded.statements.append((asked.query, tuple(asked.args)))

    async def prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        await _with_json(connection)
        connection.add_query_logger(log)

    async with asyncpg.create_pool(task.dsn, min_size=1, max_size=1, init=prepare) as pool:
        platform = Platform(Database(pool, statement_timeout_s=30), Limits())
        caller = Caller("user", task.user_id)
        answer = await support.rpc(platform, caller, "submit_mint_request", **task.arguments())
    connection = await asyncpg.connect(task.dsn)
    row = await connection.fetchrow(BATCH_DRAWS, answer["mint_job_id"])
    await connection.close()
    if row is None:
        raise LookupError("the recorded submit made no batch")
    recorded.unit_id_low, recorded.serial_prefix = row["unit_id_low"], row["serial_prefix"]
    first = next(
        place for place, (text, _) in enumerate(recorded.statements) if text.startswith("begin")
    )
    last = next(place for place, (text, _) in enumerate(recorded.statements) if text == "commit")
    recorded.statements = recorded.statements[first : last + 1]
    return recorded


async def _replay(task: Task, recorded: Recorded, count: int) -> None:
    connection = await asyncpg.connect(task.dsn)
    await _with_json(connection)
    known = {task.brand_id, task.product_id, task.user_id}
    for _ in range(count):
        for statement, values in recorded.again(known):
            if values:
                await connection.fetch(statement, *values)
            else:
                await connection.execute(statement)
    await connection.close()


async def _with_json(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads, format="text"
    )


def _shares(task: Task) -> list[int]:
    return [task.submits // CLIENTS] * CLIENTS


@asynccontextmanager
async def web(environment: dict[str, str], port: int, command: str = "web") -> AsyncIterator[None]:
    """`mintage web`, or another command that serves, once it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mintage", command, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        ends_at = time.monotonic() + READY_WITHIN_S
        while not _answers(port):
            if process.returncode is not None or time.monotonic() > ends_at:
                raise RuntimeError(f"mintage {command} did not start")
            await asyncio.sleep(0.1)
        yield
    finally:
        process.terminate()
        await process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def measure(side: str, task: Sequence[str]) -> float:
    """Seconds of one side, in a process of its own. `RuntimeError` if a submit failed."""
    figures = support.in_process("bench.submit", ["--side", side, *task])
    if figures["failures"]:
        raise RuntimeError(f"{figures['failures']:.0f} submits failed")
    return figures["wall_s"]


async def compare(submits: int, pairs: int) -> None:
    async with support.server() as dsn:
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
            task = await _prepared(dsn, port, settings, submits)
            kept = {
                name: value for name, value in os.environ.items() if not name.startswith("MINTAGE_")
            }
            async with web(kept | settings, port):
                await _in_turns(task, submits, pairs)


async def _prepared(dsn: str, port: int, settings: dict[str, str], submits: int) -> list[str]:
    """A brand that may mint, and what both sides are told, as arguments."""
    platform = await support.open_platform(dsn)
    brand_id, caller = await support.make_brand(platform.database)
    product_id = await support.make_product(platform, caller, brand_id)
    await platform.database.close()
    if caller.id is None:
        raise ValueError("the owner is a user")
    known = read_settings(settings)
    secrets = load_or_create_secrets(Path(known.secrets_file))
    token = Tokens(secrets, f"{known.platform_url}/auth/v1", 60).make_session_token(
        user_id=caller.id,
        session_id=uuid4(),
        email="bench@example.com",
        issued_at=now_s(),
        expires_at=now_s() + 3600,
    )
    values = (dsn, port, token, brand_id, caller.id, product_id, submits)
    names = ("dsn", "port", "token", "brand", "user", "product", "submits")
    return [f"--{name}={value}" for name, value in zip(names, values, strict=True)]


async def _in_turns(task: list[str], submits: int, pairs: int) -> None:
    for side in ("product", "yardstick"):
        measure(side, [*task[:-1], f"--submits={CLIENTS * 20}"])  # warm-up
    ratios, rates = [], []
    for pair in range(pairs):
        order = ("product", "yardstick") if pair % 2 == 0 else ("yardstick", "product")
        wall_s = {side: measure(side, task) for side in order}
        ratios.append(wall_s["yardstick"] / wall_s["product"])
        rates.append(submits / wall_s["product"])
        print(
            f"pair {pair + 1}: {rates[-1]:,.0f} submits/s over HTTP, "
            f"{submits / wall_s['yardstick']:,.0f} bare transactions/s",
            flush=True,
        )
    print(
        f"submit: {median(rates):,.0f} submits/s by {CLIENTS} clients, no error; "
        f"ratio to the bare transaction {support.spread(ratios)} x"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submits", type=int, default=4_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--side", choices=("product", "yardstick"))
    for name in ("dsn", "port", "token", "brand", "user", "product"):
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    submits = options.submits // CLIENTS * CLIENTS
    if options.side is None:
        uvloop.run(compare(submits, options.pairs))
        return
    task = Task(
        options.dsn,
        int(options.port),
        options.token,
        UUID(options.brand),
        UUID(options.user),
        UUID(options.product),
        submits,
    )
    side = product_side if options.side == "product" else yardstick_side
    print(json.dumps(uvloop.run(side(task))))


if __name__ == "__main__":
    main()
