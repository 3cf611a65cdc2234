"""docs/webhooks.md: its receivers verify what the platform sends, and its tables are the platform's."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from mintage.rules.webhooks import WEBHOOK_EVENT_TYPES
from tests.embedded.support import needs
from tests.support.webhooks import all_sent, deliveries, knowing, receiver, webhook_of
from tests.support.world import World

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = '{"data":{},"type":"mint_job.completed"}'


def code(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def signed(body: str = BODY, moment: datetime | None = None) -> dict[str, str]:
    moment = moment or datetime.now(UTC)
    return {
        "webhook-id": "1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": "v1,AAAA " + Webhook(SECRET).sign("1", moment, body),
    }


def test_every_event_has_its_row() -> None:
    named = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", PAGE, re.MULTILINE)
    assert named == list(WEBHOOK_EVENT_TYPES)


async def test_a_job_is_told_with_the_data_of_its_row(world: World) -> None:
    await webhook_of(world, "https://example.com/")
    await world.minted(1)
    for told in await deliveries(world):
        (row,) = re.findall(rf"^\| `{told['event_type']}` \|.*\| (.*) \|$", PAGE, re.MULTILINE)
        assert set(re.findall(r"`([a-z_0-9]+)`", row)) | {"brand_id"} == set(told["data"])


async def test_the_receiver_in_python_verifies_what_is_sent(world: World) -> None:
    names: dict[str, Any] = {}
    exec(code("python"), names)  # noqa: S102 - the page's own code
    world = knowing(world)
    async with receiver() as found:
        made = await webhook_of(world, found.url, "mint_job.completed")
        await world.minted(1)
        await all_sent(world)
    message = names["verified"](made["secret"], found.heads[0], found.bodies[0])
    assert message["type"] == "mint_job.completed"
    with pytest.raises(WebhookVerificationError):
        names["verified"](made["secret"], found.heads[0], found.bodies[0] + b" ")


def test_the_receiver_in_node_verifies_what_is_sent() -> None:
    node = shutil.which("node")
    needs(node is not None, "Node: Debian package nodejs")
    cases = [
        (SECRET, signed(), BODY),
        (SECRET, signed(), BODY + " "),
        ("whsec_" + "A" * 43 + "=", signed(), BODY),
        (SECRET, signed(moment=datetime(2026, 1, 31, tzinfo=UTC)), BODY),
        (SECRET, signed() | {"webhook-timestamp": "soon"}, BODY),
        (SECRET, signed() | {"webhook-signature": "v1,"}, BODY),
    ]
    program = (
        code("javascript")
        + f"for (const [secret, headers, body] of {json.dumps(cases)}) {{\n"
        + "  try { console.log(verified(secret, headers, body).type); }\n"
        + "  catch (error) { console.log(error.message); }\n}\n"
    )
    finished = subprocess.run(
        [str(node), "-"], input=program, capture_output=True, text=True, check=True, timeout=60
    )
    assert finished.stdout.splitlines() == [
        "mint_job.completed",
        "no signature fits",
        "no signature fits",
        "too old",
        "too old",
        "no signature fits",
    ]
