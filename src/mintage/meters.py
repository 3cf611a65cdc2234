"""What a process counts of itself, for Prometheus: every metric that is counted where a thing happens.

No label names a brand, a caller or a code: what can be in a label is a short list of our own. The resolver
counts in plain integers (`RESOLVER`), which are read when somebody asks. Not here: what is looked up when
somebody asks, such as the queue (`metrics`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY: Final = CollectorRegistry()
METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
KINDS: Final = ("mint_job", "payload_pack")
"""The kinds of queued work (`work_item.kind`)."""
WEBHOOK_KIND: Final = "webhook_delivery"
"""Deliveries of webhooks: a queue of their own."""
REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
WORK_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

REQUESTS: Final = Counter(
    "mintage_http_requests",
    "Answered requests.",
    ("door", "route", "method", "status"),
    registry=REGISTRY,
)
REQUEST_DURATION: Final = Histogram(
    "mintage_http_request_duration_seconds",
    "Time from a request's head to the end of its answer.",
    ("door", "route"),
    buckets=REQUEST_SECONDS,
    registry=REGISTRY,
)
RATE_LIMITED: Final = Counter(
    "mintage_rate_limited",
    "Calls that were refused with 429, by the limit they met.",
    ("limit",),
    registry=REGISTRY,
)
SIGN_INS: Final = Counter(
    "mintage_sign_ins", "Tries to sign in with a password.", ("result",), registry=REGISTRY
)
CYCLES: Final = Counter(
    "mintage_mint_cycles", "Cycles of minting, by how they ended.", ("result",), registry=REGISTRY
)
CYCLE_DURATION: Final = Histogram(
    "mintage_mint_cycle_duration_seconds",
    "Time of a cycle that minted, from claim to commit.",
    buckets=WORK_SECONDS,
    registry=REGISTRY,
)
UNITS_MINTED: Final = Counter(
    "mintage_units_minted", "Units that were minted and committed.", registry=REGISTRY
)
JOBS_FINISHED: Final = Counter(
    "mintage_mint_jobs_finished", "Mint jobs that came to an end.", ("result",), registry=REGISTRY
)
LEASE_LAPSES: Final = Counter(
    "mintage_lease_lapses",
    "Leases that had lapsed when the work was claimed again.",
    ("kind",),
    registry=REGISTRY,
)
PACKS: Final = Counter(
    "mintage_packs",
    "Tries to write a payload pack, by how they ended.",
    ("format", "result"),
    registry=REGISTRY,
)
PACK_DURATION: Final = Histogram(
    "mintage_pack_duration_seconds",
    "Time of a completed pack, from claim to commit.",
    ("format",),
    buckets=WORK_SECONDS,
    registry=REGISTRY,
)
PACK_BYTES: Final = Counter(
    "mintage_pack_bytes", "Bytes of completed packs.", ("format",), registry=REGISTRY
)
WEBHOOK_DURATION: Final = Histogram(
    "mintage_webhook_duration_seconds",
    "Time of a request to a webhook, from the name's look-up to the end of the answer.",
    buckets=REQUEST_SECONDS,
    registry=REGISTRY,
)
DUTY_RUNS: Final = Counter(
    "mintage_duty_runs", "Runs of a duty, by how they ended.", ("duty", "result"), registry=REGISTRY
)
DUTY_SUCCESS: Final = Gauge(
    "mintage_duty_last_success_timestamp_seconds",
    "When a duty last came to its end, or when its worker began if it never did.",
    ("duty",),
    registry=REGISTRY,
)
DUTY_INTERVAL: Final = Gauge(
    "mintage_duty_interval_seconds",
    "Pause between two runs of a duty.",
    ("duty",),
    registry=REGISTRY,
)
INVARIANTS_BROKEN: Final = Counter(
    "mintage_invariant_breaks",
    "Daily checks that found an invariant broken.",
    registry=REGISTRY,
)

# What alerts look at begins at zero: the first one would otherwise be no increase.
for _limit in ("calls", "sign_in", "misses"):
    RATE_LIMITED.labels(_limit)
for _result in ("signed_in", "refused"):
    SIGN_INS.labels(_result)
for _result in ("minted", "idle", "nothing", "failed"):
    CYCLES.labels(_result)
for _result in ("completed", "failed"):
    JOBS_FINISHED.labels(_result)
for _kind in (*KINDS, WEBHOOK_KIND):
    LEASE_LAPSES.labels(_kind)


@dataclass(slots=True)
class Durations:
    """A histogram of requests in plain integers; `counts` has one place more than there are bounds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(REQUEST_SECONDS) + 1))
    sum_s: float = 0.0

    def observe(self, duration_s: float) -> None:
        """One more request that took `duration_s`."""
        self.counts[bisect_left(REQUEST_SECONDS, duration_s)] += 1
        self.sum_s += duration_s

    def buckets(self) -> list[tuple[str, float]]:
        """The bounds with how many requests took at most as long."""
        found: list[tuple[str, float]] = []
        count = 0
        for bound, more in zip((*REQUEST_SECONDS, float("inf")), self.counts, strict=True):
            count += more
            found.append(("+Inf" if bound == float("inf") else str(bound), float(count)))
        return found


@dataclass(slots=True)
class ResolverCounts:
    """What the resolver counts. One thread counts, and each count is a few steps of the interpreter.

    `answers` is by route, method and class of status (2 for 2xx); `misses` by reason.
    """

    answers: dict[tuple[str, str, int], int] = field(default_factory=dict)
    durations: dict[str, Durations] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=lambda: {"never_issued": 0, "unknown": 0})
    scans: dict[str, int] = field(default_factory=dict)

    def answered(self, route: str, method: str, status: int, duration_s: float) -> None:
        """One more answer; `route` is of a short list."""
        key = (route, method if method in METHODS else "other", status // 100)
        self.answers[key] = self.answers.get(key, 0) + 1
        durations = self.durations.get(route)
        if durations is None:
            durations = self.durations[route] = Durations()
        durations.observe(duration_s)

    def missed(self, reason: str) -> None:
        """One more code that names nothing: `never_issued` (no database was asked) or `unknown`."""
        self.misses[reason] += 1

    def scanned(self, outcome: str) -> None:
        """One more scan."""
        self.scans[outcome] = self.scans.get(outcome, 0) + 1


RESOLVER: Final = ResolverCounts()


class _ResolverCollector(Collector):
    """`RESOLVER`, read at the moment."""

    def collect(
        self,
    ) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        requests = CounterMetricFamily(
            "mintage_resolver_requests",
            "Answered requests of the public resolver.",
            labels=("route", "method", "status"),
        )
        for (route, method, status), count in RESOLVER.answers.items():
            requests.add_metric((route, method, f"{status}xx"), count)
        yield requests
        durations = HistogramMetricFamily(
            "mintage_resolver_request_duration_seconds",
            "Time of a request inside the resolver.",
            labels=("route",),
        )
        for route, seen in RESOLVER.durations.items():
            durations.add_metric((route,), seen.buckets(), seen.sum_s)
        yield durations
        misses = CounterMetricFamily(
            "mintage_resolver_misses",
            "Codes that name nothing: never_issued (a wrong check character), or unknown to the database.",
            labels=("reason",),
        )
        for reason, count in RESOLVER.misses.items():
            misses.add_metric((reason,), count)
        yield misses
        scans = CounterMetricFamily(
            "mintage_scans", "Scans that the resolver saw, by outcome.", labels=("outcome",)
        )
        for outcome, count in RESOLVER.scans.items():
            scans.add_metric((outcome,), count)
        yield scans


REGISTRY.register(_ResolverCollector())


def status_class(status: int) -> str:
    """`2xx` … `5xx`."""
    return f"{status // 100}xx"
