"""The composition root: settings become a running platform, and what runs is stopped in order.

Start: PostgreSQL (embedded, or the one that the settings name) → schema → pool → doors. Stop: requests
drain, the worker's steps finish, scans that wait are written; then the pool is closed, PostgreSQL last.
Not here: sub-commands (`cli`) and what any door does.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mintage.api.app import build_api
from mintage.api.auth import sign_in
from mintage.api.door import Door
from mintage.api.foreign import foreign_users
from mintage.api.middleware import AnyOrigin, RequestIds
from mintage.api.routes import FIRST_SEGMENTS
from mintage.console.app import build_console
from mintage.console.door import ConsoleDoor
from mintage.db import embedded
from mintage.db.connection import DatabaseRole, open_database
from mintage.db.dsn import read_dsn
from mintage.db.migrate import migrate, require_current_schema
from mintage.db.replica import Replica
from mintage.guarded_protocol import Taken, TakeOver
from mintage.health import HEALTH_PATHS, LOOK_TIMEOUT_S, Health, StoreWatch, Vitals
from mintage.keyring import open_secrets
from mintage.listening import listen
from mintage.metrics.door import METRICS_PATH, Metrics, OwnListener
from mintage.metrics.reading import Metered
from mintage.metrics.requests import Counted, route_of
from mintage.operations.countries import open_countries
from mintage.operations.webhook_secrets import Sealer
from mintage.packs.workshop import Workshop
from mintage.perform import Platform
from mintage.resolver.app import Resolver, build_resolver
from mintage.resolver.paths import is_resolvers
from mintage.resolver.paths import route_of as resolver_route_of
from mintage.resolver.scan_buffer import ScanBuffer
from mintage.secrets import Secrets, SecretsSource
from mintage.settings import Settings, SettingsError
from mintage.storage import PackStore, StoreAway, open_pack_store
from mintage.telemetry import logger
from mintage.tracing import Traced, TracesMissing, is_tracing, start_tracing
from mintage.worker.duties import duties_of
from mintage.worker.loop import Worker, lanes_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

DATABASE: Final = "mintage"
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Of a lease; the rest is for storing what was made.
_MAKING_SHARE: Final = 0.9
_log = logger("app")


@dataclass(frozen=True, slots=True)
class Runtime:
    """A platform that is up: what doors, worker and commands are made of.

    `direct_dsn` leads to the database itself, past a pooler.
    """

    settings: Settings
    direct_dsn: str
    platform: Platform
    keys: SecretsSource
    store: PackStore
    is_embedded: bool = field(default=False)
    has_queue: bool = field(default=True)
    vitals: Vitals = field(default_factory=Vitals)

    @property
    def secrets(self) -> Secrets:
        """The secrets of now: keys are rotated under a running process."""
        return self.keys.current

    def health(self) -> Health:
        """Whether the process lives and can work; a resolver alone may have no role but its own."""
        role = DatabaseRole.APP if self.has_queue else DatabaseRole.RESOLVER
        return Health(self.platform.database, self.vitals, role=role)


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    application: str,
    may_migrate: bool = True,
    may_join: bool = True,
    has_queue: bool = True,
) -> AsyncIterator[Runtime]:
    """The platform without doors, on the PostgreSQL of the settings or the embedded one.

    `may_join`: an embedded PostgreSQL that another process runs on the data directory is used; otherwise
    it must be this process's own. `may_migrate`: bring the schema up to date; otherwise a schema that is
    not current is refused. `has_queue`: its metrics tell of the queue.
    """
    async with AsyncExitStack() as stack:
        _refuse_unreadable_urls(settings)
        await _trace(stack, settings)
        dsn = settings.database_url or await _embedded_dsn(stack, settings, may_join=may_join)
        direct_dsn = settings.direct_database_url or dsn
        if may_migrate:
            await migrate(direct_dsn)
        else:
            await require_current_schema(dsn)
        countries = open_countries(settings.country_file)
        database = await open_database(
            dsn,
            connections=settings.pool_connections,
            statement_timeout_s=settings.limits.statement_timeout_s,
            application=application,
        )
        stack.push_async_callback(database.close)
        keys = await asyncio.to_thread(open_secrets, settings)
        sealer = Sealer(lambda: keys.current.webhook_keys)
        yield Runtime(
            settings=settings,
            direct_dsn=direct_dsn,
            platform=Platform(database, settings.limits, countries=countries, sealer=sealer),
            keys=keys,
            store=await asyncio.to_thread(
                open_pack_store, settings.storage_url, settings.data_dir, settings.limits
            ),
            is_embedded=settings.database_url is None,
            has_queue=has_queue,
            vitals=Vitals(keys=keys),
        )


@asynccontextmanager
async def open_server(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database itself, whatever is in it: the settings' own, or the embedded one's, which is
    started where no other process runs it."""
    async with AsyncExitStack() as stack:
        _refuse_unreadable_urls(settings)
        yield (
            settings.direct_database_url
            or settings.database_url
            or await _embedded_dsn(stack, settings, may_join=True)
        )


async def _trace(stack: AsyncExitStack, settings: Settings) -> None:
    """Spans go out from here to the end of `stack`, where the settings say where to."""
    if settings.traces_endpoint is None:
        return
    try:
        stop = start_tracing(settings.traces_endpoint, version("mintage"))
    except TracesMissing:
        _log.error(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set and traces cannot be sent: install mintage[traces], "
            "or unset it"
        )
        return
    stack.push_async_callback(asyncio.to_thread, stop)


def _refuse_unreadable_urls(settings: Settings) -> None:
    for variable, url in (
        ("MINTAGE_DATABASE_URL", settings.database_url),
        ("MINTAGE_DIRECT_DATABASE_URL", settings.direct_database_url),
        ("MINTAGE_REPLICA_URL", settings.replica_url),
    ):
        try:
            if url is not None:
                read_dsn(url)
        except ValueError as problem:
            raise SettingsError(f"{variable}: {problem}") from None


async def _embedded_dsn(stack: AsyncExitStack, settings: Settings, *, may_join: bool) -> str:
    found = embedded.find(settings.data_dir) if may_join else None
    if found is not None:
        return await embedded.ensure_database(found, DATABASE)
    await asyncio.to_thread(_make_private, settings.data_dir)
    server = await embedded.start(settings.data_dir, bin_dir=settings.postgres_bin_dir)
    stack.push_async_callback(embedded.stop, server)
    return await embedded.ensure_database(server, DATABASE)


def _make_private(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True)
        os.chmod(folder, 0o700)


async def look_into_store(runtime: Runtime, *, writes: bool) -> None:
    """A store that refuses us ends the start; for one that is away, packs are tried again later.

    From then on whoever asks for readiness has it looked at.
    """
    try:
        await runtime.store.check(writes=writes)
    except StoreAway as failure:
        _log.warning("the store of packs does not answer", exc_info=failure)
    settings = runtime.settings
    # Its own threads and little patience: looks neither wait behind packs nor pile up.
    limits = replace(settings.limits, store_retries_max=1, store_retry_s=LOOK_TIMEOUT_S)
    store = await asyncio.to_thread(
        open_pack_store, settings.storage_url, settings.data_dir, limits
    )
    runtime.vitals.store = StoreWatch(store, writes=writes)


@asynccontextmanager
async def run_worker(runtime: Runtime) -> AsyncIterator[Worker]:
    """A worker in this process; at the end it finishes the steps under way."""
    platform, store = runtime.platform, runtime.store
    await look_into_store(runtime, writes=True)
    limits = platform.limits
    workshop = Workshop(limits.workshop_processes, limits.pack_lease_s * _MAKING_SHARE)
    lanes = lanes_of(platform, store, lambda: runtime.secrets.manifest_keys[0], workshop)
    worker = Worker(platform, runtime.direct_dsn, lanes, duties_of(store))
    task = asyncio.create_task(worker.run())
    runtime.vitals.worker, runtime.vitals.working = task, worker
    try:
        yield worker
    finally:
        worker.stop()
        try:
            await task
        finally:
            await workshop.close()


@dataclass(frozen=True, slots=True)
class Doors:
    """Which doors a process serves."""

    has_api: bool = True
    has_resolver: bool = True


@asynccontextmanager
async def open_doors(runtime: Runtime, doors: Doors) -> AsyncIterator[ASGIApp]:
    """The application of the doors; at the end scans that wait are written."""
    settings, platform = runtime.settings, runtime.platform
    health = RequestIds(AnyOrigin(runtime.health()))
    token = settings.metrics_token
    metrics = Metrics(metered_of(runtime), token) if token is not None else None
    api: ASGIApp | None = None
    console: ASGIApp | None = None
    if doors.has_api:
        await look_into_store(runtime, writes=False)
        users = foreign_users(
            settings, runtime.secrets, platform.database, settings.limits.clock_leeway_s
        )
        door = Door(platform, settings, runtime.keys, runtime.store, foreign_users=users)
        api = Counted("api", Traced("api", build_api(door), route_of))
        pages = ConsoleDoor(platform, settings, runtime.keys, runtime.store, partial(sign_in, door))
        pages_app = Traced("console", build_console(pages), route_of)
        console = Counted("console", RequestIds(pages_app))
    if not doors.has_resolver:
        yield Front(api, None, settings, console, health, metrics)
        return
    buffer = ScanBuffer(platform.database, settings.limits, platform.countries)
    runtime.vitals.scan_buffer = buffer
    async with _replica_of(runtime) as replica:
        resolver = build_resolver(
            Resolver(
                database=platform.database,
                limits=settings.limits,
                scan_buffer=buffer,
                product_page_keys=lambda: runtime.secrets.product_page_keys,
                trusted_proxies=settings.trusted_proxies,
                replica=replica,
            )
        )
        if is_tracing():
            resolver = Traced(
                "resolver", resolver, lambda scope: resolver_route_of(scope["path"]), False
            )
        task = asyncio.create_task(buffer.run())
        runtime.vitals.scan_storing = task
        try:
            yield Front(api, resolver, settings, console, health, metrics)
        finally:
            runtime.vitals.scan_storing = None
            await buffer.stop()
            await task


def metered_of(runtime: Runtime) -> Metered:
    """What is looked at when metrics are asked for; a resolver alone does not look into the queue."""
    return Metered(runtime.platform.database, runtime.vitals, has_queue=runtime.has_queue)


@asynccontextmanager
async def listen_for_metrics(runtime: Runtime) -> AsyncIterator[None]:
    """A listener of its own for `/metrics`, `/healthz` and `/readyz`, where the settings name one."""
    settings = runtime.settings
    if settings.metrics_listen is None:
        yield
        return
    metrics = OwnListener(Metrics(metered_of(runtime)), runtime.health())
    async with listen(settings, metrics, at=settings.metrics_listen):
        yield


@asynccontextmanager
async def _replica_of(runtime: Runtime) -> AsyncIterator[Replica | None]:
    """The replica of the settings, looked at while the context lasts; it need not answer at the start."""
    settings, primary = runtime.settings, runtime.platform.database
    if settings.replica_url is None:
        yield None
        return
    database = await open_database(
        settings.replica_url,
        connections=settings.pool_connections,
        statement_timeout_s=settings.limits.statement_timeout_s,
        application="resolver on a replica",
        connects_now=False,
    )
    replica = Replica(database, primary, lag_s_max=settings.limits.replica_lag_s_max)
    looking = asyncio.create_task(replica.run())
    runtime.vitals.replica = replica
    try:
        yield replica
    finally:
        runtime.vitals.replica = None
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await database.close()


class Front:
    """Sends a request to its door. On a host that is not the platform's, only the resolver answers."""

    def __init__(
        self,
        api: ASGIApp | None,
        resolver: ASGIApp | None,
        settings: Settings,
        console: ASGIApp | None = None,
        health: ASGIApp | None = None,
        metrics: ASGIApp | None = None,
    ) -> None:
        self._metrics = metrics
        self._api = api
        self._health = health
        self._console = console
        self._resolver = resolver
        self._platform_hosts = platform_hosts(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("the doors are opened and closed by the composition root")
        await self._door_of(scope)(scope, receive, send)

    def take_over(self, scope: Scope, taken: Taken) -> bool:
        """Let a door that can do so take the request over, without a task."""
        take_over: TakeOver | None = getattr(self._door_of(scope), "take_over", None)
        return take_over is not None and take_over(scope, taken)

    def _door_of(self, scope: Scope) -> ASGIApp:
        path: str = scope["path"]
        if self._health is not None and path in HEALTH_PATHS:
            return self._health
        if self._metrics is not None and path == METRICS_PATH:
            return self._metrics
        if self._console is not None and self._is_of_console(path, scope):
            return self._console
        if self._resolver is None or self._api is None:
            only = self._resolver or self._api
            if only is None:
                raise RuntimeError("no door is open")
            return only
        if is_resolvers(path, FIRST_SEGMENTS) or _host(scope) not in self._platform_hosts:
            return self._resolver
        return self._api

    def _is_of_console(self, path: str, scope: Scope) -> bool:
        """The console answers on the platform's own names only: on a brand's host it is no page."""
        is_console = path == "/console" or path.startswith("/console/")
        return is_console and _host(scope) in self._platform_hosts


def platform_hosts(settings: Settings) -> frozenset[str]:
    """The names under which the platform itself answers: its URL's, its address, loopback's."""
    named = urlsplit(settings.platform_url).hostname or ""
    return LOOPBACK_NAMES | {named, settings.host}


def _host(scope: Scope) -> str:
    """The Host header without its port, lower case, brackets of an IPv6 address removed."""
    for name, value in scope["headers"]:
        if name == b"host":
            return _host_name(value.decode("latin-1"))
    return ""


def _host_name(value: str) -> str:
    try:
        return urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set, for as long as the context lasts."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        yield stopping
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
