"""What is looked up when somebody asks: the queue, the pools, the buffer of scans, the worker's steps.

The queue is asked of the database under a time limit; while it does not answer, its metrics are absent
rather than wrong. Not here: what is counted where it happens (`meters`).
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, get_args

import asyncpg
from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from mintage.db.connection import AWAY_ERRORS, Database
from mintage.db.queries import query
from mintage.health import Vitals
from mintage.meters import KINDS, REGISTRY, WEBHOOK_KIND
from mintage.operations.call import SYSTEM
from mintage.operations.webhook_sending import COUNTS as WEBHOOK_COUNTS
from mintage.operations.webhook_sending import SendResult

QUEUE_TIMEOUT_S: Final = 2.0
QUEUE_COUNTED_MAX: Final = 100_000
WEBHOOK_STATES: Final = ("active", "failing", "disabled")
_STATE: Final = query("work_item", "state")
_DELIVERIES: Final = query("webhook_delivery", "state")
_PROCESS: Final = ProcessCollector(registry=None)


@dataclass(frozen=True, slots=True)
class Metered:
    """A process: its pool on the primary, what is known of it from inside, and whether it tells the queue."""

    database: Database
    vitals: Vitals
    has_queue: bool = True


@dataclass(frozen=True, slots=True)
class QueueState:
    """One kind of queued work: how many items there are (`QUEUE_COUNTED_MAX` at most), how many of them are
    leased, and for how many seconds the oldest that could run has waited; a delivery does since it is due."""

    kind: str
    items: int
    leased: int
    oldest_waiting_s: float


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the database says: its queues, by kind, and how many webhooks there are by how they do."""

    queues: list[QueueState]
    webhooks: Mapping[str, int]


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


async def read(metered: Metered) -> CollectorRegistry:
    """Everything that this process tells, as it is now."""
    looking = look_up(metered.database) if metered.has_queue else _nothing()
    found_out, store = await asyncio.gather(looking, metered.vitals.store_state())
    found: list[Metric] = [_build()]
    if metered.has_queue:
        found.append(
            GaugeMetricFamily(
                "mintage_database_reachable",
                "1 if the database said in time how long the queue is.",
                value=float(found_out is not None),
            )
        )
        found += _looked_up(found_out or Lookup([], {}))
    found += _pools(metered)
    found += _buffer(metered.vitals)
    found += _replica(metered.vitals)
    found += _worker(metered.vitals)
    found += _store_and_secrets(metered.vitals, store)
    found.append(_webhooks())
    found += REGISTRY.collect()
    found += _PROCESS.collect()
    registry = CollectorRegistry()
    registry.register(_Families(found))
    return registry


async def _nothing() -> None:
    """What a process tells of a queue that it does not look into."""


async def look_up(database: Database) -> Lookup | None:
    """What only the database knows; None while it does not answer in `QUEUE_TIMEOUT_S`."""
    try:
        async with (
            asyncio.timeout(QUEUE_TIMEOUT_S),
            database.transaction(SYSTEM.identity(None), read_only=True) as connection,
        ):
            rows = await connection.fetch(_STATE, list(KINDS), QUEUE_COUNTED_MAX)
            webhooks = await connection.fetchrow(_DELIVERIES, QUEUE_COUNTED_MAX)
    except (*AWAY_ERRORS, asyncpg.PostgresError, TimeoutError):
        return None
    if webhooks is None:
        return None
    items, leased, oldest_waiting_s, *counts = webhooks
    deliveries = QueueState(WEBHOOK_KIND, items, leased, oldest_waiting_s)
    queues = [QueueState(*row) for row in rows]
    return Lookup([*queues, deliveries], dict(zip(WEBHOOK_STATES, counts, strict=True)))


def _build() -> Metric:
    family = GaugeMetricFamily(
        "mintage_build_info", "1; the labels say what runs.", labels=("version", "python")
    )
    family.add_metric((version("mintage"), platform.python_version()), 1)
    return family


def _looked_up(found: Lookup) -> Iterator[Metric]:
    items = GaugeMetricFamily(
        "mintage_queue_items", "Queued work; 100,000 are counted at most.", labels=("kind", "state")
    )
    oldest = GaugeMetricFamily(
        "mintage_queue_oldest_waiting_seconds",
        "For how long the oldest item that could run and is held by nobody has waited; 0 without one.",
        labels=("kind",),
    )
    for state in found.queues:
        items.add_metric((state.kind, "leased"), state.leased)
        items.add_metric((state.kind, "waiting"), state.items - state.leased)
        oldest.add_metric((state.kind,), state.oldest_waiting_s)
    yield items
    yield oldest
    webhooks = GaugeMetricFamily(
        "mintage_webhooks",
        "Webhooks by how they do: active, failing since their last delivery, disabled.",
        labels=("state",),
    )
    for name, count in found.webhooks.items():
        webhooks.add_metric((name,), count)
    yield webhooks


def _pools(metered: Metered) -> Iterator[Metric]:
    connections = GaugeMetricFamily(
        "mintage_pool_connections", "Open connections to PostgreSQL.", labels=("pool", "state")
    )
    most = GaugeMetricFamily(
        "mintage_pool_connections_max", "Connections that a pool may open.", labels=("pool",)
    )
    waiting = GaugeMetricFamily(
        "mintage_pool_waiting", "Transactions that wait for a connection.", labels=("pool",)
    )
    pools = {"primary": metered.database}
    if metered.vitals.replica is not None:
        pools["replica"] = metered.vitals.replica.database
    for name, database in pools.items():
        idle = database.pool.get_idle_size()
        connections.add_metric((name, "idle"), idle)
        connections.add_metric((name, "used"), database.pool.get_size() - idle)
        most.add_metric((name,), database.pool.get_max_size())
        waiting.add_metric((name,), database.waiting_count)
    yield connections
    yield most
    yield waiting


def _buffer(vitals: Vitals) -> Iterator[Metric]:
    buffer = vitals.scan_buffer
    if buffer is None:
        return
    yield GaugeMetricFamily(
        "mintage_scan_buffer_scans", "Scans that wait to be written.", value=len(buffer)
    )
    yield GaugeMetricFamily(
        "mintage_scan_buffer_scans_max",
        "Scans that may wait; what comes then is dropped.",
        value=buffer.scans_max,
    )
    yield CounterMetricFamily(
        "mintage_scans_dropped", "Scans that were not written.", value=buffer.dropped_count
    )


def _replica(vitals: Vitals) -> Iterator[Metric]:
    replica = vitals.replica
    if replica is None:
        return
    yield GaugeMetricFamily(
        "mintage_replica_fresh", "1 while the replica is read from.", value=float(replica.is_fresh)
    )
    if replica.age_s is not None:
        yield GaugeMetricFamily(
            "mintage_replica_lag_seconds",
            "How old what the replica knows may be; absent while nobody knows.",
            value=replica.age_s,
        )


def _store_and_secrets(vitals: Vitals, store: str) -> Iterator[Metric]:
    if store != "none":
        yield GaugeMetricFamily(
            "mintage_store_reachable",
            "1 while the store of packs answers and takes what this process does; absent without one.",
            value=float(store == "reachable"),
        )
    if vitals.keys is not None:
        yield GaugeMetricFamily(
            "mintage_secrets_current",
            "1 while the secrets file can be used; at 0 the keys of before go on until the next start.",
            value=float(vitals.keys.is_current),
        )


def _webhooks() -> Metric:
    family = CounterMetricFamily(
        "mintage_webhook_deliveries",
        "Tries to deliver a webhook, by how they ended.",
        labels=("result",),
    )
    for result in get_args(SendResult):
        if result not in {"idle", "busy"}:
            family.add_metric((result,), WEBHOOK_COUNTS[result])
    return family


def _worker(vitals: Vitals) -> Iterator[Metric]:
    if vitals.working is None:
        return
    yield GaugeMetricFamily(
        "mintage_worker_running",
        "1 while the worker of this process runs, 0 when it has ended.",
        value=float(vitals.worker_state == "running"),
    )
    steps = GaugeMetricFamily(
        "mintage_worker_steps", "Steps of a lane that are under way.", labels=("lane",)
    )
    longest = GaugeMetricFamily(
        "mintage_worker_longest_step_seconds",
        "For how long the longest step of a lane has been under way; 0 without one.",
        labels=("lane",),
    )
    for lane, seconds in vitals.working.steps_under_way().items():
        steps.add_metric((lane,), len(seconds))
        longest.add_metric((lane,), max(seconds, default=0.0))
    yield steps
    yield longest
