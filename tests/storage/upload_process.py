"""A writer for a test that kills it: `python -m tests.storage.upload_process URL PATH`.

It sends twelve million bytes, says so, and never comes to the end of the file.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mintage.storage import open_pack_store


def endless() -> Iterator[bytes]:
    for _ in range(12):
        yield bytes(1_000_000)
    print("half", flush=True)
    time.sleep(3600)
    yield b"end"


if __name__ == "__main__":
    asyncio.run(open_pack_store(sys.argv[1], Path()).put(sys.argv[2], endless()))
