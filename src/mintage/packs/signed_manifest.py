"""Group manifests as signed JSON: writing, and checking without the platform (SPEC §7).

A manifest is a JSON object whose member `signature` is Ed25519 (RFC 8032) over the canonical form
(RFC 8785) of the object without that member: whoever has the file and the public keys (a JWK set,
RFC 7517 and RFC 8037) can check it with any library. Not here: what a manifest says
(`operations.group_manifest`), and the private keys (`secrets`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mintage.secrets import ManifestKey, base64url

FORMAT: Final = "group_manifest"
FILE_EXTENSION: Final = "json"
MEDIA_TYPE: Final = "application/json"
MANIFEST_BYTES_MAX: Final = 4 * 1024 * 1024
_SIGNATURE: Final = "signature"
_KEY_OCTETS: Final = 32
_KEYS_BYTES_MAX: Final = 1024 * 1024
_FETCH_TIMEOUT_S: Final = 10.0
_HTTP_OK: Final = 200
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class ManifestRefused(ValueError):
    """The file is no manifest, or not one that a given key has signed; the message says which."""


@dataclass(frozen=True, slots=True)
class ListedPack:
    """A pack as a manifest lists it: `sha256` in hexadecimal, `byte_size` in bytes."""

    name: str
    byte_size: int
    sha256: str


def signed_manifest(content: Mapping[str, object], key: ManifestKey | None) -> bytes:
    """`content` with its signature as indented JSON; without a key the signature is null.

    `content` is of text, integers, null, lists and objects with ASCII names.
    """
    signature = None
    if key is not None:
        signature = {
            "algorithm": "Ed25519",
            "kid": key.kid,
            "value": base64url(key.private.sign(_canonical(content))),
        }
    text = json.dumps({**content, _SIGNATURE: signature}, indent=2, ensure_ascii=False)
    return f"{text}\n".encode()


def public_keys(keys: Iterable[ManifestKey]) -> dict[str, object]:
    """The JWK set of the public keys, those that sign no more included."""
    return {"keys": [key.public_jwk() for key in keys]}


def read_public_keys(body: bytes) -> dict[str, Ed25519PublicKey]:
    """The Ed25519 keys of a JWK set by `kid`. Raises `ManifestRefused` for what is none."""
    try:
        entries = json.loads(body)["keys"]
        return {
            str(entry["kid"]): Ed25519PublicKey.from_public_bytes(_octets(entry["x"], _KEY_OCTETS))
            for entry in entries
            if entry.get("kty") == "OKP" and entry.get("crv") == "Ed25519"
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ManifestRefused("the keys are no JWK set of Ed25519 keys") from error


def fetch_public_keys(url: str) -> bytes:
    """The bytes of the JWK set at `url`: https, or http from this machine alone. Raises `ManifestRefused`."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK_NAMES:
        raise ManifestRefused("keys are fetched over https: others could put theirs in their place")
    try:
        response = httpx2.get(url, follow_redirects=False, timeout=_FETCH_TIMEOUT_S)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise ManifestRefused(f"the keys cannot be fetched: {type(error).__name__}") from error
    if response.status_code != _HTTP_OK or len(response.content) > _KEYS_BYTES_MAX:
        raise ManifestRefused(f"there are no keys at {url} (HTTP {response.status_code})")
    return response.content


def read_manifest(body: bytes) -> dict[str, object]:
    """The JSON object of a manifest, its signature not checked. Raises `ManifestRefused`."""
    if len(body) > MANIFEST_BYTES_MAX:
        raise ManifestRefused("the file is too large for a manifest")
    try:
        content = json.loads(body, object_pairs_hook=_distinct, parse_float=_no_fraction)
    except (ValueError, RecursionError) as error:
        raise ManifestRefused(f"the file is no manifest: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ManifestRefused("the file is no manifest")
    return content


def check_signature(content: Mapping[str, object], keys: Mapping[str, Ed25519PublicKey]) -> str:
    """The `kid` of the key that signed `content`. Raises `ManifestRefused` for any other."""
    signature = content.get(_SIGNATURE)
    if not isinstance(signature, dict):
        raise ManifestRefused("the manifest is not signed")
    kid = signature.get("kid")
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise ManifestRefused(f"the manifest is signed by a key that was not given: {kid}")
    unsigned = {name: value for name, value in content.items() if name != _SIGNATURE}
    try:
        if signature.get("algorithm") != "Ed25519":
            raise ManifestRefused("the manifest's signature is not of Ed25519")
        key.verify(_octets(signature.get("value"), 64), _canonical(unsigned))
    except (InvalidSignature, ValueError, RecursionError) as error:
        raise ManifestRefused("the manifest was changed after it was signed") from error
    return str(kid)


def listed_packs(content: Mapping[str, object]) -> list[ListedPack]:
    """The packs that a manifest lists. Raises `ManifestRefused` where it lists none."""
    try:
        entries = content["packs"]
        if not isinstance(entries, list) or not entries:
            raise ValueError("no list")
        return [
            ListedPack(str(entry["name"]), int(entry["byte_size"]), str(entry["sha256"]))
            for entry in entries
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestRefused("the manifest lists no packs") from error


def _canonical(content: Mapping[str, object]) -> bytes:
    """The canonical form (RFC 8785) of what has ASCII names and no fractions."""
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_fraction(text: str) -> object:
    raise ValueError(f"a manifest has no fraction such as {text[:20]}")


def _octets(value: object, length: int) -> bytes:
    if not isinstance(value, str):
        raise ValueError("base64url text is due")
    octets = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    if len(octets) != length:
        raise ValueError(f"{length} octets are due")
    return octets
