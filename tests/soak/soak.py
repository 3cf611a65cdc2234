"""`make soak`: workers, submitters and PostgreSQL killed every two seconds, and then everything counted.

`python -m tests.soak.soak [SECONDS] [SEED]`. The seed says what is killed when, not what it hits.
Prints its figures; exits 1 if anything was lost, doubled or minted beyond what was asked.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mintage.db.migrate import migrate
from mintage.operations.tallies import fold_tallies
from mintage.perform import Platform
from tests.soak.counting import Found, count
from tests.soak.submitters import Ledger, Submitter, answered, make_brands
from tests.soak.victims import LIMITS, Crew, Server, patiently_opened
from tests.support.minting import rows, transactions, value
from tests.support.world import World, build_world

WORKERS, SUBMITTERS, BRANDS = 4, 8, 3
PAUSE_S = 2.0
SETTLE_LIMIT_S = 300
KILLS = {"worker": 70, "session told to go": 12, "session": 9, "server": 9}


@dataclass(frozen=True)
class Outcome:
    """What was found, and what the run was like."""

    found: Found
    ledger: Ledger
    kills: Counter[str]
    revived: Counter[str]

    def told(self) -> str:
        """The figures, a line each."""
        lines = [
            " · ".join(f"{name} {number:,}" for name, number in sorted(self.found.figures.items())),
            "killed: " + " · ".join(f"{name} {n}" for name, n in sorted(self.kills.items())),
            "on the way: "
            + " · ".join(
                f"{name} {n}" for name, n in sorted((self.ledger.counted + self.revived).items())
            ),
            f"lost {len(self.found.lost)} · doubled {len(self.found.doubled)} · "
            f"over-minted {len(self.found.over_minted)} · else wrong {len(self.found.other)}",
        ]
        wrong = self.found.lost + self.found.doubled + self.found.over_minted + self.found.other
        return "\n".join(lines + wrong[:20])


async def soak(seconds: float, seed: int, folder: Path, *, is_durable: bool) -> Outcome:
    """Run for `seconds`, let everything come to its end, and count."""
    dice = random.Random(seed)  # noqa: S311
    server = Server(folder / "data", is_durable)
    await server.start()
    try:
        await migrate(server.dsn)
        database = await patiently_opened(server.dsn, "soak submitters", connections=12)
        world = await build_world(Platform(database, LIMITS))
        brands = await make_brands(world, BRANDS)
        crew = Crew(server.dsn, folder, WORKERS)
        crew.start()
        ledger, stop = Ledger(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(SUBMITTERS):
                own = random.Random(dice.random())  # noqa: S311
                group.create_task(Submitter(world, brands, ledger, own).run(stop))
            kills = await _kill_for(seconds, server, crew, dice)
            stop.set()
        print(f"killed {kills.total()} times; settling", flush=True)
        revived = await _settle(world, ledger)
        codes = await crew.stop()
        await fold_tallies(transactions(world))
        print("counting", flush=True)
        found = await count(world, brands, ledger, folder)
        if set(codes) != {0}:
            found.other.append(f"workers did not end in order: {codes}")
        await database.close()
    finally:
        await server.stop()
    return Outcome(found, ledger, kills, revived)


async def _kill_for(
    seconds: float, server: Server, crew: Crew, dice: random.Random
) -> Counter[str]:
    kills: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(PAUSE_S)
        (victim,) = dice.choices(list(KILLS), list(KILLS.values()))
        number = dice.randrange(1000)
        match victim:
            case "worker":
                crew.kill(number)
            case "session told to go":
                await server.end_session(number)
            case "session":
                await server.kill_session(number)
            case "server":
                await server.kill_and_start()
        kills[victim] += 1
    return kills


async def _settle(world: World, ledger: Ledger) -> Counter[str]:
    """Nothing is killed any more: what failed on the way is resumed, until all is done."""
    revived: Counter[str] = Counter()
    async with asyncio.timeout(SETTLE_LIMIT_S):
        while True:
            while await answered(lambda: _open(world), ledger):
                await asyncio.sleep(0.2)
            again = await _revive_jobs(world, ledger) + await _revive_packs(world)
            revived += again
            if not again:
                return revived


async def _open(world: World) -> int:
    found: int = await value(world, "select count(*) from work_item")
    return found


async def _revive_jobs(world: World, ledger: Ledger) -> Counter[str]:
    failed = await rows(
        world,
        "select brand_id, id, last_error from mint_job where status = 'FAILED' "
        "and last_error <> 'VOIDED' order by id",
    )
    revived: Counter[str] = Counter()
    for job in failed:
        if job["id"] in ledger.voided:
            continue
        answer = await world.rpc(
            "retry_mint_job", "service", brand_id=job["brand_id"], mint_job_id=job["id"]
        )
        if answer["ok"]:
            revived[f"failed and retried ({job['last_error']})"] += 1
        else:
            await _void(world, ledger, job["brand_id"], job["id"])
            revived["failed, and another had taken its quantity"] += 1
    return revived


async def _void(world: World, ledger: Ledger, brand_id: object, job_id: object) -> None:
    batch_id = await value(world, "select id from mint_batch where mint_job_id = $1", job_id)
    await world.rpc(
        "set_mint_batch_status",
        "service",
        brand_id=brand_id,
        mint_batch_id=batch_id,
        status="voided",
    )
    ledger.voided |= {job.mint_job_id for job in ledger.jobs if job.mint_batch_id == batch_id}


async def _revive_packs(world: World) -> Counter[str]:
    """Batches of which a group failed and no other was asked for since: asked for again."""
    failed = await rows(
        world,
        "select distinct batch.brand_id, batch.id from mint_batch as batch "
        "join export_group on export_group.mint_batch_id = batch.id "
        "where batch.status <> 'voided' and not exists (select from export_group as other "
        "where other.mint_batch_id = batch.id and other.status <> 'failed')",
    )
    for batch in failed:
        await world.rpc(
            "request_payload_packs",
            "service",
            brand_id=batch["brand_id"],
            mint_batch_id=batch["id"],
        )
    return Counter({"groups that failed": len(failed)} if failed else {})


def main() -> int:
    """The exit code."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    folder = Path(tempfile.mkdtemp(prefix="mintage-soak-"))
    folder.chmod(0o755)
    print(
        f"soak: {seconds:.0f} s, seed {seed}, a kill every {PAUSE_S:.0f} s, in {folder}", flush=True
    )
    outcome = asyncio.run(soak(seconds, seed, folder, is_durable=True))
    print(outcome.told())
    if not outcome.found.is_well:
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
