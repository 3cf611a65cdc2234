"""The page of webhooks: a secret shown once, what was told, sent again, removed after one more question."""

from __future__ import annotations

import re
from uuid import uuid4

from tests.console.conftest import HOME, Console
from tests.support.minting import execute
from tests.support.webhooks import deliveries

PAGE = f"{HOME}settings/webhooks"
URL = "https://example.com/mintage?token=<b>"


async def test_a_webhook_is_made_told_told_again_and_removed(console: Console) -> None:
    owner = await console.signed_in("owner")
    bad = await owner.post(
        PAGE, {"url": "https://10.0.0.1/", "event_types": ["mint_job.completed"]}
    )
    assert bad.status_code == 400
    assert "must lead to a public address" in bad.text
    made = await owner.post(PAGE, {"url": URL, "event_types": ["mint_job.completed"]})
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", made.text)
    assert secret is not None
    await console.world.minted(1)
    await execute(
        console.world,
        "update webhook_delivery set status = 'failed', next_try_at = null, failure = 'HTTP_STATUS', "
        "answer_code = 503, answer_excerpt = '<b>no ink</b>'",
    )
    (told,) = await deliveries(console.world)
    page = await owner.get(f"{PAGE}?webhook={told['webhook_id']}")
    assert "whsec_" not in page.text
    assert "HTTP_STATUS 503: &lt;b&gt;no ink" in page.text
    again = await owner.post(
        f"{PAGE}/redeliver",
        {"webhook_id": str(told["webhook_id"]), "webhook_delivery_id": str(told["id"])},
    )
    assert again.status_code == 303
    assert again.headers["location"] == f"{PAGE}?webhook={told['webhook_id']}"
    (told,) = await deliveries(console.world)
    assert told["status"] == "pending"
    before = page.text[: page.text.index(f'action="{PAGE}/remove"')]
    assert before.rindex("<details") > before.rindex("</td>")
    rotated = await owner.post(
        PAGE,
        {
            "url": URL,
            "event_types": ["mint_job.failed"],
            "webhook_id": str(told["webhook_id"]),
            "confirmation": "yes",
        },
    )
    assert secret.group() not in rotated.text
    assert "whsec_" in rotated.text
    removed = await owner.post(
        f"{PAGE}/remove", {"webhook_id": str(told["webhook_id"]), "confirmation": "yes"}
    )
    assert removed.status_code == 303
    assert "No webhooks yet" in (await owner.get(PAGE)).text


async def test_what_failed_is_sent_again_together_whatever_the_receiver_asked_for(
    console: Console,
) -> None:
    owner = await console.signed_in("owner")
    await owner.post(PAGE, {"url": URL, "event_types": ["mint_job.completed"]})
    await console.world.minted(1)
    (told,) = await deliveries(console.world)
    page = await owner.get(f"{PAGE}?webhook={told['webhook_id']}")
    assert "Send again all that failed" not in page.text
    await execute(
        console.world,
        "update webhook_delivery set status = 'failed', next_try_at = null, failure = 'TIMEOUT'",
    )
    await execute(console.world, "update webhook set held_until = now() + interval '1 hour'")
    page = await owner.get(f"{PAGE}?webhook={told['webhook_id']}")
    assert "Send again all that failed" in page.text
    assert "waits, as it asked, until" in page.text
    again = await owner.post(f"{PAGE}/redeliver", {"webhook_id": str(told["webhook_id"])})
    assert again.status_code == 303
    (told,) = await deliveries(console.world)
    assert told["status"] == "pending"
    assert "as it asked" not in (await owner.get(PAGE)).text


async def test_a_webhook_that_is_not_there_is_a_page_that_says_so(console: Console) -> None:
    owner = await console.signed_in("owner")
    for asked in (str(uuid4()), "x"):
        answer = await owner.get(f"{PAGE}?webhook={asked}")
        assert answer.status_code == 404
        assert "no such webhook" in answer.text


async def test_an_editor_has_no_page_of_webhooks_and_makes_none(console: Console) -> None:
    editor = await console.signed_in("editor")
    assert (await editor.get(PAGE)).status_code == 403
    made = await editor.post(PAGE, {"url": URL, "event_types": ["mint_job.completed"]})
    assert made.status_code == 403
