"""The cluster is made, or found fit: by whom, by which PostgreSQL, where.

Not here: its settings (`embedded_settings`), its start (`embedded`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from mintage.db.embedded_binaries import (
    Account,
    EmbeddedServerError,
    Installation,
    give,
    has_name,
    is_reachable_by,
)
from mintage.db.embedded_launch import exit_code_of, launch, log_tail
from mintage.db.embedded_processes import QUIT_LIMIT_S
from mintage.db.embedded_settings import SETTINGS_FILE, SUPERUSER

INITDB_LIMIT_S: Final = 300.0


def check_reach(cluster: Path, account: Account | None) -> None:
    """Refuse what only /proc makes possible, where there is no /proc."""
    if account is None or os.path.isdir("/proc/self/fd") or is_reachable_by(cluster, account):
        return
    raise EmbeddedServerError(
        f"{account.name}, as whom PostgreSQL runs when root starts Mintage, cannot enter the "
        f"folders above {cluster}: give a --data DIR whose parents everyone may enter, such as "
        f"/var/lib/mintage, or start Mintage as a normal user"
    )


def has_cluster(cluster: Path, account: Account | None, installation: Installation) -> bool:
    """Whether there is a cluster; one that these binaries or this user cannot run is refused."""
    if not os.path.lexists(cluster):
        return False
    owner_uid = account.uid if account else os.geteuid()
    if cluster.is_symlink() or not cluster.is_dir() or cluster.stat().st_uid != owner_uid:
        raise EmbeddedServerError(
            f"{cluster} is not a folder of the user who starts Mintage: start it as the folder's "
            f"owner or as root, or give another --data DIR"
        )
    try:
        version = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedServerError(
            f"{cluster} holds no PostgreSQL cluster: move it away, or give another --data DIR"
        ) from None
    if version != str(installation.major):
        raise EmbeddedServerError(
            f"{cluster} was made by PostgreSQL {version}, and the programs in "
            f"{installation.bin_dir} are of PostgreSQL {installation.version}: give the programs "
            f"of PostgreSQL {version}, or another --data DIR (pg_dump and pg_restore move data)"
        )
    return True


async def create_cluster(
    cluster: Path, account: Account | None, installation: Installation, log: int, *, durable: bool
) -> None:
    """Make the cluster beside its place and rename it, so that a half-made one is never met."""
    uid = account.uid if account else os.geteuid()
    if not has_name(uid):
        raise EmbeddedServerError(
            f"user {uid} has no entry in /etc/passwd, and PostgreSQL makes a cluster for named "
            f"users only: add one, start Mintage as another user, or set MINTAGE_DATABASE_URL"
        )
    for leftover in cluster.parent.glob("postgres.new-*"):
        await asyncio.to_thread(shutil.rmtree, leftover, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=cluster.parent))
    try:
        give(made, account)
        kept = launch(
            _initdb_command(installation, durable=durable),
            directory=made,
            account=account,
            log=log,
            stop_s=QUIT_LIMIT_S,
        )
        try:
            code = await exit_code_of(kept, INITDB_LIMIT_S)
        finally:
            kept.pipe.release()
            await exit_code_of(kept, QUIT_LIMIT_S)
        if code != 0:
            raise EmbeddedServerError(
                f"PostgreSQL could not make a cluster in {cluster}; its log ends:\n{log_tail(log)}"
            )
        conf = os.open(made / "postgresql.conf", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with os.fdopen(conf, "w") as file:
            file.write(f"\ninclude '{SETTINGS_FILE}'\n")
            file.flush()
            if durable:
                os.fsync(conf)
        os.rename(made, cluster)
        if durable:
            _sync_directory(cluster.parent)
    finally:
        await asyncio.to_thread(shutil.rmtree, made, ignore_errors=True)


def _initdb_command(installation: Installation, *, durable: bool) -> list[str]:
    locale = ["--locale=C"]
    if installation.major >= 17:
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"]
    command = [str(installation.bin_dir / "initdb"), "-D", "{directory}", "-U", SUPERUSER]
    command += ["--encoding=UTF8", *locale, "--data-checksums", "--no-instructions"]
    # Whoever can enter the socket's folder is the server's own user or root.
    command += ["--auth-local=trust", "--auth-host=reject"]
    return command if durable else [*command, "--no-sync"]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
