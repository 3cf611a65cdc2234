"""`mintage brand`: brands are made, exported and deleted.

Exit codes: 0 done, 1 refused or failed with a sentence, 2 wrong usage. Not here: what an export is made of
(`operations.brand_export`), and what a deletion takes (`operations.brand_delete`).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import click
import uvloop
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from mintage.app import Runtime, open_runtime
from mintage.db.embedded import EmbeddedServerError
from mintage.db.migrate import SchemaError
from mintage.errors import MintageError
from mintage.operations.brand_delete import DeletionRefused, delete_brand
from mintage.operations.brand_export import ExportFailed, export_brand
from mintage.operations.call import SERVICE, SYSTEM
from mintage.operations.checks import Brand, list_brands
from mintage.perform import perform
from mintage.rpcs import RPCS
from mintage.secrets import SecretsError
from mintage.settings import Settings, SettingsError, read_settings
from mintage.storage import StorageFailure
from mintage.telemetry import configure_logs

_EXPECTED: Final = (
    DeletionRefused,
    EmbeddedServerError,
    ExportFailed,
    MintageError,
    OSError,
    SchemaError,
    SecretsError,
    SettingsError,
    StorageFailure,
    asyncpg.PostgresError,
)


@click.group("brand")
def brand_commands() -> None:
    """Brands: the tenants."""


@brand_commands.command("create")
@click.argument("slug")
@click.option("--name", required=True, help="The brand's name.")
@click.option("--owner", required=True, help="E-mail of its first owner.")
def brand_create(slug: str, name: str, owner: str) -> None:
    """Make a brand with its first owner; prints the ids, and a password for a new account."""
    _run(_create({"_slug": slug, "_name": name, "_owner_email": owner}))


@brand_commands.command("export")
@click.argument("slug")
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--no-packs", is_flag=True, help="Leave the files of the packs out.")
def brand_export(slug: str, destination: Path, no_packs: bool) -> None:
    """Write a brand to the new directory DESTINATION: CSV files, its packs, a manifest. No secrets."""
    _run(_export(slug, destination, has_packs=not no_packs))


@brand_commands.command("delete")
@click.argument("slug")
@click.option("--yes", "slug_again", help="The slug once more: what is deleted does not come back.")
@click.option("--void-running", is_flag=True, help="Even while jobs are queued or minting.")
def brand_delete(slug: str, slug_again: str | None, void_running: bool) -> None:
    """Delete a brand, its rows and its files. Broken off, the same command goes on. Export it first."""
    if slug_again != slug:
        raise click.UsageError(
            f"this cannot be undone: give --yes {slug} to delete the brand {slug}"
        )
    configure_logs()
    _run(_delete(slug, may_void_running=void_running))


async def _create(raw: dict[str, object]) -> None:
    async with open_runtime(_settings(), application="command", may_migrate=False) as runtime:
        answer = await perform(runtime.platform, SERVICE, RPCS["create_brand"], raw, "command")
        click.echo(json.dumps(answer, indent=2, default=str))


async def _export(slug: str, destination: Path, *, has_packs: bool) -> None:
    async with open_runtime(_settings(), application="export", may_migrate=False) as runtime:
        brand = await _brand(runtime, slug)
        with _progress() as told:
            written = await export_brand(
                runtime.platform.database,
                runtime.store,
                brand.id,
                destination,
                has_packs=has_packs,
                told=told,
            )
        click.echo(
            f"{destination}: {written.rows} rows, {written.packs} packs, {written.byte_size} bytes"
        )


async def _delete(slug: str, *, may_void_running: bool) -> None:
    async with open_runtime(_settings(), application="delete", may_migrate=False) as runtime:
        with _progress() as told:
            deleted = await delete_brand(
                runtime.platform.database,
                runtime.store,
                slug,
                may_void_running=may_void_running,
                told=told,
            )
        click.echo(f"{slug} is deleted: {deleted.rows} rows, {deleted.files} files")


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """A line on stderr for each thing that is told of, with how much of it is done."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bars: dict[str, TaskID] = {}

        def told(what: str, count: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=None)
            progress.advance(bars[what], count)

        yield told


async def _brand(runtime: Runtime, slug: str) -> Brand:
    for each in await list_brands(runtime.platform.transactions(SYSTEM, "command")):
        if each.slug == slug:
            return each
    raise click.ClickException(f"there is no brand {slug!r}; `mintage brand create` makes one")


def _settings() -> Settings:
    return read_settings(os.environ)


def _run(command: Coroutine[Any, Any, None]) -> None:
    try:
        uvloop.run(command)
    except _EXPECTED as problem:
        details = getattr(problem, "details", None)
        click.echo(f"mintage: {problem}" + (f" ({details})" if details else ""), err=True)
        sys.exit(1)
