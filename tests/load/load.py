"""`make load`: one machine's `mintage serve` under mixed work for half an hour, and then everything counted.

`python -m tests.load.load [SECONDS] [SEED]`. Three brands; submits, mints, packs, downloads, lists,
figures, searches and scans over HTTP, within the limits on calls that a platform has by default. Prints its
figures; exits 1 if a request was answered with an error other than 429, if memory grew, if a scan or a unit
is missing, or if an invariant is broken.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx2

from tests.load.workload import SCANS_AT_ONCE, Caller, Ledger, Scanner, percentile, repeated
from tests.machines.processes import Brand, Machines, Service, free_port, machines, until

BRANDS = {"acme": "9506000134352", "birch": "9506000134369", "cedar": "9506000134376"}
MEMORY_SAMPLE_S = 1.0
# Of the samples of a run: those before are of a process that is still taking up its caches.
WARM_SHARE = 0.2
GROWTH_MAX = 1.15
CHECK_LIMIT_S = 3600
MIB = 1024 * 1024


@dataclass
class Outcome:
    """What was counted, and what is wrong: nothing, if all is well."""

    seconds: float
    ledger: Ledger
    memory: list[int]
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def growth(self) -> float:
        """The process's memory in the last fifth of the run, by that of the second fifth."""
        fifth = max(1, int(len(self.memory) * WARM_SHARE))
        return median(self.memory[-fifth:]) / median(self.memory[fifth : 2 * fifth] or self.memory)

    def told(self) -> str:
        """The figures, a line each."""
        lines = [
            " · ".join(f"{name} {number:,}" for name, number in sorted(self.figures.items())),
            " · ".join(f"{name} {n:,}" for name, n in sorted(self.ledger.counted.items())),
        ]
        for name, values in sorted(self.ledger.seconds.items()):
            lines.append(
                f"{name:24} {len(values) / self.seconds:8.1f} a second · "
                f"median {median(values) * 1000:7.1f} ms · "
                f"p99 {percentile(values, 0.99) * 1000:7.1f} ms"
            )
        lines.append(
            f"memory of the process: {self.memory[0] / MIB:.0f} MiB at first, "
            f"{max(self.memory) / MIB:.0f} at most, {self.memory[-1] / MIB:.0f} at last; "
            f"last fifth by second {self.growth:.3f}"
        )
        lines.append(f"faults {len(self.ledger.faults)}")
        return "\n".join(lines + self.ledger.faults[:20])


async def load(seconds: float, seed: int, folder: Path) -> Outcome:
    """Serve, work for `seconds`, let everything come to its end, and count."""
    dice, ledger = random.Random(seed), Ledger()  # noqa: S311
    port = free_port()
    async with machines(folder, MINTAGE_PORT=str(port)) as machine:
        process = machine.start("mintage", "serve")
        service = await _ready(machine, f"http://localhost:{port}")
        outcome = Outcome(seconds, ledger, [])
        async with service.client() as client, httpx2.AsyncClient(base_url=service.url) as phone:
            callers = [
                await _brand(machine, client, slug, gtin, ledger, dice)
                for slug, gtin in BRANDS.items()
            ]
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for caller in callers:
                    for deed in (caller.mints, caller.exports, caller.lists):
                        group.create_task(repeated(deed, stop, ledger.faults))
                for _ in range(SCANS_AT_ONCE):
                    scanner = Scanner(phone, ledger, random.Random(dice.random()))  # noqa: S311
                    group.create_task(repeated(scanner.scans, stop, ledger.faults))
                await _sample(process.pid, seconds, outcome.memory)
                stop.set()
            await _count(callers, outcome)
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, 60)
        if code != 0:
            ledger.faults.append(f"the process ended with {code}: {machine.logs()[-2000:]}")
        machine.limit_s = CHECK_LIMIT_S
        checked = await machine.run("check")
        if checked.returncode != 0:
            ledger.faults.append(f"check: {checked.stdout}{checked.stderr}")
        ledger.faults += _errors_of(machine.logs())
    return outcome


async def _ready(machine: Machines, url: str) -> Service:
    """The service's way in, once the process serves."""

    async def is_ready() -> bool:
        try:
            async with httpx2.AsyncClient() as client:
                return (await client.get(f"{url}/readyz")).status_code == 200
        except httpx2.HTTPError:
            return False

    await until(is_ready)
    return await machine.service(url)


async def _brand(
    machine: Machines,
    client: httpx2.AsyncClient,
    slug: str,
    gtin: str,
    ledger: Ledger,
    dice: random.Random,
) -> Caller:
    words = ("brand", "create", slug, "--name", slug, "--owner", "owner@example.com")
    brand = Brand(client, json.loads(await machine.done(*words))["brand_id"])
    product_id = await brand.product(gtin)
    await brand.rpc("update_brand_settings", patch={"gcp_length": 7})
    return Caller(brand, product_id, ledger, random.Random(dice.random()))  # noqa: S311


async def _sample(pid: int, seconds: float, memory: list[int]) -> None:
    """Note the process's resident memory, in bytes, for `seconds`."""
    page_bytes = 4096
    for _ in range(max(1, int(seconds / MEMORY_SAMPLE_S))):
        await asyncio.sleep(MEMORY_SAMPLE_S)
        resident = Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]
        memory.append(int(resident) * page_bytes)


async def _count(callers: list[Caller], outcome: Outcome) -> None:
    """What the platform says it has is what callers were answered."""
    ledger = outcome.ledger
    scans, units = ledger.counted["scan"], ledger.counted["units asked for"]

    async def totals() -> tuple[int, int]:
        kpis: list[dict[str, Any]] = [
            (await caller.rpc("get_mint_kpis"))["kpis"] for caller in callers
        ]
        return (
            sum(each["scans_total"] for each in kpis),
            sum(each["units_minted"] for each in kpis),
        )

    async def are_told() -> bool:
        return await totals() == (scans, units)

    try:
        await until(are_told, limit_s=60)
    except TimeoutError:
        ledger.faults.append(
            f"{scans} scans and {units} units were answered, {await totals()} told"
        )
    outcome.figures["scans"], outcome.figures["units"] = await totals()


def _errors_of(logs: str) -> list[str]:
    """Lines of the log that tell of an error."""
    return [line[:300] for line in logs.splitlines() if re.search(r'"level": ?"error"', line)]


def main() -> int:
    """The exit code."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1800.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    folder = Path(tempfile.mkdtemp(prefix="mintage-load-"))
    folder.chmod(0o755)
    print(f"load: {seconds:.0f} s, seed {seed}, in {folder}", flush=True)
    outcome = asyncio.run(load(seconds, seed, folder))
    print(outcome.told())
    if outcome.growth > GROWTH_MAX:
        print(f"memory grew beyond {GROWTH_MAX}")
    if outcome.ledger.faults or outcome.growth > GROWTH_MAX:
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
