"""The command `mintage`: sub-commands only, each a few lines over `app`, `demo` and `watch`.

Not here: any decision. Exit codes: 0 done, 1 refused or failed with a sentence, 2 wrong usage.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg
import click
import uvloop
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from mintage.app import (
    Doors,
    Runtime,
    listen_for_metrics,
    look_into_store,
    open_doors,
    open_runtime,
    run_worker,
    stop_signals,
)
from mintage.cli_backup import backup_command, restore_command
from mintage.cli_brands import brand_commands
from mintage.cli_rpc import rpc_command, webhook_commands
from mintage.cli_secrets import secrets_commands
from mintage.db.distribute import distribute
from mintage.db.embedded import EmbeddedServerError
from mintage.db.migrate import SchemaError
from mintage.demo import DemoFailed, open_browser, port_of_before, print_summary, run_demo
from mintage.errors import MintageError
from mintage.keyring import open_secrets
from mintage.listening import listen
from mintage.operations.call import SERVICE, SYSTEM
from mintage.operations.checks import list_brands, load_checks, run_check
from mintage.packs.signed_manifest import (
    ManifestRefused,
    fetch_public_keys,
    public_keys,
    read_public_keys,
)
from mintage.packs.verification import verify_pack
from mintage.perform import perform
from mintage.rpcs import RPCS
from mintage.secrets import SecretsError
from mintage.settings import Settings, SettingsError, read_settings
from mintage.telemetry import configure_logs
from mintage.tokens import anon_key, service_key
from mintage.watch import Api, WorkFailed, watch_minting, watch_packs

DEMO_DATA: Final = ".mintage-demo"
DEMO_PORT: Final = 8080
Result = TypeVar("Result")
EXPECTED: Final = (
    DemoFailed,
    EmbeddedServerError,
    ManifestRefused,
    MintageError,
    OSError,
    SchemaError,
    SecretsError,
    SettingsError,
    WorkFailed,
    asyncpg.PostgresError,
    click.ClickException,
)


def main() -> None:
    """Entry point of the console script."""
    cli(prog_name="mintage")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mintage")
def cli() -> None:
    """Mintage: mint, export and resolve item-level product identities."""


@cli.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 8080, or a free one if it is taken."
)
@click.option("--data", type=click.Path(path_type=Path), default=DEMO_DATA, help="Data directory.")
@click.option("--once", is_flag=True, help="Do everything once and leave.")
@click.option("--no-browser", is_flag=True, help="Open no browser.")
@click.option("--json", "as_json", is_flag=True, help="Print demo.json instead of the summary.")
def demo(port: int | None, data: Path, once: bool, no_browser: bool, as_json: bool) -> None:
    """Show the main job on this machine: mint 25,000 units, export, scan; then serve."""
    chosen = port or _free_port(0 if port == 0 else port_of_before(data) or DEMO_PORT)
    settings = _settings(
        MINTAGE_DATA=str(data), MINTAGE_PORT=str(chosen), MINTAGE_URL=f"http://localhost:{chosen}"
    )
    _run(
        _demo(
            settings, once=once, opens_browser=not (no_browser or once or as_json), as_json=as_json
        )
    )


@cli.command()
def serve() -> None:
    """Serve everything from one process: API, resolver and worker."""
    _run(_serve(Doors(), has_worker=True, may_migrate=True))


@cli.command()
def web() -> None:
    """Serve the API only."""
    _run(_serve(Doors(has_resolver=False), has_worker=False, may_migrate=False))


@cli.command()
def resolver() -> None:
    """Serve the public resolver only."""
    _run(_serve(Doors(has_api=False), has_worker=False, may_migrate=False))


@cli.command()
def work() -> None:
    """Run a worker only: minting, packs, duties."""
    _run(_work())


@cli.command()
@click.option("--distribute", "distributes", is_flag=True, help="Over a Citus cluster, by brand.")
def migrate(distributes: bool) -> None:
    """Bring the database to this release's schema."""
    _run(_migrate(distributes=distributes))


@cli.command()
def check() -> None:
    """Prove the invariants on the data of every brand; exit code 1 when one is broken."""
    _run(_check())


@cli.group()
def user() -> None:
    """People and their roles in brands."""


@user.command("set")
@click.argument("brand_slug")
@click.argument("email")
@click.argument("role", type=click.Choice(["owner", "admin", "editor", "viewer"]))
def user_set(brand_slug: str, email: str, role: str) -> None:
    """Give somebody a role in a brand; prints a password for a new account."""
    _run(_one_rpc("set_brand_member", {"_email": email, "_role": role}, brand_slug))


@cli.group()
def key() -> None:
    """Keys to the API."""


@key.command("platform")
def key_platform() -> None:
    """Print the anon key and the service key, which may do everything in every brand: keep it secret."""
    secrets = _told(lambda: open_secrets(_settings()).current)
    keys = {"anon_key": anon_key(secrets), "service_key": service_key(secrets)}
    click.echo(json.dumps(keys, indent=2))


cli.add_command(brand_commands)
cli.add_command(backup_command)
cli.add_command(restore_command)
cli.add_command(secrets_commands)
cli.add_command(rpc_command)
cli.add_command(webhook_commands)


@cli.group()
def host() -> None:
    """Hosts of brands: where their resolver URLs point."""


@host.command("set")
@click.argument("brand_slug")
@click.argument("base_url")
@click.option("--primary", is_flag=True, help="Build resolver URLs from it.")
def host_set(brand_slug: str, base_url: str, primary: bool) -> None:
    """Verify a host of a brand, e.g. https://id.example.com."""
    _run(_one_rpc("set_brand_host", {"_base_url": base_url, "_is_primary": primary}, brand_slug))


@cli.command()
@click.argument("brand_slug")
@click.argument("product_id", type=click.UUID)
@click.argument("quantity", type=click.IntRange(1, 1_000_000))
@click.option("--production-batch", type=click.UUID, help="Production batch to mint against.")
@click.option("--mode", type=click.Choice(["serial", "batch"]), default="serial", show_default=True)
@click.option(
    "--activation",
    type=click.Choice(["first_scan", "active_at_mint"]),
    default="first_scan",
    show_default=True,
)
@click.option("--key", help="Idempotency key: the same command again mints nothing more.")
def mint(
    brand_slug: str,
    product_id: UUID,
    quantity: int,
    production_batch: UUID | None,
    mode: str,
    activation: str,
    key: str | None,
) -> None:
    """Mint QUANTITY units of a product and wait for it; prints the batch's id."""
    arguments = {
        "product_id": product_id,
        "product_batch_id": production_batch,
        "requested_quantity": quantity,
        "identity_mode": mode,
        "activation_mode": activation,
        "idempotency_key": key,
    }
    _run(_mint(brand_slug, arguments))


@cli.command()
@click.argument("brand_slug")
@click.argument("mint_batch_id", type=click.UUID)
@click.option("--format", "format_name", default="csv", show_default=True)
@click.option("--profile", help="Print profile; the brand's own by default.")
@click.option("--option", "options", multiple=True, help="NAME=VALUE of the format; any number.")
def export(
    brand_slug: str,
    mint_batch_id: UUID,
    format_name: str,
    profile: str | None,
    options: tuple[str, ...],
) -> None:
    """Write the packs of a batch and wait for them; prints their paths in the bucket."""
    arguments = {
        "mint_batch_id": mint_batch_id,
        "format": format_name,
        "profile": profile,
        "options": _pack_options(options),
    }
    _run(_export(brand_slug, arguments))


def _pack_options(pairs: tuple[str, ...]) -> dict[str, object]:
    """What is JSON is read as JSON: `filter_value=1` is a number, `scheme=sgtin-96` text."""
    options: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} must be NAME=VALUE, as scheme=sgtin-96")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


@cli.command("verify-pack")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The group's manifest; else the one that lies beside FILE.",
)
@click.option(
    "--keys",
    help="File or https:// URL of the public keys (/.well-known/mintage-keys.json); else this "
    "installation's own.",
)
def verify_pack_command(file: Path, manifest: Path | None, keys: str | None) -> None:
    """Check that FILE is what the platform exported: a pack by its group's signed manifest, or a manifest
    with the packs that lie beside it, if any. Exit code 1 if not."""
    verdict = _told(lambda: verify_pack(file, manifest, read_public_keys(_public_keys(keys))))
    click.echo(f"{verdict.manifest.name}: signed by key {verdict.kid}")
    for name in verdict.verified:
        click.echo(f"{name}: as exported")
    missing = verdict.listed - len(verdict.verified)
    if not verdict.verified:
        click.echo(f"no pack was checked: none of the {missing} that are listed lies beside it")
    elif missing:
        click.echo(f"{missing} more packs are listed, and were not checked")


def _public_keys(where: str | None) -> bytes:
    """The bytes of a JWK set: a file's, a URL's, or of this installation's keys."""
    if where is None:
        settings = _settings()
        if settings.secrets_text is None and not settings.secrets_file.exists():
            raise click.ClickException(
                "give --keys: this machine has no keys of its own; the platform has its public ones at "
                "/.well-known/mintage-keys.json"
            )
        keys = public_keys(open_secrets(settings).current.manifest_keys)
        return json.dumps(keys).encode()
    if where.startswith(("https://", "http://")):
        return fetch_public_keys(where)
    return Path(where).read_bytes()


async def _demo(settings: Settings, *, once: bool, opens_browser: bool, as_json: bool) -> None:
    configure_logs(for_people=True, level="warning")
    console = Console(stderr=as_json, highlight=False)
    with stop_signals() as stopping:
        async with AsyncExitStack() as stack:
            console.print("[bold]Starting PostgreSQL[/]" if not settings.database_url else "")
            runtime = await stack.enter_async_context(
                open_runtime(settings, application="demo", may_join=False)
            )
            app = await stack.enter_async_context(open_doors(runtime, Doors()))
            await stack.enter_async_context(run_worker(runtime))
            await stack.enter_async_context(listen(settings, app))
            work = asyncio.create_task(run_demo(runtime, settings.platform_url, console))
            stopped = asyncio.create_task(stopping.wait())
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                console.print("Stopped before the end; the next start goes on from here.")
                return
            stopped.cancel()
            facts, told = work.result()
            if as_json:
                click.echo(json.dumps(facts, indent=2))
            print_summary(console, facts, told, settings)
            if once:
                return
            console.print(f"\nServing at {settings.platform_url} until Ctrl-C.")
            if opens_browser:
                open_browser(told)
            await stopping.wait()
            console.print("Stopping in order.")


async def _serve(doors: Doors, *, has_worker: bool, may_migrate: bool) -> None:
    configure_logs()
    settings = _settings()
    with stop_signals() as stopping:
        async with AsyncExitStack() as stack:
            runtime = await stack.enter_async_context(
                open_runtime(
                    settings,
                    application="serve",
                    may_migrate=may_migrate,
                    may_join=not has_worker,
                    has_queue=doors.has_api,
                )
            )
            app = await stack.enter_async_context(open_doors(runtime, doors))
            if has_worker:
                await stack.enter_async_context(run_worker(runtime))
            await stack.enter_async_context(listen_for_metrics(runtime))
            await stack.enter_async_context(listen(settings, app))
            click.echo(f"Serving at {settings.platform_url}", err=True)
            await stopping.wait()


async def _work() -> None:
    configure_logs()
    with stop_signals() as stopping:
        async with AsyncExitStack() as stack:
            runtime = await stack.enter_async_context(
                open_runtime(_settings(), application="work", may_migrate=False)
            )
            await stack.enter_async_context(run_worker(runtime))
            await stack.enter_async_context(listen_for_metrics(runtime))
            click.echo("Working", err=True)
            await stopping.wait()


async def _migrate(*, distributes: bool) -> None:
    async with open_runtime(_settings(), application="migrate") as runtime:
        click.echo("The schema is current.")
        if distributes:
            is_new = await distribute(runtime.direct_dsn)
            click.echo(
                f"The schema {'is distributed by brand' if is_new else 'was distributed before'}."
            )


async def _check() -> None:
    console = Console(highlight=False)
    async with open_runtime(_settings(), application="check", may_migrate=False) as runtime:
        transactions = runtime.platform.transactions(SYSTEM, "check")
        checks, brands = load_checks(), await list_brands(transactions)
        broken = 0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("Checking", total=len(checks) * len(brands))
            for each in brands:
                for invariant in checks:
                    progress.update(bar, description=f"{each.slug}: {invariant.name}")
                    rows = await run_check(transactions, invariant, each.id)
                    progress.advance(bar)
                    if rows:
                        broken += 1
                        console.print(f"[red]broken[/] {each.slug}: {escape(invariant.sentence)}")
                        for row in rows[:5]:
                            console.print(f"  {escape(json.dumps(row, default=str))}")
    if broken:
        raise click.ClickException(f"{broken} invariants are broken")
    console.print(f"{len(checks)} invariants hold in {len(brands)} brands.")


async def _one_rpc(name: str, raw: dict[str, object], brand_slug: str | None = None) -> None:
    async with open_runtime(_settings(), application="command", may_migrate=False) as runtime:
        if brand_slug is not None:
            raw = raw | {"_brand_id": str(await _brand_id(runtime, brand_slug))}
        answer = await perform(runtime.platform, SERVICE, RPCS[name], raw, "command")
        click.echo(json.dumps(answer, indent=2, default=str))


async def _mint(brand_slug: str, arguments: dict[str, Any]) -> None:
    console = Console(stderr=True, highlight=False)
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(_settings(), application="command"))
        await stack.enter_async_context(run_worker(runtime))
        api = Api(runtime.platform, SERVICE, await _brand_id(runtime, brand_slug))
        submitted = await api.call("submit_mint_request", **arguments)
        if not submitted["ok"]:
            sentences = "\n".join(reason["message"] for reason in submitted["blocking_reasons"])
            raise click.ClickException(sentences)
        await watch_minting(api, submitted["mint_batch_id"], console)
        click.echo(str(submitted["mint_batch_id"]))


async def _export(brand_slug: str, arguments: dict[str, Any]) -> None:
    console = Console(stderr=True, highlight=False)
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(_settings(), application="command"))
        await look_into_store(runtime, writes=True)
        api = Api(runtime.platform, SERVICE, await _brand_id(runtime, brand_slug))
        requested = await api.call("request_payload_packs", **arguments)
        if not requested["ok"]:
            sentences = "\n".join(reason["message"] for reason in requested["blocking_reasons"])
            raise click.ClickException(sentences)
        # Only now: the worker of a command that is refused would begin packs of others.
        await stack.enter_async_context(run_worker(runtime))
        for pack in await watch_packs(api, requested["export_group_id"], console):
            click.echo(pack["storage_path"])


async def _brand_id(runtime: Runtime, slug: str) -> UUID:
    for each in await list_brands(runtime.platform.transactions(SYSTEM, "command")):
        if each.slug == slug:
            return each.id
    raise click.ClickException(f"there is no brand {slug!r}; `mintage brand create` makes one")


def _settings(**given: str) -> Settings:
    return read_settings({**os.environ, **given})


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise click.ClickException("no port is free on this machine")


def _run(command: Coroutine[Any, Any, None]) -> None:
    _told(lambda: uvloop.run(command))


def _told(work: Callable[[], Result]) -> Result:
    """Do `work`; what can be expected to go wrong is told in a sentence, exit code 1."""
    try:
        return work()
    except EXPECTED as problem:
        if isinstance(problem, click.ClickException):
            raise
        details = getattr(problem, "details", None)
        click.echo(f"mintage: {problem}" + (f" ({details})" if details else ""), err=True)
        sys.exit(1)
