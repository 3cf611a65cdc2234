"""The keys of group manifests: in the file of secrets, published, rotated."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mintage.packs.signed_manifest import (
    check_signature,
    read_manifest,
    read_public_keys,
    signed_manifest,
)
from mintage.secrets import (
    SecretsError,
    new_secrets_text,
    parse_secrets,
)
from tests.api.conftest import Api
from tests.support.keys import manifest_key

PATH = "/.well-known/mintage-keys.json"
CONTENT = {"format": "group_manifest", "packs": []}


def entry(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, kid: str = "k") -> dict[str, str]:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {"kid": kid, "private_key": pem}


def with_keys(*entries: Any) -> str:
    return json.dumps(json.loads(new_secrets_text()) | {"manifest_keys": list(entries)})


async def test_what_is_signed_is_verified_by_what_is_published(api: Api) -> None:
    response = await api.client.get(PATH)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "public, max-age=600"
    key = api.door.secrets.manifest_keys[0]
    content = read_manifest(signed_manifest(CONTENT, key))
    assert check_signature(content, read_public_keys(response.content)) == key.kid
    (published,) = response.json()["keys"]
    # Another library reads the key, and it is a public one.
    assert jwt.PyJWK(published).key_type == "OKP"
    assert "d" not in published


async def test_the_keys_are_read_and_nothing_else(api: Api) -> None:
    head = await api.client.head(PATH)
    assert (head.status_code, head.content) == (200, b"")
    assert (await api.client.post(PATH)).status_code == 405


def test_the_first_of_two_keys_signs_and_both_verify() -> None:
    old, new = (Ed25519PrivateKey.generate() for _ in range(2))
    secrets = parse_secrets(with_keys(entry(new, "new"), entry(old, "old")))
    assert [key.kid for key in secrets.manifest_keys] == ["new", "old"]
    before = parse_secrets(with_keys(entry(old, "old")))
    keys = {key.kid: key.private.public_key() for key in secrets.manifest_keys}
    for signer, kid in ((before, "old"), (secrets, "new")):
        manifest = read_manifest(signed_manifest(CONTENT, signer.manifest_keys[0]))
        assert check_signature(manifest, keys) == kid


def test_a_file_of_before_there_were_manifests_has_one_key_for_good() -> None:
    content = json.loads(new_secrets_text())
    del content["manifest_keys"]
    first, second = (parse_secrets(json.dumps(content)).manifest_keys for _ in range(2))
    assert len(first) == 1
    assert first[0].public_jwk() == second[0].public_jwk()
    other = parse_secrets(json.dumps(content | {"storage_key": "another storage key, long enough"}))
    assert other.manifest_keys[0].public_jwk()["x"] != first[0].public_jwk()["x"]


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([], "at least one"),
        ([{"kid": "k"}], "kid and private_key"),
        ([{"kid": "k", "private_key": "none"}], "PEM"),
        ([entry(ec.generate_private_key(ec.SECP256R1()))], "Ed25519"),
        ([entry(manifest_key().private), entry(manifest_key().private)], "each kid"),
    ],
    ids=["none", "half a key", "no PEM", "another kind", "twice"],
)
def test_keys_that_cannot_sign_are_refused(entries: list[dict[str, str]], told: str) -> None:
    with pytest.raises(SecretsError, match=told):
        parse_secrets(with_keys(*entries))


def test_a_published_key_is_refused() -> None:
    # RFC 8037, appendix A.1.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    with pytest.raises(SecretsError, match="everybody knows"):
        parse_secrets(with_keys(entry(Ed25519PrivateKey.from_private_bytes(seed))))


def test_a_key_does_not_show_itself() -> None:
    secrets = parse_secrets(new_secrets_text())
    assert "Ed25519" not in repr(replace(secrets, session_keys=()))
