"""Keys are rotated under a running process: two are active until the old one is removed."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import jwt
import pytest
import pytest_asyncio
import structlog

from mintage.api.app import build_api
from mintage.api.door import Door
from mintage.console.cookies import Cookies
from mintage.key_rotation import (
    KINDS,
    REMOVED_BY_DEFAULT,
    Kind,
    keys_of,
    prepared,
    rewrite,
    rotated,
    without_old,
)
from mintage.keyring import Keyring, open_secrets
from mintage.operations.webhook_secrets import NotSealedHere, Sealer
from mintage.packs.signed_manifest import (
    check_signature,
    public_keys,
    read_manifest,
    read_public_keys,
    signed_manifest,
)
from mintage.permits import DownloadPermit, read_permit, sign_permit
from mintage.resolver.genuine_tokens import GenuineTokens
from mintage.secrets import (
    KEYS_MAX,
    Secrets,
    SecretsError,
    load_or_create_secrets,
    new_secrets_text,
    parse_secrets,
)
from mintage.settings import SettingsError, read_settings
from mintage.tokens import (
    ClientToken,
    Session,
    TokenRefused,
    Tokens,
    anon_key,
    now_s,
    service_key,
)
from tests.api.conftest import Api

ISSUER = "https://mint.example.com/auth/v1"
SESSION = Session(UUID(int=1), UUID(int=2))
CLIENT = ClientToken(UUID(int=3), UUID(int=4), frozenset({"mint:read"}))
PERMIT = DownloadPermit("payload-packs", "a/b/0001-1.csv", UUID(int=5), 1.0, 2.0, "service", None)
NOW = datetime(2026, 11, 24, tzinfo=UTC)
MANIFEST: dict[str, object] = {"format": "group_manifest", "packs": []}


def tokens_of(secrets: Secrets) -> Tokens:
    return Tokens(secrets, ISSUER, 60)


def session_token(secrets: Secrets, session: Session = SESSION) -> str:
    return tokens_of(secrets).make_session_token(
        user_id=session.user_id,
        session_id=session.session_id,
        email="owner@example.com",
        issued_at=now_s(),
        expires_at=now_s() + 3600,
    )


def is_token(secrets: Secrets, token: str) -> bool:
    try:
        tokens_of(secrets).verify(token)
    except TokenRefused:
        return False
    return True


def is_cookie(secrets: Secrets, token: str) -> bool:
    try:
        return Cookies(secrets, is_https=True).read_session(token) == SESSION
    except TokenRefused:
        return False


def client_token(secrets: Secrets) -> str:
    return tokens_of(secrets).make_client_token(CLIENT, issued_at=now_s(), expires_at=now_s() + 900)


def page_token(secrets: Secrets) -> str:
    tokens = GenuineTokens(secrets.product_page_keys)
    return tokens.make(UUID(int=6), UUID(int=7), NOW.date(), NOW)


def is_page_token(secrets: Secrets, token: str) -> bool:
    tokens = GenuineTokens(secrets.product_page_keys)
    return tokens.read(token, UUID(int=6), UUID(int=7), NOW) == NOW.date()


def is_form_token(secrets: Secrets, token: str) -> bool:
    return Cookies(secrets, is_https=True).is_form_token(SESSION, token)


def manifest(secrets: Secrets) -> str:
    return signed_manifest(MANIFEST, secrets.manifest_keys[0]).decode()


def is_manifest(secrets: Secrets, text: str) -> bool:
    published = read_public_keys(json.dumps(public_keys(secrets.manifest_keys)).encode())
    try:
        return bool(check_signature(read_manifest(text.encode()), published))
    except ValueError:
        return False


def permit(secrets: Secrets) -> str:
    return sign_permit(secrets.storage_keys, PERMIT)


def is_permit(secrets: Secrets, token: str) -> bool:
    return read_permit(secrets.storage_keys, token) == PERMIT


def sealed(secrets: Secrets) -> str:
    return Sealer(lambda: secrets.webhook_keys).seal(b"secret", UUID(int=8), UUID(int=9)).hex()


def is_sealed(secrets: Secrets, text: str) -> bool:
    sealer = Sealer(lambda: secrets.webhook_keys)
    try:
        return sealer.open(bytes.fromhex(text), UUID(int=8), UUID(int=9)) == b"secret"
    except NotSealedHere:
        return False


SIGNED: dict[str, tuple[Kind, Callable[[Secrets], str], Callable[[Secrets, str], bool]]] = {
    "session": ("session", session_token, is_token),
    "anon key": ("api", anon_key, is_token),
    "service key": ("api", service_key, is_token),
    "client token": ("api", client_token, is_token),
    "console cookie": (
        "api",
        lambda secrets: Cookies(secrets, is_https=True).session_token(SESSION),
        is_cookie,
    ),
    "form token": (
        "api",
        lambda secrets: Cookies(secrets, is_https=True).form_token(SESSION),
        is_form_token,
    ),
    "signed URL": ("storage", permit, is_permit),
    "product page": ("product-page", page_token, is_page_token),
    "manifest": ("manifest", manifest, is_manifest),
    "webhook's secret": ("webhook", sealed, is_sealed),
}


@pytest.mark.parametrize("what", SIGNED)
def test_what_was_signed_before_a_rotation_holds_until_the_old_key_is_removed(what: str) -> None:
    kind, make, holds = SIGNED[what]
    first = new_secrets_text()
    second = rotated(first, [kind])
    third = without_old(second, [kind])
    before, between, after = (parse_secrets(text) for text in (first, second, third))
    old, new = make(before), make(between)
    assert old != new
    assert holds(before, old)
    assert holds(between, old)
    assert holds(between, new)
    assert not holds(before, new)
    assert not holds(after, old)
    assert holds(after, new)


@pytest.mark.parametrize("what", SIGNED)
def test_a_key_that_is_prepared_verifies_before_any_machine_signs_with_it(what: str) -> None:
    kind, make, holds = SIGNED[what]
    first = new_secrets_text()
    ready = prepared(first, [kind])
    assert prepared(ready, [kind]) == ready
    done = rotated(ready, [kind])
    before, between, after = (parse_secrets(text) for text in (first, ready, done))
    assert holds(before, make(between))
    assert holds(between, make(after))
    assert holds(after, make(before))
    assert not holds(before, make(after))


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_kinds_of_keys_stay(kind: Kind) -> None:
    first = new_secrets_text()
    second = rotated(first, [kind])
    before = {each for each in keys_of(first) if each.kind != kind}
    assert {each for each in keys_of(second) if each.kind != kind} == before
    states = [each.state for each in keys_of(second) if each.kind == kind]
    assert states == ["signs", "verifies"]
    states = [each.state for each in keys_of(prepared(first, [kind])) if each.kind == kind]
    assert states == ["signs", "next"]


def test_headers_name_the_key_that_signed() -> None:
    text = rotated(new_secrets_text(), KINDS)
    secrets = parse_secrets(text)
    signing = {each.kind: each.kid for each in keys_of(text) if each.state == "signs"}
    assert jwt.get_unverified_header(session_token(secrets))["kid"] == signing["session"]
    assert jwt.get_unverified_header(anon_key(secrets))["kid"] == signing["api"]
    assert jwt.get_unverified_header(service_key(secrets))["kid"] == signing["api"]
    assert jwt.get_unverified_header(permit(secrets))["kid"] == signing["storage"]
    assert json.loads(manifest(secrets))["signature"]["kid"] == signing["manifest"]
    assert jwt.get_unverified_header(client_token(secrets))["kid"].startswith("client.")
    assert not any(
        secret.decode() in json.dumps([each.kid for each in keys_of(text)])
        for secret in secrets.texts
    )


def test_a_key_of_before_keys_had_ids_goes_on_working() -> None:
    secrets = parse_secrets(rotated(new_secrets_text(), ["api"]))
    old = secrets.api_secrets[1]
    claims = jwt.decode(service_key(secrets), options={"verify_signature": False})
    assert is_token(secrets, jwt.encode(claims, old, algorithm="HS256"))
    # But no other kid, and no unknown key.
    assert not is_token(secrets, jwt.encode(claims, old, "HS256", {"kid": "0" * 16}))
    assert not is_token(secrets, jwt.encode(claims, "x" * 48, algorithm="HS256"))


def test_manifests_of_a_file_without_their_keys_verify_after_the_storage_key_is_rotated() -> None:
    content = json.loads(new_secrets_text())
    del content["manifest_keys"]
    text = json.dumps(content)
    signed = manifest(parse_secrets(text))
    after = parse_secrets(without_old(rotated(text, KINDS), REMOVED_BY_DEFAULT))
    assert len(after.storage_keys) == 1
    assert is_manifest(after, signed)


def test_there_is_an_end_to_the_number_of_keys() -> None:
    text = new_secrets_text()
    for _ in range(KEYS_MAX - 1):
        text = rotated(text, KINDS)
    parse_secrets(prepared(text, KINDS))
    with pytest.raises(SecretsError, match="remove the old ones first"):
        rotated(text, ["api"])
    with pytest.raises(SecretsError, match="remove the old ones first"):
        rotated(text, ["session"])
    assert rotated(without_old(text, KINDS), KINDS)


@pytest.mark.parametrize(
    "changes",
    [
        {"earlier": {"api_secret": ["short"]}},
        {"earlier": {"api_secret": ["a-string-secret-at-least-256-bits-long"]}},
        {"earlier": {"api_secret": "a text that is long enough, not a list"}},
        {"earlier": {"session_keys": []}},
        {"earlier": []},
        {"next": {"storage_key": "super-secret-jwt-token-with-at-least-32-characters-long"}},
        {"next": {"session_keys": {"kid": "k", "private_key": "no key"}}},
        {"next": {"surplus": 1}},
    ],
    ids=[
        "short",
        "published",
        "no list",
        "keys",
        "no object",
        "next published",
        "no key",
        "surplus",
    ],
)
def test_weak_or_malformed_keys_are_refused_in_every_place(changes: dict[str, Any]) -> None:
    with pytest.raises(SecretsError):
        parse_secrets(json.dumps(json.loads(new_secrets_text()) | changes))


def test_one_text_is_not_taken_for_two_keys() -> None:
    content = json.loads(new_secrets_text())
    earlier = {"earlier": {"storage_key": [content["api_secret"]]}}
    with pytest.raises(SecretsError, match="must differ"):
        parse_secrets(json.dumps(content | earlier))


def test_the_file_is_whole_and_private_after_a_change(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    before = load_or_create_secrets(path)
    rewrite(path, partial(rotated, kinds=KINDS))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secrets.json"]
    assert load_or_create_secrets(path).api_secrets[1] == before.api_secret


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    load_or_create_secrets(path)
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        rewrite(path, lambda _: str(1 // 0))
    path.chmod(0o640)
    with pytest.raises(SecretsError, match="chmod 600"):
        rewrite(path, partial(rotated, kinds=KINDS))
    path.chmod(0o600)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["secrets.json"]


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "real" / "secrets.json", tmp_path / "secrets.json"
    load_or_create_secrets(path)
    link.symlink_to(path)
    rewrite(link, partial(rotated, kinds=["session"]))
    assert link.is_symlink()
    assert len(load_or_create_secrets(path).session_keys) == 2


def _rotate(path: Path) -> None:
    rewrite(path, partial(rotated, kinds=["api"]))


def test_rotations_at_once_come_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    load_or_create_secrets(path)
    context = multiprocessing.get_context("fork")
    at_once = [context.Process(target=_rotate, args=(path,)) for _ in range(4)]
    for each in at_once:
        each.start()
    for each in at_once:
        each.join()
    assert [each.exitcode for each in at_once] == [0] * 4
    assert len(load_or_create_secrets(path).api_secrets) == 5


def test_a_running_process_takes_a_new_file_up(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "secrets.json")
    first = keyring.current
    assert keyring.current is first
    with structlog.testing.capture_logs() as logs:
        rewrite(tmp_path / "secrets.json", partial(rotated, kinds=KINDS))
        assert keyring.current.session_keys[1].kid == first.session_keys[0].kid
        assert keyring.current is keyring.current
    (line,) = logs
    assert line["event"] == "keys were changed"
    assert line["session"] == [key.kid for key in keyring.current.session_keys]
    assert not any(secret.decode() in str(line) for secret in keyring.current.texts)


@pytest.mark.parametrize("body", [b"{", b"", None], ids=["no JSON", "empty", "gone"])
def test_a_file_that_is_broken_later_stops_nothing(tmp_path: Path, body: bytes | None) -> None:
    path = tmp_path / "secrets.json"
    keyring = Keyring(path)
    first, text = keyring.current, path.read_bytes()
    with structlog.testing.capture_logs() as logs:
        path.unlink()
        if body is not None:
            path.write_bytes(body)
            path.chmod(0o600)
        assert keyring.current is first
        assert keyring.current is first
    assert [line["log_level"] for line in logs] == ["error"]
    whole = tmp_path / "whole"
    whole.write_bytes(text)
    whole.chmod(0o600)
    os.replace(whole, path)
    assert keyring.current.api_secret == first.api_secret


def test_the_environment_may_give_the_secrets(tmp_path: Path) -> None:
    text = new_secrets_text()
    settings = read_settings({"MINTAGE_DATA": str(tmp_path), "MINTAGE_SECRETS": text})
    assert open_secrets(settings).current.api_secret == parse_secrets(text).api_secret
    assert not settings.secrets_file.exists()
    assert parse_secrets(text).api_secret.decode() not in repr(settings)
    with pytest.raises(SecretsError, match="MINTAGE_SECRETS: "):
        open_secrets(replace(settings, secrets_text="{}"))
    with pytest.raises(SettingsError, match="one of"):
        read_settings({"MINTAGE_SECRETS": text, "MINTAGE_SECRETS_FILE": "/etc/secrets.json"})


@pytest_asyncio.fixture
async def rotating(door: Door, tmp_path: Path) -> AsyncIterator[tuple[Api, Path]]:
    """An API on a file of secrets, and the file."""
    path = tmp_path / "secrets.json"
    transport = httpx2.ASGITransport(build_api(replace(door, keys=Keyring(path))))
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://mint.example.com"
    ) as client:
        yield Api(client, door, None), path  # type: ignore[arg-type]


async def test_a_running_api_goes_through_a_rotation(rotating: tuple[Api, Path]) -> None:
    api, path = rotating
    old = session_token(load_or_create_secrets(path), Session(uuid4(), uuid4()))

    async def status(token: str) -> int:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        called = await api.client.post("/rest/v1/rpc/list_my_brands", content="{}", headers=headers)
        return called.status_code

    async def published(where: str) -> list[str]:
        keys = (await api.client.get(where)).json()["keys"]
        return [key["kid"] for key in keys]

    assert await status(old) == 200
    rewrite(path, partial(rotated, kinds=KINDS))
    new = session_token(load_or_create_secrets(path), Session(uuid4(), uuid4()))
    assert [await status(old), await status(new)] == [200, 200]
    both = [key.kid for key in load_or_create_secrets(path).session_keys]
    assert await published("/auth/v1/.well-known/jwks.json") == both
    both = [key.kid for key in load_or_create_secrets(path).manifest_keys]
    assert await published("/.well-known/mintage-keys.json") == both
    rewrite(path, partial(without_old, kinds=KINDS))
    assert [await status(old), await status(new)] == [401, 200]
    assert await published("/.well-known/mintage-keys.json") == both[:1]
