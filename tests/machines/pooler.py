"""PgBouncer in transaction mode in front of a test's PostgreSQL: Debian's, on a port of loopback."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import asyncpg

from tests.embedded.support import needs

WAIT_LIMIT_S = 30
SERVER_CONNECTIONS = 3
"""So few that every client is moved from one to another all the time."""


@asynccontextmanager
async def pgbouncer(dsn: str, *, port: int) -> AsyncIterator[str]:
    """The URL of `dsn`'s database through a PgBouncer of its own, without any option of the driver."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    needs(program is not None, "PgBouncer (Debian: apt-get install pgbouncer)")
    assert program is not None
    folder = Path(tempfile.mkdtemp(prefix="mintage-pgbouncer-"))
    folder.chmod(0o755)
    settings = folder / "pgbouncer.ini"
    settings.write_text(_settings_of(dsn, port), "utf-8")
    process = _start(program, settings, folder / "log")
    try:
        url = f"postgresql://postgres@127.0.0.1:{port}/{urlsplit(dsn).path[1:]}"
        await _until_it_answers(url, process, folder / "log")
        yield url
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _start(program: str, settings: Path, log: Path) -> subprocess.Popen[bytes]:
    # It refuses to be root; and it must be let into the folder of the server's socket.
    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    with log.open("wb") as file:
        return subprocess.Popen(
            [program, str(settings)],
            stdout=file,
            stderr=subprocess.STDOUT,
            user=nobody.pw_uid if nobody else None,
            group=nobody.pw_gid if nobody else None,
            extra_groups=[] if nobody else None,
        )


def _settings_of(dsn: str, port: int) -> str:
    parts = urlsplit(dsn)
    named = dict(parse_qsl(parts.query))
    server = {
        "host": named.get("host") or parts.hostname,
        "port": named.get("port") or parts.port,
        "user": parts.username or "postgres",
        "password": parts.password,
        "dbname": parts.path[1:],
    }
    told = " ".join(f"{name}={value}" for name, value in server.items() if value is not None)
    return f"""
[databases]
{parts.path[1:]} = {told}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {SERVER_CONNECTIONS}
max_client_conn = 200
"""


async def _until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    async with asyncio.timeout(WAIT_LIMIT_S):
        while True:
            assert process.poll() is None, log.read_text("utf-8")
            try:
                connection = await asyncpg.connect(url, statement_cache_size=0, timeout=5)
            except (OSError, asyncpg.PostgresConnectionError):
                await asyncio.sleep(0.02)
                continue
            await connection.close()
            return
