"""supabase-py signs in, refreshes, asks who it is, signs out; and what it raises when it may not."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from supabase_auth.errors import (
    AuthApiError,
    AuthInvalidJwtError,
    AuthRetryableError,
)

from mintage.api.tries import TRIES_A_MINUTE
from tests.clients.python import OWN_WARNINGS, Client, PythonClients, failure, settled, sign_in
from tests.clients.server import Served

pytestmark = pytest.mark.filterwarnings(OWN_WARNINGS)


async def _session(client: Client) -> Any:
    return await settled(client.auth.get_session())


def _told(error: Any) -> tuple[int, str, str]:
    return error.status, error.code, error.message


async def test_a_password_opens_a_session(py: Client, mintage: Served) -> None:
    owner = mintage.people["owner"]
    shown = await sign_in(py, mintage)
    assert (shown.user.id, shown.user.email) == (owner.id, owner.email)
    assert shown.user.role == shown.user.aud == "authenticated"
    assert (shown.session.token_type, shown.session.expires_in) == ("bearer", 3600)
    assert (await _session(py)).access_token == shown.session.access_token


async def test_a_session_is_refreshed_with_new_tokens(py_owner: Client, mintage: Served) -> None:
    before = await _session(py_owner)
    shown = await settled(py_owner.auth.refresh_session())
    assert shown.user.id == mintage.people["owner"].id
    assert shown.session.refresh_token != before.refresh_token
    assert (await _session(py_owner)).refresh_token == shown.session.refresh_token


async def test_the_client_refreshes_by_itself_what_is_about_to_expire(
    py_owner: Client, clients: PythonClients, mintage: Served
) -> None:
    claims = (await settled(py_owner.auth.get_claims()))["claims"]
    before = await _session(py_owner)
    # It does so 10 seconds before the end.
    short = mintage.token("owner", lifetime_s=5, session_id=UUID(claims["session_id"]))
    other = await clients.make(mintage.anon_key)
    await settled(other.auth.set_session(short, before.refresh_token))
    session = await _session(other)
    assert session.access_token != short
    assert session.refresh_token != before.refresh_token
    assert (await settled(other.rpc("list_my_brands", {}).execute())).data["ok"] is True


async def test_a_refresh_token_is_good_once(
    py_owner: Client, clients: PythonClients, mintage: Served
) -> None:
    first = (await _session(py_owner)).refresh_token
    await settled(py_owner.auth.refresh_session())
    other = await clients.make(mintage.anon_key)
    error = await failure(lambda: other.auth.refresh_session(first), AuthApiError)
    assert _told(error) == (
        400,
        "refresh_token_already_used",
        "Invalid Refresh Token: Already Used",
    )


async def test_a_refresh_token_that_is_none_is_refused(py: Client) -> None:
    error = await failure(lambda: py.auth.refresh_session("rt_nothing"), AuthApiError)
    assert (error.status, error.code) == (400, "refresh_token_not_found")


async def test_the_user_is_the_one_who_signed_in(py_owner: Client, mintage: Served) -> None:
    user = (await settled(py_owner.auth.get_user())).user
    owner = mintage.people["owner"]
    assert (user.id, user.email, user.aud) == (owner.id, owner.email, "authenticated")
    assert user.identities[0].identity_data["email"] == owner.email


async def test_claims_are_verified_by_the_public_keys(py_owner: Client, mintage: Served) -> None:
    shown = await settled(py_owner.auth.get_claims())
    assert shown["headers"]["alg"] == "ES256"
    assert shown["headers"]["kid"] == mintage.secrets.session_keys[0].kid
    assert shown["claims"]["sub"] == mintage.people["owner"].id
    assert shown["claims"]["iss"] == f"{mintage.url}/auth/v1"
    assert shown["claims"]["role"] == "authenticated"


async def test_claims_of_an_altered_token_are_refused(py_owner: Client) -> None:
    head, body, signature = (await _session(py_owner)).access_token.split(".")
    altered = f"{head}.{body}.{'A' * len(signature)}"
    error = await failure(lambda: py_owner.auth.get_claims(altered), AuthInvalidJwtError)
    assert error.message == "Invalid JWT signature"


async def test_claims_of_a_token_that_is_over_are_refused(py: Client, mintage: Served) -> None:
    over = mintage.token("owner", lifetime_s=-3600)
    error = await failure(lambda: py.auth.get_claims(over), AuthInvalidJwtError)
    assert error.message == "JWT has expired"


@pytest.mark.parametrize("scope", ["global", "local"])
async def test_after_signing_out_the_tokens_are_dead(
    py_owner: Client, clients: PythonClients, mintage: Served, scope: str
) -> None:
    session = await _session(py_owner)
    await settled(py_owner.auth.sign_out({"scope": scope}))
    assert await _session(py_owner) is None
    other = await clients.make(mintage.anon_key)
    error = await failure(lambda: other.auth.refresh_session(session.refresh_token), AuthApiError)
    assert (error.status, error.code) == (400, "refresh_token_not_found")
    error = await failure(lambda: other.auth.get_user(session.access_token), AuthApiError)
    assert (error.status, error.code) == (403, "session_not_found")


async def test_signing_out_the_others_keeps_this_session(
    py_owner: Client, clients: PythonClients, mintage: Served
) -> None:
    other = await clients.make(mintage.anon_key)
    await sign_in(other, mintage)
    await settled(py_owner.auth.sign_out({"scope": "others"}))
    user = (await settled(py_owner.auth.get_user())).user
    assert user.id == mintage.people["owner"].id
    error = await failure(other.auth.refresh_session, AuthApiError)
    assert (error.status, error.code) == (400, "refresh_token_not_found")


@pytest.mark.parametrize("email", ["admin@example.com", "nobody@example.com"])
async def test_a_wrong_password_and_an_unknown_address_are_told_alike(
    py: Client, email: str
) -> None:
    guess = {"email": email, "password": "wrong"}
    error = await failure(lambda: py.auth.sign_in_with_password(guess), AuthApiError)
    assert _told(error) == (400, "invalid_credentials", "Invalid login credentials")


async def test_after_too_many_passwords_the_client_is_told_to_wait(py: Client) -> None:
    guess = {"email": f"{uuid4().hex}@example.com", "password": "wrong"}
    for _ in range(TRIES_A_MINUTE):
        error = await failure(lambda: py.auth.sign_in_with_password(guess), AuthApiError)
        assert error.code == "invalid_credentials"
    error = await failure(lambda: py.auth.sign_in_with_password(guess), AuthApiError)
    assert _told(error) == (429, "over_request_rate_limit", "Request rate limit reached")


async def test_a_token_that_is_over_is_refused(py: Client, mintage: Served) -> None:
    over = mintage.token("owner", lifetime_s=-3600)
    error = await failure(lambda: py.auth.get_user(over), AuthApiError)
    assert (error.status, error.code) == (401, "bad_jwt")
    assert error.message.startswith("Not authenticated")


async def test_nobody_is_no_user(py: Client) -> None:
    assert await settled(py.auth.get_user()) is None


async def test_signing_up_says_who_makes_accounts(py: Client) -> None:
    asked = {"email": "new@example.com", "password": "long enough"}
    error = await failure(lambda: py.auth.sign_up(asked), AuthApiError)
    assert (error.status, error.code) == (404, "not_found")
    assert "set_brand_member" in error.message


async def test_without_the_database_signing_in_may_be_tried_again(
    py: Client, mintage: Served, away: None
) -> None:
    error = await failure(lambda: sign_in(py, mintage), AuthRetryableError)
    assert error.status == 503
    assert error.message.startswith("Unavailable")
