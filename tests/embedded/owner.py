"""A program that owns an embedded server, for tests that kill it: `owner.py DATA_DIR [BIN_DIR]`.

It says one line of JSON when the server is ready, then obeys the words on its standard input:
`fork` makes a child that only sleeps; the end of the input stops the server in order.
"""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

from mintage.db import embedded

CHILD_LIFE_S = 60


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


async def main() -> None:
    bin_dir = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    try:
        server = await embedded.start(Path(sys.argv[1]), bin_dir=bin_dir, durable=False)
    except embedded.EmbeddedServerError as error:
        say(refused=str(error))
        return
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: say(interrupted=True))
    assert server.hold is not None
    say(pid=server.postmaster_pid, keeper=server.hold.kept.keeper.pid, dsn=server.dsn)
    while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
        assert word == "fork"
        child = os.fork()
        if child == 0:
            time.sleep(CHILD_LIFE_S)  # noqa: ASYNC251
            os._exit(0)
        say(child=child)
    await embedded.stop(server)
    say(stopped=True)


if __name__ == "__main__":
    asyncio.run(main())
