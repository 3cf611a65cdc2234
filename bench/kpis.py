"""Do figures cost the same at ten million units as at a thousand?

Two brands in one database: one has minted 1,000 units, the other 10,000,000, both through the minting core;
some units of each are scanned and revoked, and a batch of each is voided. `get_mint_kpis` of both in turns
through `perform`, everything folded: median of each, and their ratio. Aim: ≤ 1.2.

    python -m bench.kpis [--units N] [--calls N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from uuid import UUID

import uvloop

from bench import support
from mintage.operations.call import SERVICE, SYSTEM, Caller
from mintage.operations.tallies import fold_tallies
from mintage.perform import Platform

SMALL = 1_000
JOB_UNITS_MAX = 1_000_000
REVOKED_UNITS = 100


@dataclass(frozen=True)
class Brand:
    """A brand with units; `caller` is its owner."""

    brand_id: UUID
    caller: Caller


async def make_brand(platform: Platform, units: int) -> Brand:
    """A brand that has minted `units`, and voided one batch of ten more."""
    brand_id, caller = await support.make_brand(platform.database)
    product_id = await support.make_product(platform, caller, brand_id)

    async def minted(quantity: int) -> object:
        submitted = await support.rpc(
            platform,
            caller,
            "submit_mint_request",
            brand_id=brand_id,
            product_id=product_id,
            requested_quantity=quantity,
            identity_mode="serial",
            activation_mode="active_at_mint",
        )
        while not (await support.rpc(platform, SERVICE, "process_mint_job_batch"))["done"]:
            pass
        return submitted["mint_batch_id"]

    started = time.perf_counter()
    for first in range(0, units, JOB_UNITS_MAX):
        await minted(min(JOB_UNITS_MAX, units - first))
    print(f"{units:,} units minted in {time.perf_counter() - started:.1f} s", flush=True)
    voided = await minted(10)
    await support.rpc(
        platform,
        caller,
        "set_mint_batch_status",
        brand_id=brand_id,
        mint_batch_id=voided,
        status="voided",
    )
    page = await support.rpc(
        platform, caller, "list_mint_units", brand_id=brand_id, limit=REVOKED_UNITS + 10
    )
    listed = page["units"]
    if not isinstance(listed, list):
        raise TypeError("list_mint_units answers with units")
    await support.rpc(
        platform,
        caller,
        "revoke_mint_units",
        brand_id=brand_id,
        unit_ids=[str(unit["id"]) for unit in listed if unit["status"] == "active"],
        reason="bench",
    )
    return Brand(brand_id, caller)


async def read(platform: Platform, brand: Brand) -> Mapping[str, object]:
    answer = await support.rpc(platform, brand.caller, "get_mint_kpis", brand_id=brand.brand_id)
    kpis = answer["kpis"]
    if not isinstance(kpis, dict):
        raise TypeError("get_mint_kpis answers with kpis")
    return kpis


async def compare(units: int, calls: int) -> None:
    async with support.server() as dsn:
        platform = await support.open_platform(dsn)
        brands = {size: await make_brand(platform, size) for size in (SMALL, units)}
        while await fold_tallies(platform.transactions(SYSTEM, "bench")):
            pass
        for size, brand in brands.items():
            kpis = await read(platform, brand)
            if (kpis["units_minted"], kpis["units_revoked"]) != (size + 10, REVOKED_UNITS + 10):
                raise RuntimeError(f"the figures are wrong: {kpis}")
        times_s: dict[int, list[float]] = {size: [] for size in brands}
        for number in range(calls):
            for size in sorted(brands, reverse=number % 2 == 1):
                started = time.perf_counter()
                await read(platform, brands[size])
                times_s[size].append(time.perf_counter() - started)
        await platform.database.close()
    small_ms, large_ms = (median(times_s[size]) * 1000 for size in (SMALL, units))
    print(
        f"kpis: {small_ms:.3f} ms at {SMALL:,} units, {large_ms:.3f} ms at {units:,}; "
        f"ratio {large_ms / small_ms:.3f} (aim: at most 1.2); medians of {calls} calls each"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=10_000_000)
    parser.add_argument("--calls", type=int, default=500)
    options = parser.parse_args()
    uvloop.run(compare(options.units, options.calls))


if __name__ == "__main__":
    main()
