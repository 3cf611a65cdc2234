"""A worker process for tests that kill it: `python -m tests.support.worker_process DSN SIZE`.

It mints in cycles of SIZE units under short leases and folds tallies; SIGTERM is its orderly stop.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from mintage.db.connection import open_database
from mintage.operations.call import SYSTEM
from mintage.operations.tallies import fold_tallies
from mintage.perform import Platform, perform
from mintage.rpcs import RPCS
from mintage.settings import Limits
from mintage.worker.duties import Duty
from mintage.worker.loop import Lane, Worker

LIMITS = Limits(job_lease_s=0.3, backoff_s=(0.0, 0.0), poll_interval_s=0.05)


async def main(dsn: str, batch_size: int) -> None:
    database = await open_database(
        dsn, connections=4, statement_timeout_s=30, application="test worker"
    )
    platform = Platform(database, LIMITS)

    async def mint() -> bool:
        arguments: dict[str, object] = {"_batch_size": batch_size}
        answer = await perform(
            platform, SYSTEM, RPCS["process_mint_job_batch"], arguments, "worker"
        )
        return answer["status"] != "IDLE"

    worker = Worker(
        platform, dsn, (Lane("mint_job", mint),), (Duty("fold tallies", 0.05, fold_tallies),)
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
