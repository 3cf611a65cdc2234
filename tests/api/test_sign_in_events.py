"""Sign-ins leave an event in the brands of the account, and a line in the log, without mail or password."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import pytest_asyncio
import structlog

from mintage.operations.passwords import hash_password
from mintage.operations.sign_in_events import address_prefix
from tests.api.conftest import Api

PASSWORD = "correct horse battery"


@pytest_asyncio.fixture
async def known(api: Api) -> Api:
    """An API whose members have a password."""
    async with api.world.platform.database.pool.acquire() as connection:
        password_hash = await hash_password(PASSWORD)
        await connection.execute("update app_user set password_hash = $1", password_hash)
    return api


async def sign_in(api: Api, who: str, password: str = PASSWORD) -> httpx2.Response:
    answer = await api.post(
        "/auth/v1/token?grant_type=password",
        "anonymous",
        {"email": f"{who}@example.com", "password": password},
    )
    await api.door.afterwards.wait()
    return answer


async def events(api: Api, event_type: str, caller: str = "owner") -> list[dict[str, Any]]:
    listed = await api.world.rpc("list_mint_events", caller, event_type=event_type)
    return list(listed["events"])


async def test_a_sign_in_is_an_event_of_the_users_brands(known: Api) -> None:
    assert (await sign_in(known, "editor")).status_code == 200
    (event,) = await events(known, "signed_in")
    editor = known.world.user_ids["editor"]
    assert (event["actor_type"], event["actor_id"]) == ("user", editor)
    assert event["payload"] == {
        "user_id": str(editor),
        "address_prefix": "127.0.0.0/24",
        "door": "api",
    }
    assert await events(known, "signed_in", "stranger") == []


async def test_a_sign_in_that_failed_is_an_event_once_a_minute(known: Api) -> None:
    for _ in range(3):
        assert (await sign_in(known, "editor", "wrong horse")).status_code == 400
    (event,) = await events(known, "sign_in_failed")
    assert (event["actor_type"], event["actor_id"]) == ("system", None)
    assert event["payload"]["user_id"] == str(known.world.user_ids["editor"])
    assert (await sign_in(known, "viewer", "wrong horse")).status_code == 400
    assert len(await events(known, "sign_in_failed")) == 2


async def refresh(api: Api, token: str) -> httpx2.Response:
    answer = await api.post(
        "/auth/v1/token?grant_type=refresh_token", "anonymous", {"refresh_token": token}
    )
    await api.door.afterwards.wait()
    return answer


async def test_a_refresh_token_that_came_back_is_an_event_and_a_line_of_the_log_once(
    known: Api,
) -> None:
    # A wrong password a moment ago hides it not: one event a minute is for guesses.
    await sign_in(known, "editor", "wrong horse")
    first = (await sign_in(known, "editor")).json()["refresh_token"]
    second = (await refresh(known, first)).json()["refresh_token"]
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert (await refresh(known, first)).status_code == 400
    event, _ = await events(known, "sign_in_failed")
    editor = str(known.world.user_ids["editor"])
    assert (event["actor_type"], event["actor_id"]) == ("system", None)
    assert event["payload"] == {
        "user_id": editor,
        "address_prefix": "127.0.0.0/24",
        "door": "api",
        "reason": "refresh_token_reused",
    }
    assert await events(known, "sign_in_failed", "stranger") == []
    assert await events(known, "sign_in_failed", "viewer") == []
    (line,) = logs
    assert (line["log_level"], line["user_id"]) == ("warning", editor)
    assert not any(text in str(logs) for text in (first, second, "@example.com", "127.0.0.1"))
    # Its session is over for whoever has the newer one, and that is no second theft.
    assert (await refresh(known, second)).status_code == 400
    assert len(await events(known, "sign_in_failed")) == 2


async def test_who_has_no_account_or_no_brand_leaves_no_event(known: Api) -> None:
    assert (await sign_in(known, "unheard-of")).status_code == 400
    assert (await sign_in(known, "nobody")).status_code == 200
    for event_type in ("signed_in", "sign_in_failed"):
        assert await events(known, event_type) == []


@pytest.mark.parametrize(
    ("caller", "sees"),
    [("owner", True), ("admin", True), ("service", True), ("editor", False), ("viewer", False)],
)
async def test_sign_ins_are_for_those_who_administer(known: Api, caller: str, sees: bool) -> None:
    await sign_in(known, "editor")
    assert bool(await events(known, "signed_in", caller)) is sees
    listed = await known.world.rpc("list_mint_events", caller)
    assert ("signed_in" in {event["event_type"] for event in listed["events"]}) is sees


async def test_each_try_is_a_line_of_the_log_without_mail_or_password(known: Api) -> None:
    with structlog.testing.capture_logs() as logs:
        await sign_in(known, "editor")
        await sign_in(known, "editor", "wrong horse")
        for _ in range(6):
            await sign_in(known, "unheard-of", "wrong horse")
    told = [(line["event"], line["user_id"]) for line in logs]
    editor = str(known.world.user_ids["editor"])
    assert told[:3] == [
        ("signed in", editor),
        ("a sign-in failed", editor),
        ("a sign-in failed", None),
    ]
    assert told[-1] == ("too many tries to sign in", None)
    assert not any(text in str(logs) for text in ("@example.com", "horse", "127.0.0.1"))


async def test_a_record_that_fails_fails_no_sign_in(
    known: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OSError("away")

    monkeypatch.setattr("mintage.api.auth.record_sign_in", fail)
    with structlog.testing.capture_logs() as logs:
        assert (await sign_in(known, "editor")).status_code == 200
    assert [line["log_level"] for line in logs] == ["info", "error"]


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("unknown", None),
        ("", None),
    ],
)
def test_of_an_address_the_prefix_is_kept(address: str, kept: str | None) -> None:
    assert address_prefix(address) == kept
