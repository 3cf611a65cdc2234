"""/metrics of a running platform: what is told, to whom, and that docs/observability.md has all of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics,
)
from prometheus_client.parser import text_string_to_metric_families

from mintage.app import Front
from mintage.db.connection import Database
from mintage.db.replica import Replica
from mintage.health import StoreWatch, Vitals
from mintage.keyring import Keyring
from mintage.meters import RESOLVER, Durations, ResolverCounts
from mintage.metrics.door import Metrics
from mintage.metrics.reading import Metered, look_up
from mintage.settings import Settings, SettingsError, read_settings
from mintage.storage import open_pack_store
from tests.metrics.platform import TOKEN, Running, running
from tests.metrics.queries import queries_of_alerts, queries_of_dashboard, unknown_in
from tests.support.webhooks import receiver, webhook_of
from tests.support.world import World

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "observability.md").read_text("utf-8")
ROWS = {
    row[0].strip("`"): (row[1], {name.strip("` ") for name in row[2].split(",") if name}, row[3])
    for line in PAGE.splitlines()
    if re.match(r"\| `(mintage|process)_\w+` \|", line)
    for row in [[cell.strip() for cell in line.strip("|").split("|")]]
}


@pytest_asyncio.fixture
async def platform_at_work(dsn: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(dsn, tmp_path, MINTAGE_METRICS_TOKEN=TOKEN) as opened:
        yield opened


def _families(text: str) -> dict[str, Metric]:
    return {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(text)
    }


def _value(families: dict[str, Metric], name: str, **labels: str) -> float:
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    return sum(
        sample.value
        for sample in families[base].samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def test_what_a_platform_does_is_counted_and_the_page_has_every_metric(
    platform_at_work: Running,
) -> None:
    vitals = platform_at_work.runtime.vitals
    database = platform_at_work.runtime.platform.database
    vitals.replica = Replica(database, database, lag_s_max=10)
    vitals.replica._has_all_until = vitals.replica._clock()
    before = _families((await platform_at_work.scrape()).text)
    async with receiver() as told_to:
        await platform_at_work.tell(told_to)
        await platform_at_work.work(units=20)
        await platform_at_work.until_told(told_to)
    text = (await platform_at_work.scrape()).text
    after = _families(text)

    def grew(name: str, **labels: str) -> float:
        return _value(after, name, **labels) - _value(before, name, **labels)

    assert grew("mintage_units_minted_total") == 20
    assert grew("mintage_mint_jobs_finished_total", result="completed") == 1
    assert grew("mintage_packs_total", format="csv", result="completed") == 1
    assert grew("mintage_pack_bytes_total", format="csv") > 20
    assert grew("mintage_webhook_deliveries_total", result="delivered") >= 1
    assert grew("mintage_webhook_duration_seconds_count") >= 1
    assert grew("mintage_webhooks", state="active") == 1
    assert grew("mintage_scans_total", outcome="activated") == 1
    assert grew("mintage_scans_total", outcome="already_active") == 1
    assert grew("mintage_resolver_misses_total", reason="never_issued") == 1
    assert grew("mintage_resolver_misses_total", reason="unknown") == 1
    assert grew("mintage_resolver_requests_total", route="/01/", status="3xx") == 2
    assert grew("mintage_sign_ins_total", result="refused") == 1
    submits = {"door": "api", "route": "/rest/v1/rpc/submit_mint_request", "method": "POST"}
    assert grew("mintage_http_requests_total", **submits, status="2xx") == 1
    assert grew("mintage_http_request_duration_seconds_count", route=submits["route"]) == 1
    assert grew("mintage_http_requests_total", door="console", route="/console/sign-in") == 1
    of_unit = "/console/b/{slug}/units/{id}"
    assert grew("mintage_http_requests_total", door="console", route=of_unit) == 1
    assert grew("mintage_http_requests_total", door="api", route="none", status="4xx") == 1
    assert _value(after, "mintage_database_reachable") == 1
    assert _value(after, "mintage_worker_running") == 1
    assert _value(after, "mintage_store_reachable") == 1
    assert _value(after, "mintage_secrets_current") == 1
    assert _value(after, "mintage_duty_last_success_timestamp_seconds", duty="fold tallies") > 1e9

    _assert_the_page_tells(after)
    unknown = unknown_in(queries_of_dashboard() + queries_of_alerts(), text)
    assert not unknown, "mend the query, in ops/grafana or ops/prometheus"

    brands = (str(platform_at_work.world.brand_id), "acme", "rival", "owner@example.com")
    assert not [brand for brand in brands if brand in text], "no label may name a brand or a person"
    newer = await platform_at_work.scrape("application/openmetrics-text")
    names = {family.name for family in open_metrics(newer.text)}  # type: ignore[no-untyped-call]
    assert "mintage_units_minted" in names


def _assert_the_page_tells(families: dict[str, Metric]) -> None:
    told = {
        name: (family.type, family.documentation)
        for name, family in families.items()
        if name.startswith(("mintage_", "process_"))
    }
    assert {name: (row[0], row[2]) for name, row in ROWS.items()} == told, (
        "mend the table in docs/observability.md"
    )
    for name, family in families.items():
        for sample in family.samples:
            if name in ROWS:
                assert set(sample.labels) - {"le"} == ROWS[name][1], name


async def test_the_doors_tell_metrics_to_who_has_the_token_only(platform_at_work: Running) -> None:
    client = platform_at_work.client
    for given in ("", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer"):
        refused = await client.get("/metrics", headers={"authorization": given})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer"), given
        assert "mintage_" not in refused.text
    ours = {"authorization": f"Bearer {TOKEN}"}
    told = await client.get("https://acme.example.com/metrics", headers=ours)
    assert (told.status_code, "mintage_build_info" in told.text) == (200, True)
    assert (await client.head("/metrics", headers=ours)).content == b""
    assert (await client.post("/metrics", headers=ours)).status_code == 405
    async with httpx2.AsyncClient() as anyone:
        statuses = [
            (await anyone.get(f"{platform_at_work.metrics_url}{path}")).status_code
            for path in ("/metrics", "/healthz", "/readyz", "/rest/v1/rpc/list_products", "/")
        ]
    assert statuses == [200, 200, 200, 404, 404]


async def test_without_a_token_the_doors_have_no_metrics(settings: Settings) -> None:
    async def door(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body"})  # type: ignore[operator]

    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(Front(door, door, settings)), base_url="http://a"
    ) as client:
        assert (await client.get("/metrics")).status_code == 404


async def test_a_store_that_is_gone_and_keys_that_cannot_be_read_are_told(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    store = StoreWatch(open_pack_store(folder.as_uri(), tmp_path), writes=True)
    vitals = Vitals(store=store, keys=Keyring(tmp_path / "secrets.json"))
    folder.rmdir()
    (tmp_path / "secrets.json").unlink()
    metrics = Metrics(Metered(database, vitals, has_queue=False))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(metrics), base_url="http://a"
    ) as client:
        families = _families((await client.get("/metrics")).text)
    assert _value(families, "mintage_store_reachable") == 0
    assert _value(families, "mintage_secrets_current") == 0


async def test_what_the_database_does_not_say_is_absent(database: Database) -> None:
    await database.close()
    metrics = Metrics(Metered(database, Vitals()))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(metrics), base_url="http://a"
    ) as client:
        families = _families((await client.get("/metrics")).text)
    assert _value(families, "mintage_database_reachable") == 0
    assert not families["mintage_queue_items"].samples
    assert not families["mintage_queue_oldest_waiting_seconds"].samples
    assert not families["mintage_webhooks"].samples


async def test_the_queue_is_told_by_kind_with_the_age_of_what_waits(
    world: World, database: Database
) -> None:
    product_id = await world.product()
    submits = [await world.submit(product_id, 5) for _ in range(3)]
    jobs = [submitted["mint_job_id"] for submitted in submits]
    changes = (
        "enqueued_at = now() - interval '1 hour', lease_owner = 'a', lease_until = now() + interval '1 h'",
        "enqueued_at = now() - interval '1 minute'",
        "enqueued_at = now() - interval '2 hours', runnable_at = now() + interval '1 hour'",
    )
    for job, change in zip(jobs, changes, strict=True):
        await database.pool.execute(f"update work_item set {change} where ref_id = $1", job)
    found = await look_up(database)
    assert found is not None
    states = {state.kind: state for state in found.queues}
    assert (states["mint_job"].items, states["mint_job"].leased) == (3, 1)
    assert 60 <= states["mint_job"].oldest_waiting_s < 1800
    empty = states["payload_pack"]
    assert (empty.items, empty.leased, empty.oldest_waiting_s) == (0, 0, 0)


async def test_deliveries_are_a_queue_with_the_age_of_what_is_overdue(
    world: World, database: Database
) -> None:
    async def told(change: str = "select 1") -> tuple[int, int, int]:
        await database.pool.execute(change)
        found = await look_up(database)
        assert found is not None
        (state,) = [each for each in found.queues if each.kind == "webhook_delivery"]
        return state.items, state.leased, round(state.oldest_waiting_s / 60)

    assert await told() == (0, 0, 0)
    quick = await webhook_of(world, "https://example.com/", "mint_job.completed")
    slow = await webhook_of(world, "https://example.com/slow", "mint_job.completed")
    for _ in range(2):
        await world.minted(1, gtin=None)
    later = "update webhook_delivery set next_try_at = now() "
    assert await told(later + "+ interval '1 hour'") == (4, 0, 0)
    of_slow = f"where webhook_id = '{slow['webhook']['id']}'"
    assert await told(later + f"- interval '30 minutes' {of_slow}") == (4, 0, 30)
    one = f"(select id from webhook_delivery {of_slow} limit 1)"
    lease = "update webhook_delivery set lease_until = now()"
    assert await told(f"{lease} + interval '1 minute' where id = {one}") == (4, 1, 0)
    of_quick = f"where webhook_id = '{quick['webhook']['id']}'"
    assert await told(later + f"- interval '20 minutes' {of_quick}") == (4, 1, 20)
    assert await told(f"{lease} - interval '1 minute' where id = {one}") == (4, 0, 30)
    held = f"update webhook set held_until = now() + interval '1 hour' where id = '{slow['webhook']['id']}'"
    assert await told(held) == (4, 0, 20)


async def test_webhooks_are_told_by_how_they_do(world: World, database: Database) -> None:
    made = [await webhook_of(world, "https://example.com/") for _ in range(4)]
    ids = [each["webhook"]["id"] for each in made]
    await world.rpc("remove_webhook", webhook_id=ids[0])
    await database.pool.execute("update webhook set failing_since = now() where id = $1", ids[1])
    await database.pool.execute(
        "update webhook set status = 'disabled', disabled_reason = 'gone', disabled_at = now() "
        "where id = $1",
        ids[2],
    )
    found = await look_up(database)
    assert found is not None
    assert found.webhooks == {"active": 1, "failing": 1, "disabled": 1}


def test_a_query_of_what_nobody_tells_is_found() -> None:
    text = '# TYPE a_total counter\na_total{kind="x"} 1\n'
    good = ['sum by (kind) (rate(a_total{kind="x", instance=~"$instance"}[5m])) > 1']
    assert not unknown_in(good, text)
    for query in (
        "sum(b_total)",
        "sum by (sort) (a_total)",
        'a_total{sort="x"}',
        'a_total{kind="y"}',
    ):
        assert unknown_in([query], text), query


def test_the_rules_and_the_dashboard_are_whole() -> None:
    assert len(queries_of_alerts()) == len(set(queries_of_alerts())) >= 15
    assert len(queries_of_dashboard()) >= 20


def test_plain_counts_become_the_buckets_of_a_histogram() -> None:
    durations = Durations()
    for seconds in (0.001, 0.0011, 100.0):
        durations.observe(seconds)
    buckets = dict(durations.buckets())
    assert (buckets["0.001"], buckets["0.0025"], buckets["10.0"], buckets["+Inf"]) == (1, 2, 2, 3)


def test_a_method_that_somebody_made_up_makes_no_label() -> None:
    counts = ResolverCounts()
    for method in ("GET", "BREW", "PURGE"):
        counts.answered("other", method, 405, 0.1)
    assert counts.answers == {("other", "GET", 4): 1, ("other", "other", 4): 2}
    assert RESOLVER is not counts


@pytest.mark.parametrize("value", ["9464", "127.0.0.1:", "127.0.0.1:99999", ":9464", "a b:9464"])
def test_a_listener_is_host_and_port(value: str) -> None:
    with pytest.raises(SettingsError, match="must be host:port"):
        read_settings({"MINTAGE_METRICS_LISTEN": value})


def test_a_listener_may_have_any_address_and_a_token_is_long() -> None:
    read = read_settings({"MINTAGE_METRICS_LISTEN": "[::1]:9464", "MINTAGE_METRICS_TOKEN": TOKEN})
    assert (read.metrics_listen, read.metrics_token) == (("::1", 9464), TOKEN)
    assert TOKEN not in repr(replace(read, port=1))
    with pytest.raises(SettingsError, match="24 to 200") as refused:
        read_settings({"MINTAGE_METRICS_TOKEN": "secret"})
    assert "secret" not in str(refused.value)
