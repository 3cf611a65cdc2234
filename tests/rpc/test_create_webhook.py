"""create_webhook: a secret shown once and kept sealed, URLs that lead to public hosts, replacement."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from mintage.errors import FORBIDDEN, SUBJECT_NOT_FOUND
from tests.support.minting import row, value, with_limits
from tests.support.refusals import bad_arguments, blocked_by, payloads, refused_with
from tests.support.webhooks import HOST, knowing, webhook_of
from tests.support.world import World

RPC = "create_webhook"
URL = "https://erp.example.com/mintage?token=hidden"
EVENT = "mint_job.completed"
REFUSED_URLS = [
    f"http://{HOST}/",
    "ftp://example.com/",
    "https://",
    "https:///path",
    "https://user@example.com/",
    "https://user:word@example.com/",
    "https://example.com:22/",
    "https://example.com:0/",
    "https://example.com/#part",
    "https://example.com\\@10.0.0.1/",
    "https://exa mple.com/",
    "https://exämple.com/",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[fe80::1%25eth0]/",
]


async def test_a_webhook_has_a_secret_of_standard_webhooks(world: World) -> None:
    made = await webhook_of(world, URL, EVENT)
    assert list(made) == ["ok", "webhook", "secret"]
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    assert made["webhook"] | {"id": 0, "created_at": 0} == {
        "id": 0,
        "url": URL,
        "event_types": [EVENT],
        "status": "active",
        "disabled_reason": None,
        "disabled_at": None,
        "failing_since": None,
        "held_until": None,
        "created_at": 0,
    }


async def test_the_secret_is_in_no_row_and_no_event_and_the_token_in_no_event(
    world: World,
) -> None:
    made = await webhook_of(world, URL, EVENT)
    secret = base64.b64decode(made["secret"].removeprefix("whsec_"))
    kept = await row(world, "select * from webhook")
    assert secret not in kept["secret_sealed"]
    for table in ("webhook", "mint_event"):
        text = await value(world, f"select jsonb_agg(to_jsonb(t))::text from {table} as t")
        assert made["secret"] not in text
        assert secret.hex() not in text
    (event,) = await payloads(world, "settings_changed")
    assert event == {
        "subject": "webhook",
        "webhook_id": str(made["webhook"]["id"]),
        "change": "created",
        "host": "erp.example.com",
        "event_types": [EVENT],
    }


async def test_a_sealed_secret_opens_in_its_own_row_only(world: World) -> None:
    first, second = [await webhook_of(world, URL, EVENT) for _ in range(2)]
    sealer = world.platform.sealer
    sealed = await value(
        world, "select secret_sealed from webhook where id = $1", first["webhook"]["id"]
    )
    opened = sealer.open(sealed, world.brand_id, first["webhook"]["id"])
    assert base64.b64encode(opened).decode() == first["secret"].removeprefix("whsec_")
    for brand_id, webhook_id in (
        (world.brand_id, second["webhook"]["id"]),
        (world.other_brand_id, first["webhook"]["id"]),
    ):
        with pytest.raises(ValueError, match=r"^$"):
            sealer.open(sealed, brand_id, webhook_id)


async def test_a_replacement_has_another_secret_and_is_active_again(world: World) -> None:
    made = await webhook_of(world, URL, EVENT)
    webhook_id = made["webhook"]["id"]
    async with world.platform.database.pool.acquire() as connection:
        await connection.execute(
            "update webhook set status = 'disabled', disabled_reason = 'gone', disabled_at = now()"
        )
    again = await webhook_of(
        world, "https://erp.example.com/two", "mint_job.failed", webhook_id=webhook_id
    )
    assert again["secret"] != made["secret"]
    assert again["webhook"] == made["webhook"] | {
        "url": "https://erp.example.com/two",
        "event_types": ["mint_job.failed"],
    }
    assert [each["change"] for each in await payloads(world, "settings_changed")] == [
        "replaced",
        "created",
    ]


async def test_a_brand_has_so_many_webhooks_and_no_more(world: World) -> None:
    few = with_limits(world, webhooks_max=2)
    made = [await webhook_of(few, URL, EVENT) for _ in range(2)]
    assert await blocked_by(webhook_of(few, URL, EVENT)) == ["TOO_MANY_WEBHOOKS"]
    await webhook_of(few, URL, EVENT, webhook_id=made[0]["webhook"]["id"])
    await few.rpc("remove_webhook", webhook_id=made[1]["webhook"]["id"])
    await webhook_of(few, URL, EVENT)


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger", "nobody"])
async def test_others_make_no_webhook(world: World, caller: str) -> None:
    await refused_with(
        FORBIDDEN, webhook_of(world, URL, EVENT, caller=caller, brand_id=world.brand_id)
    )
    assert await value(world, "select count(*) from webhook") == 0


async def test_a_webhook_of_another_brand_is_not_replaced(world: World) -> None:
    theirs = await webhook_of(world, URL, EVENT, caller="stranger")
    call = webhook_of(world, URL, EVENT, webhook_id=theirs["webhook"]["id"])
    await refused_with(SUBJECT_NOT_FOUND, call)


async def test_a_url_that_no_webhook_may_have_is_named(world: World) -> None:
    for url in REFUSED_URLS:
        assert list(await bad_arguments(webhook_of(world, url, EVENT))) == ["_url"], url


async def test_the_operator_may_name_a_host_that_is_called_over_http(world: World) -> None:
    made = await webhook_of(knowing(world), f"http://{HOST}:81/", EVENT)
    assert made["ok"] is True


@pytest.mark.parametrize("bad", [[], [EVENT, EVENT], ["mint_job.started"], EVENT, [None]])
async def test_bad_event_types_are_named(world: World, bad: Any) -> None:
    (named,) = await bad_arguments(world.rpc(RPC, url=URL, event_types=bad))
    assert named.startswith("_event_types")
