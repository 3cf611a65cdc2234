"""supabase-js signs in, refreshes, asks who it is, signs out; and what it shows when it may not."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.api.tries import TRIES_A_MINUTE
from tests.clients.javascript import Answer, Chain, Node
from tests.clients.server import Served

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("supabase_js")]

MISSING_SESSION = {"class": "AuthSessionMissingError", "status": 400}


def _signing_in(js: Chain, mintage: Served, person: str = "owner") -> Answer:
    found = mintage.people[person]
    return js.auth.signInWithPassword({"email": found.email, "password": found.password}).answer()


def _session(js: Chain) -> dict[str, Any]:
    session: dict[str, Any] = js.auth.getSession().answer().data["session"]
    return session


def _told(error: dict[str, Any]) -> tuple[object, ...]:
    return error["class"], error["status"], error["code"]


def test_a_password_opens_a_session(js: Chain, mintage: Served) -> None:
    owner = mintage.people["owner"]
    shown = _signing_in(js, mintage).data
    assert shown["user"]["id"] == owner.id
    assert shown["user"]["email"] == owner.email
    assert shown["user"]["role"] == "authenticated"
    assert shown["session"]["token_type"] == "bearer"
    assert shown["session"]["expires_in"] == 3600
    assert _session(js) == shown["session"]


def test_a_session_is_refreshed_with_new_tokens(js_owner: Chain) -> None:
    before = _session(js_owner)
    shown = js_owner.auth.refreshSession().answer().data
    assert shown["user"]["id"] == before["user"]["id"]
    assert shown["session"]["refresh_token"] != before["refresh_token"]
    assert _session(js_owner) == shown["session"]


def test_the_client_refreshes_by_itself_what_is_about_to_expire(
    js_owner: Chain, js: Chain, mintage: Served, node: Node
) -> None:
    refresh_token = _session(js_owner)["refresh_token"]
    session_id = js_owner.auth.getClaims().answer().data["claims"]["session_id"]
    # Clients do so 90 seconds before the end.
    short = mintage.token("owner", lifetime_s=60, session_id=UUID(session_id))
    other = node.client(mintage.anon_key)
    other.auth.setSession({"access_token": short, "refresh_token": refresh_token}).answer()
    session = _session(other)
    assert session["access_token"] != short
    assert session["refresh_token"] != refresh_token
    assert other.rpc("list_my_brands", {}).answer().data["ok"] is True


def test_a_refresh_token_is_good_once(js_owner: Chain, mintage: Served, node: Node) -> None:
    first = _session(js_owner)["refresh_token"]
    js_owner.auth.refreshSession().answer()
    other = node.client(mintage.anon_key)
    error = other.auth.refreshSession({"refresh_token": first}).answer().error
    assert _told(error) == ("AuthApiError", 400, "refresh_token_already_used")
    assert error["message"] == "Invalid Refresh Token: Already Used"


def test_a_refresh_token_that_is_none_is_refused(js: Chain) -> None:
    error = js.auth.refreshSession({"refresh_token": "rt_nothing"}).answer().error
    assert _told(error) == ("AuthApiError", 400, "refresh_token_not_found")


def test_the_user_is_the_one_who_signed_in(js_owner: Chain, mintage: Served) -> None:
    user = js_owner.auth.getUser().answer().data["user"]
    owner = mintage.people["owner"]
    assert (user["id"], user["email"], user["aud"]) == (owner.id, owner.email, "authenticated")
    assert user["identities"][0]["identity_data"]["email"] == owner.email


def test_claims_are_verified_by_the_public_keys(js_owner: Chain, mintage: Served) -> None:
    shown = js_owner.auth.getClaims().answer().data
    assert shown["header"]["alg"] == "ES256"
    assert shown["header"]["kid"] == mintage.secrets.session_keys[0].kid
    assert shown["claims"]["sub"] == mintage.people["owner"].id
    assert shown["claims"]["iss"] == f"{mintage.url}/auth/v1"
    assert shown["claims"]["role"] == "authenticated"
    UUID(shown["claims"]["session_id"])


def test_claims_of_an_altered_token_are_refused(js_owner: Chain) -> None:
    head, body, signature = _session(js_owner)["access_token"].split(".")
    altered = f"{head}.{body}.{'A' * len(signature)}"
    error = js_owner.auth.getClaims(altered).answer().error
    # Without WebCrypto (Node 18) the client asks the server in place of verifying.
    assert error["class"] in {"AuthInvalidJwtError", "AuthApiError"}


def test_claims_of_a_token_that_is_over_are_refused(js: Chain, mintage: Served) -> None:
    error = js.auth.getClaims(mintage.token("owner", lifetime_s=-3600)).answer().error
    assert (error["class"], error["message"]) == ("AuthInvalidJwtError", "JWT has expired")


@pytest.mark.parametrize("scope", ["global", "local"])
def test_after_signing_out_the_tokens_are_dead(
    js_owner: Chain, mintage: Served, node: Node, scope: str
) -> None:
    session = _session(js_owner)
    assert js_owner.auth.signOut({"scope": scope}).answer().shown["error"] is None
    assert _session(js_owner) is None
    other = node.client(mintage.anon_key)
    error = other.auth.refreshSession({"refresh_token": session["refresh_token"]}).answer().error
    assert _told(error) == ("AuthApiError", 400, "refresh_token_not_found")
    error = other.auth.getUser(session["access_token"]).answer().error
    assert {key: error[key] for key in MISSING_SESSION} == MISSING_SESSION


def test_signing_out_the_others_keeps_this_session(
    js_owner: Chain, mintage: Served, node: Node
) -> None:
    other = node.client(mintage.anon_key)
    _signing_in(other, mintage)
    assert js_owner.auth.signOut({"scope": "others"}).answer().shown["error"] is None
    assert js_owner.auth.getUser().answer().data["user"]["id"] == mintage.people["owner"].id
    error = other.auth.refreshSession().answer().error
    assert _told(error) == ("AuthApiError", 400, "refresh_token_not_found")


@pytest.mark.parametrize("email", ["admin@example.com", "nobody@example.com"])
def test_a_wrong_password_and_an_unknown_address_are_told_alike(js: Chain, email: str) -> None:
    error = js.auth.signInWithPassword({"email": email, "password": "wrong"}).answer().error
    assert _told(error) == ("AuthApiError", 400, "invalid_credentials")
    assert error["message"] == "Invalid login credentials"


def test_after_too_many_passwords_the_client_is_told_to_wait(js: Chain) -> None:
    guess = {"email": f"{uuid4().hex}@example.com", "password": "wrong"}
    for _ in range(TRIES_A_MINUTE):
        assert js.auth.signInWithPassword(guess).answer().error["code"] == "invalid_credentials"
    error = js.auth.signInWithPassword(guess).answer().error
    assert _told(error) == ("AuthApiError", 429, "over_request_rate_limit")
    assert error["message"] == "Request rate limit reached"


def test_a_token_that_is_over_is_refused(js: Chain, mintage: Served) -> None:
    error = js.auth.getUser(mintage.token("owner", lifetime_s=-3600)).answer().error
    assert _told(error) == ("AuthApiError", 401, "bad_jwt")
    assert error["message"].startswith("Not authenticated")


def test_nobody_is_no_user(js: Chain) -> None:
    error = js.auth.getUser().answer().error
    assert {key: error[key] for key in MISSING_SESSION} == MISSING_SESSION


def test_signing_up_says_who_makes_accounts(js: Chain) -> None:
    asked = {"email": "new@example.com", "password": "long enough"}
    error = js.auth.signUp(asked).answer().error
    assert _told(error) == ("AuthApiError", 404, "not_found")
    assert "set_brand_member" in error["message"]


def test_without_the_database_signing_in_may_be_tried_again(
    js: Chain, mintage: Served, away: None
) -> None:
    error = _signing_in(js, mintage).error
    assert (error["class"], error["status"]) == ("AuthRetryableFetchError", 503)
