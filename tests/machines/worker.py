"""`mintage work` under short leases, which lapse within a test: `python -m tests.machines.worker`."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

from mintage.app import open_runtime, run_worker, stop_signals
from mintage.settings import read_settings
from mintage.telemetry import configure_logs

LEASE_S = 3.0


async def main() -> None:
    configure_logs()
    settings = read_settings(os.environ)
    limits = replace(settings.limits, job_lease_s=LEASE_S, pack_lease_s=LEASE_S)
    settings = replace(settings, limits=limits)
    with stop_signals() as stopping:
        async with (
            open_runtime(settings, application="work", may_migrate=False) as runtime,
            run_worker(runtime),
        ):
            await stopping.wait()


if __name__ == "__main__":
    asyncio.run(main())
