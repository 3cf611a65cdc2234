"""set_brand_member with `_subject`: users of the foreign issuer, who are their subject and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from mintage.errors import FORBIDDEN
from tests.support.minting import rows, value, with_limits
from tests.support.refusals import bad_arguments, payloads, raced, refused_with
from tests.support.world import World

ISSUER = "https://login.example.com"


@pytest.fixture
def foreign(world: World) -> World:
    return with_limits(world, foreign_issuer=ISSUER)


async def _set(world: World, subject: str, caller: str = "owner", **changes: Any) -> dict[str, Any]:
    arguments = {"email": "anna@example.com", "role": "viewer", "subject": subject} | changes
    return await world.rpc("set_brand_member", caller, **arguments)


async def test_a_subject_gets_an_account_without_password_or_address(foreign: World) -> None:
    answer = await _set(foreign, "user-1")
    assert answer == {
        "ok": True,
        "user_id": answer["user_id"],
        "role": "viewer",
        "password": None,
    }
    (account,) = await rows(foreign, "select * from app_user where id = $1", answer["user_id"])
    assert {name: account[name] for name in ("issuer", "subject")} == {
        "issuer": ISSUER,
        "subject": "user-1",
    }
    assert [account[name] for name in ("email", "email_key", "password_hash")] == [None] * 3


async def test_an_account_of_ours_with_the_address_is_somebody_else(foreign: World) -> None:
    answer = await _set(foreign, "user-1", email="owner@example.com")
    assert answer["user_id"] != foreign.user_ids["owner"]
    again = await foreign.rpc("set_brand_member", email="admin@example.com", role="editor")
    assert again["user_id"] == foreign.user_ids["admin"]
    mine = await foreign.rpc("set_brand_member", email="anna@example.com", role="editor")
    theirs = await _set(foreign, "user-2")
    assert mine["user_id"] != theirs["user_id"]


async def test_the_same_subject_is_one_account_in_every_brand(foreign: World) -> None:
    first = await _set(foreign, "user-1")
    second = await _set(foreign, "user-1", "stranger", email="a@example.com", role="admin")
    assert first["user_id"] == second["user_id"]
    statement = "select count(*) from app_user where issuer is not null"
    assert await value(foreign, statement) == 1
    other = with_limits(foreign, foreign_issuer="https://elsewhere.example.com")
    assert (await _set(other, "user-1"))["user_id"] != first["user_id"]


async def test_of_eight_calls_for_one_new_subject_one_makes_the_account(foreign: World) -> None:
    answers, errors = await raced(*(_set(foreign, "user-1") for _ in range(8)))
    assert not errors
    assert len({answer["user_id"] for answer in answers}) == 1
    assert len(await payloads(foreign, "member_changed")) == 1


async def test_another_role_or_name_is_a_change_and_the_same_is_none(foreign: World) -> None:
    await _set(foreign, "user-1")
    await _set(foreign, "user-1")
    assert len(await payloads(foreign, "member_changed")) == 1
    await _set(foreign, "user-1", role="editor")
    await _set(foreign, "user-1", role="editor", email="ann@example.com")
    assert len(await payloads(foreign, "member_changed")) == 3
    (member, *_) = (await foreign.rpc("list_brand_members"))["members"]
    assert (member["email"], member["role"]) == ("ann@example.com", "editor")


async def test_subjects_are_compared_as_they_are(foreign: World) -> None:
    subjects = ("user", "User", "user ", "us\u00e9r", "use\u0301r", "用户")
    made = [(await _set(foreign, subject))["user_id"] for subject in subjects]
    assert len(set(made)) == len(subjects)


async def test_nobody_grants_above_himself(foreign: World) -> None:
    await refused_with(FORBIDDEN, _set(foreign, "user-1", "admin", role="owner"))
    await _set(foreign, "user-1", role="owner")
    await refused_with(FORBIDDEN, _set(foreign, "user-1", "admin", role="viewer"))


async def test_without_a_foreign_issuer_there_are_no_subjects(world: World) -> None:
    problems = await bad_arguments(_set(world, "user-1"))
    assert set(problems) == {"_subject"}
    assert "MINTAGE_FOREIGN_ISSUER" in problems["_subject"]
    assert await value(world, "select count(*) from app_user where issuer is not null") == 0


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\nb", "a\x7f", 7, ["x"]])
async def test_a_bad_subject_is_named(foreign: World, subject: Any) -> None:
    assert set(await bad_arguments(_set(foreign, subject))) == {"_subject"}
