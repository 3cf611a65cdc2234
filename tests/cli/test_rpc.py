"""`mintage rpc` and `mintage webhook`: what the API can do, with its errors; once in a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mintage import cli_rpc
from mintage.cli import cli
from mintage.cli_rpc import _arguments
from mintage.rpcs import RPCS
from mintage.settings import Settings, read_settings
from tests.support.minting import execute
from tests.support.world import World


class Line:
    """A command line on the world's database; commands run beside the test's own loop."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.environment = {"MINTAGE_DATABASE_URL": dsn, "MINTAGE_DATA": str(folder)}

    async def run(self, *words: str, text: str | None = None) -> Result:
        runner = CliRunner(env=self.environment)
        return await asyncio.to_thread(runner.invoke, cli, words, input=text)

    async def told(self, *words: str, text: str | None = None) -> dict[str, Any]:
        result = await self.run(*words, text=text)
        assert result.exit_code == 0, result.output
        answer: dict[str, Any] = json.loads(result.stdout)
        return answer


@pytest.fixture
def line(dsn: str, tmp_path: Path) -> Line:
    return Line(dsn, tmp_path)


async def test_an_rpc_is_called_as_the_service_or_as_a_user(world: World, line: Line) -> None:
    made = await line.told("rpc", "create_product", "--brand", "acme", "sku=007", "_name=Oak table")
    assert made["product"]["sku"] == "007"
    words = ("rpc", "list_products", "--brand", "acme", "limit=1", "--as", "viewer@example.com")
    listed = await line.told(*words)
    assert [each["sku"] for each in listed["products"]] == ["007"]
    refused = await line.run(
        "rpc",
        "create_product",
        "--brand",
        "acme",
        "sku=8",
        "name=Oak",
        "--as",
        "viewer@example.com",
    )
    assert refused.exit_code == 1
    assert json.loads(refused.stderr)["code"] == "42501"


async def test_errors_and_refusals_are_those_of_the_api(world: World, line: Line) -> None:
    bad = await line.run("rpc", "list_products", "--brand", "acme", "limit=many")
    assert bad.exit_code == 1
    assert json.loads(bad.stderr)["code"] == "22023"
    assert "_limit" in json.loads(bad.stderr)["message"]
    submitted = await world.minted(1)
    arguments = {
        "_brand_id": str(world.brand_id),
        "_mint_batch_id": str(submitted["mint_batch_id"]),
        "_status": "applied",
    }
    refused = await line.run(
        "rpc", "set_mint_batch_status", "--json", "-", text=json.dumps(arguments)
    )
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["ok"] is False
    assert "ILLEGAL_STATUS_TRANSITION" in refused.stderr


def _one_redelivery_a_call(environment: Mapping[str, str]) -> Settings:
    settings = read_settings(environment)
    return replace(settings, limits=replace(settings.limits, webhook_redeliveries_max=1))


async def test_webhooks_are_managed_by_commands(
    world: World, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await line.told(
        "webhook", "create", "acme", "https://example.com/", "--event", "mint_job.failed"
    )
    webhook_id = made["webhook"]["id"]
    assert made["webhook"]["event_types"] == ["mint_job.failed"]
    again = await line.told(
        "webhook", "create", "acme", "https://example.com/", "--replace", webhook_id
    )
    assert again["secret"] != made["secret"]
    listed = await line.run("webhook", "list", "acme")
    assert webhook_id in listed.stdout
    assert again["secret"] not in listed.output
    await world.minted(1)
    deliveries = (await line.told("webhook", "deliveries", "acme", webhook_id))["deliveries"]
    assert {each["status"] for each in deliveries} == {"pending"}
    redelivered = await line.told("webhook", "redeliver", "acme", deliveries[0]["id"])
    assert redelivered["status"] == "pending"
    await execute(world, "update webhook_delivery set status = 'failed', next_try_at = null")
    monkeypatch.setattr(cli_rpc, "read_settings", _one_redelivery_a_call)
    again = await line.told("webhook", "redeliver", "acme", "--failed", webhook_id)
    assert (again["redelivered"], again["has_more"]) == (2, False)
    none = await line.told(
        "webhook", "redeliver", "acme", "--failed", webhook_id, "--from", "2020-01-31T12:00:00Z"
    )
    assert none["redelivered"] == 0
    for words in ([], [deliveries[0]["id"], "--failed", webhook_id]):
        assert (await line.run("webhook", "redeliver", "acme", *words)).exit_code == 2
    assert (await line.told("webhook", "remove", "acme", webhook_id))["removed"] is True


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("rpc",), 2),
        (("rpc", "mint_everything"), 2),
        (("rpc", "list_products", "limit"), 2),
        (("rpc", "list_products", "--json", "[]"), 2),
        (("rpc", "list_products", "--brand", "nobody"), 1),
        (("rpc", "list_my_brands", "--as", "nobody@example.net"), 1),
    ],
)
@pytest.mark.long
async def test_wrong_usage_is_told(
    world: World, line: Line, words: tuple[str, ...], code: int
) -> None:
    result = await line.run(*words)
    assert result.exit_code == code
    assert "Error: " in result.stderr


async def test_every_rpc_of_the_table_is_listed(line: Line) -> None:
    listed = await line.run("rpc", "--list")
    assert listed.stdout.split() == sorted(RPCS)


def test_a_value_is_text_where_the_argument_is_text_and_json_elsewhere() -> None:
    pairs = ("status=failed", "limit=5", "webhook_id=7", "_cursor=12")
    assert _arguments(RPCS["list_webhook_deliveries"], pairs, '{"_limit": 9}') == {
        "_status": "failed",
        "_limit": 5,
        "_webhook_id": "7",
        "_cursor": "12",
    }
    lists = _arguments(RPCS["create_webhook"], ('event_types=["mint_job.failed"]',), None)
    assert lists == {"_event_types": ["mint_job.failed"]}
