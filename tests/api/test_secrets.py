"""The secrets' file: made once, kept closed, refused where it is weak."""

from __future__ import annotations

import base64
import json
import multiprocessing
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mintage.secrets import SecretsError, load_or_create_secrets, new_secrets_text, parse_secrets
from mintage.tokens import anon_key, service_key

SUPABASE_DEMO = "super-secret-jwt-token-with-at-least-32-characters-long"


def changed(**changes: object) -> str:
    content: dict[str, Any] = json.loads(new_secrets_text())
    return json.dumps(content | changes)


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def refusal(text: str) -> str:
    with pytest.raises(SecretsError) as raised:
        parse_secrets(text)
    return str(raised.value)


def test_the_first_start_writes_random_secrets_that_only_the_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secrets.json"
    made = load_or_create_secrets(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(made.api_secret) >= 32
    assert len(made.storage_key) >= 32
    assert [entry.name for entry in path.parent.iterdir()] == ["secrets.json"]
    assert load_or_create_secrets(tmp_path / "other.json").api_secret != made.api_secret


def test_a_second_start_gives_out_the_same_keys(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    first, second = load_or_create_secrets(path), load_or_create_secrets(path)
    assert (first.storage_key, first.product_page_key) == (
        second.storage_key,
        second.product_page_key,
    )
    assert anon_key(first) == anon_key(second)
    assert service_key(first) == service_key(second)
    assert [key.kid for key in first.session_keys] == [key.kid for key in second.session_keys]


def _start(path: Path, answers: multiprocessing.Queue[bytes]) -> None:
    answers.put(load_or_create_secrets(path).api_secret)


def test_processes_that_start_at_once_agree_on_one_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    starts = [
        context.Process(target=_start, args=(tmp_path / "secrets.json", answers)) for _ in range(4)
    ]
    for process in starts:
        process.start()
    seen = {answers.get(timeout=60) for _ in starts}
    for process in starts:
        process.join()
    assert len(seen) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secrets.json"
    load_or_create_secrets(path)
    path.chmod(mode)
    with pytest.raises(SecretsError, match="chmod 600"):
        load_or_create_secrets(path)


@pytest.mark.parametrize("name", ["api_secret", "storage_key", "product_page_key"])
def test_a_secret_under_32_bytes_is_refused(name: str) -> None:
    assert "at least 32 bytes" in refusal(changed(**{name: "aB3$" * 7 + "xyz"}))
    assert parse_secrets(changed(**{name: "aB3$eF6h" * 4}))


@pytest.mark.parametrize(
    "secret",
    [
        SUPABASE_DEMO,
        f" {SUPABASE_DEMO}\n",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
        "a-string-secret-at-least-256-bits-long",
        "a" * 40,
    ],
)
def test_a_published_or_guessable_secret_is_refused(secret: str) -> None:
    message = refusal(changed(api_secret=secret))
    assert "everybody knows" in message
    assert secret.strip() not in message


def test_the_published_signing_keys_of_others_are_refused() -> None:
    # RFC 7515, appendix A.3.
    d = int.from_bytes(base64.urlsafe_b64decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI="))
    published = ec.derive_private_key(d, ec.SECP256R1())
    # The default of Supabase's local development.
    d = int.from_bytes(base64.urlsafe_b64decode("dIhR8wywJlqlua4y_yMq2SLhlFXDZJBCvFrY1DCHyVU="))
    for key in (published, ec.derive_private_key(d, ec.SECP256R1())):
        keys = [{"kid": "one", "private_key": pem(key)}]
        assert "everybody knows" in refusal(changed(session_keys=keys))


def test_only_p256_private_keys_sign_sessions() -> None:
    for key in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)):
        assert "P-256" in refusal(changed(session_keys=[{"kid": "k", "private_key": pem(key)}]))
    assert "PEM" in refusal(changed(session_keys=[{"kid": "k", "private_key": "no key"}]))
    assert "at least one" in refusal(changed(session_keys=[]))


def test_two_session_keys_of_one_kid_are_refused() -> None:
    keys = [
        {"kid": "k", "private_key": pem(ec.generate_private_key(ec.SECP256R1()))} for _ in range(2)
    ]
    assert "each kid" in refusal(changed(session_keys=keys))


def test_one_text_for_two_purposes_is_refused() -> None:
    assert "must differ" in refusal(changed(api_secret="aB3$eF6h" * 5, storage_key="aB3$eF6h" * 5))


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", changed(surplus=1), changed(created_at="1")])
def test_a_malformed_file_is_refused(text: str) -> None:
    assert refusal(text)


def test_secrets_do_not_show_themselves() -> None:
    made = parse_secrets(new_secrets_text())
    shown = repr(made)
    assert made.api_secret.decode() not in shown
    assert made.storage_key.decode() not in shown
    assert "PRIVATE" not in shown
