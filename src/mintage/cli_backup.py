"""`mintage backup` and `mintage restore`, with progress bars. Not here: what they do (`backup`)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import click
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from mintage.app import open_server
from mintage.backup.making import Told, make_backup
from mintage.backup.restoring import restore_backup
from mintage.db.embedded import EmbeddedServerError
from mintage.db.migrate import SchemaError
from mintage.errors import BackupError
from mintage.secrets import SecretsError
from mintage.settings import SettingsError, read_settings
from mintage.storage import PackStore, StorageFailure, open_pack_store

_EXPECTED: Final = (
    BackupError,
    EmbeddedServerError,
    OSError,
    SchemaError,
    SecretsError,
    SettingsError,
    StorageFailure,
    asyncpg.PostgresError,
)


@click.command("backup")
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--without-secrets", is_flag=True, help="Leave the keys out; keep them elsewhere.")
def backup_command(destination: Path, without_secrets: bool) -> None:
    """Back up database, packs and secrets to the new folder DESTINATION, while the platform runs."""
    _run(_backup(destination, has_secrets=not without_secrets))


@click.command("restore")
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--overwrite", is_flag=True, help="Replace packs that are there already, and put secrets aside."
)
def restore_command(source: Path, overwrite: bool) -> None:
    """Restore the backup in the folder SOURCE into an empty database, and prove that it is whole."""
    _run(_restore(source, may_overwrite=overwrite))


async def _backup(destination: Path, *, has_secrets: bool) -> None:
    settings = read_settings(os.environ)
    async with open_server(settings) as dsn:
        store = await _store(settings.storage_url, settings.data_dir)
        with _bars() as told:
            manifest = await make_backup(
                settings, dsn, store, destination, has_secrets=has_secrets, told=told
            )
    click.echo(
        f"{destination}: {sum(manifest.counts.values())} rows and {len(manifest.packs)} packs "
        f"as of {manifest.moment}"
    )
    for path in manifest.missing:
        click.echo(
            f"mintage: this pack's file is missing or not as it was written: {path}", err=True
        )
    if has_secrets:
        click.echo(
            "mintage: the backup holds the platform's private keys (secrets.json): whoever reads it can "
            "sign as the platform. Keep it as you keep them, or back up with --without-secrets.",
            err=True,
        )


async def _restore(source: Path, *, may_overwrite: bool) -> None:
    settings = read_settings(os.environ)
    async with open_server(settings) as dsn:
        store = await _store(settings.storage_url, settings.data_dir)
        with _bars() as told:
            restored = await restore_backup(
                settings, dsn, store, source, may_overwrite=may_overwrite, told=told
            )
    manifest = restored.manifest
    click.echo(
        f"Restored {sum(manifest.counts.values())} rows and {len(manifest.packs)} packs "
        f"as of {manifest.moment}. `mintage check` proves the invariants."
    )
    if restored.keys_before is not None:
        click.echo(
            f"mintage: the keys that were in use here before are in {restored.keys_before}; remove it when "
            "nothing needs them any more.",
            err=True,
        )
    for path in manifest.missing:
        click.echo(f"mintage: the backup has no file of this pack: {path}", err=True)
    if not manifest.has_secrets:
        click.echo(
            "mintage: the backup holds no secrets: put the secrets file of that time in place before "
            "you start, or sessions, API keys, signed manifests and webhooks of before do not hold.",
            err=True,
        )


async def _store(storage_url: str | None, data_dir: Path) -> PackStore:
    store = await asyncio.to_thread(open_pack_store, storage_url, data_dir)
    await store.check()
    return store


@contextmanager
def _bars() -> Iterator[Told]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        bars = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what.capitalize(), total=total)
            progress.update(bars[what], completed=done, total=total)

        yield told


def _run(command: Coroutine[Any, Any, None]) -> None:
    try:
        uvloop.run(command)
    except _EXPECTED as problem:
        click.echo(f"mintage: {problem}", err=True)
        sys.exit(1)
