"""The process's secrets: signing keys, made at the first start and kept in one file (0600).

The file is JSON: `api_secret` (text, signs the anon and service keys), `session_keys` (ES256
private keys as PEM with a `kid`; the first signs, all verify), `manifest_keys` (Ed25519, likewise; a
file without them has one key that follows from `storage_key`), `storage_key`, `product_page_key`
(text), `webhook_keys` (texts that seal secrets of webhooks; the first seals, all open; a file without
them has ones that follow from `storage_key`), `created_at` (seconds; the anon and service keys are
counted from it). `earlier` holds lists of the texts that verify and sign no more, `next` what verifies
already and will sign (a text for each name, or one key). Several processes that start at once agree on
the file that came first. Not here: how they are rotated (`key_rotation`), who follows the file
(`keyring`), passwords' and refresh tokens' hashes (rows), and tokens (`tokens`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

SECRET_BYTES_MIN: Final = 32
_DISTINCT_BYTES_MIN: Final = 8
_FILE_BYTES_MAX: Final = 1024 * 1024
_TEXTS: Final = ("api_secret", "storage_key", "product_page_key")
_NAMES: Final = frozenset({*_TEXTS, "session_keys", "created_at"})
_OPTIONAL_NAMES: Final = frozenset({"manifest_keys", "webhook_keys", "earlier", "next"})
KEYS_MAX: Final = 8
"""Keys of one kind at once, in a file of secrets."""

# Secrets that stand in documentation or example files of Supabase, jwt.io and RFC 7515.
_PUBLISHED_SECRETS: Final = frozenset(
    {
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
        "your-super-secret-and-long-jwt-secret-at-least-32-chars",
        "JiA3qyur0XC/X+rVy20dETq4VR1YBZG3K0v3YH/8/dg=",
        "a-string-secret-at-least-256-bits-long",
        "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        "UpNVntYA60FovwSu6eqbbTANmqdAdkh8",
    }
)
# The x coordinates of published keys: RFC 7515 A.3, RFC 7517 A.2, Supabase's CLI, jwt.io; RFC 8037 A.1.
_PUBLISHED_POINTS: Final = frozenset(
    {
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "M5Sjqn5zwC9Kl1zVfUUGvv9boQjCGd45G8sdopBExB4",
        "EVs_o5-uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf84",
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }
)


class SecretsError(ValueError):
    """The secrets' file cannot be used; the message says why and what would be right, never a
    secret."""


@dataclass(frozen=True, slots=True)
class SessionKey:
    """One ES256 key: `kid` names it in tokens and in the JWKS."""

    kid: str
    private: EllipticCurvePrivateKey = field(repr=False)

    @property
    def public(self) -> EllipticCurvePublicKey:
        return self.private.public_key()

    def public_jwk(self) -> dict[str, object]:
        """The public key as a JWK (RFC 7517) that verifies ES256."""
        numbers = self.public.public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": base64url(numbers.x.to_bytes(32, "big")),
            "y": base64url(numbers.y.to_bytes(32, "big")),
            "kid": self.kid,
            "alg": "ES256",
            "use": "sig",
            "key_ops": ["verify"],
        }


@dataclass(frozen=True, slots=True)
class ManifestKey:
    """One Ed25519 key: `kid` names it in manifests and in the published JWK set."""

    kid: str
    private: Ed25519PrivateKey = field(repr=False)

    def public_jwk(self) -> dict[str, object]:
        """The public key as a JWK (RFC 8037) that verifies EdDSA."""
        public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": base64url(public),
            "kid": self.kid,
            "alg": "EdDSA",
            "use": "sig",
            "key_ops": ["verify"],
        }


@dataclass(frozen=True, slots=True)
class Secrets:
    """All keys of the process; each kind of token has its own. Of several the first signs."""

    api_secrets: tuple[bytes, ...] = field(repr=False)
    session_keys: tuple[SessionKey, ...]
    manifest_keys: tuple[ManifestKey, ...]
    storage_keys: tuple[bytes, ...] = field(repr=False)
    product_page_keys: tuple[bytes, ...] = field(repr=False)
    created_at: int
    webhook_keys: tuple[bytes, ...] = field(repr=False)

    @property
    def api_secret(self) -> bytes:
        """What signs the anon and service keys; clients' and the console's keys are drawn from it."""
        return self.api_secrets[0]

    @property
    def storage_key(self) -> bytes:
        """What signs the URLs of packs."""
        return self.storage_keys[0]

    @property
    def product_page_key(self) -> bytes:
        """What signs the tokens of product pages."""
        return self.product_page_keys[0]

    @property
    def texts(self) -> frozenset[bytes]:
        """Every symmetric secret: none of them may serve another use."""
        return frozenset((*self.api_secrets, *self.storage_keys, *self.product_page_keys))

    @property
    def current(self) -> Secrets:
        """These secrets, which stay as they are."""
        return self

    @property
    def is_current(self) -> bool:
        """True: there is no file that they could differ from."""
        return True


class SecretsSource(Protocol):
    """What has the secrets of now: `Secrets` that stay, or a `keyring.Keyring` that follows its file."""

    @property
    def current(self) -> Secrets: ...

    @property
    def is_current(self) -> bool: ...


def load_secrets(path: Path) -> Secrets:
    """The secrets in the file `path`. Raises `SecretsError` as `load_or_create_secrets`, and where it is
    not there."""
    try:
        return parse_secrets_of(path, read_secrets_text(path))
    except OSError as error:
        raise SecretsError(f"{path}: {error.strerror or 'cannot be read'}") from error


def load_or_create_secrets(path: Path) -> Secrets:
    """The secrets in the file `path`, which is made with random ones where there is none.

    Raises `SecretsError` for a file that others can read, that is malformed, or that holds a short
    or a published secret.
    """
    try:
        if not path.exists():
            _create(path)
    except OSError as error:
        raise SecretsError(f"{path}: {error.strerror or 'cannot be read'}") from error
    return load_secrets(path)


def new_secrets_text() -> str:
    """Random secrets as the text of a secrets' file."""
    content = {
        "api_secret": secrets.token_urlsafe(48),
        "session_keys": [new_key(generate_private_key(SECP256R1()))],
        "manifest_keys": [new_key(Ed25519PrivateKey.generate())],
        "storage_key": secrets.token_urlsafe(48),
        "product_page_key": secrets.token_urlsafe(48),
        "webhook_keys": [secrets.token_urlsafe(48)],
        "created_at": int(time.time()),
    }
    return json.dumps(content, indent=2) + "\n"


def parse_secrets(text: str) -> Secrets:
    """`text` of a secrets' file. Raises `SecretsError`."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise SecretsError("is no JSON") from None
    if not isinstance(content, dict) or set(content) - _OPTIONAL_NAMES != _NAMES:
        raise SecretsError("must be an object with exactly " + ", ".join(sorted(_NAMES)))
    created_at = content["created_at"]
    if type(created_at) is not int or not 0 < created_at < 2**40:
        raise SecretsError("created_at must be a time in seconds since 1970")
    upcoming = _object(content, "next", {*_TEXTS, "session_keys", "manifest_keys", "webhook_keys"})
    earlier = _object(content, "earlier", set(_TEXTS))
    api_secrets, storage_keys, product_page_keys = (
        _texts(name, content[name], upcoming, earlier) for name in _TEXTS
    )
    every = (*api_secrets, *storage_keys, *product_page_keys)
    if len(set(every)) < len(every):
        raise SecretsError(
            "api_secret, storage_key and product_page_key must differ, and from each other's"
        )
    manifest_keys = (
        _manifest_keys(_with_next("manifest_keys", content["manifest_keys"], upcoming))
        if "manifest_keys" in content
        else (derived_manifest_key(storage_keys[0]),)
    )
    return Secrets(
        api_secrets,
        _session_keys(_with_next("session_keys", content["session_keys"], upcoming)),
        manifest_keys,
        storage_keys,
        product_page_keys,
        created_at,
        _webhook_keys(
            _with_next("webhook_keys", content.get("webhook_keys"), upcoming), storage_keys
        ),
    )


def _object(content: Mapping[str, object], name: str, known: Set[str]) -> Mapping[str, object]:
    value = content.get(name, {})
    if not isinstance(value, dict) or not set(value) <= known:
        raise SecretsError(f"{name} must be an object of some of " + ", ".join(sorted(known)))
    return value


def _texts(
    name: str, signing: object, upcoming: Mapping[str, object], earlier: Mapping[str, object]
) -> tuple[bytes, ...]:
    """The texts of `name`: the one that signs, the one that will, those that did."""
    before = earlier.get(name, [])
    if not isinstance(before, list) or len(before) > KEYS_MAX:
        raise SecretsError(f"earlier: {name} must be a list of at most {KEYS_MAX} texts")
    after = [upcoming[name]] if name in upcoming else []
    return tuple(_secret(name, value) for value in (signing, *after, *before))


def _with_next(name: str, keys: object, upcoming: Mapping[str, object]) -> object:
    """The list of keys with the next one behind the one that signs."""
    if name in upcoming and isinstance(keys, list):
        return [*keys[:1], upcoming[name], *keys[1:]]
    return keys


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A whole file is linked to its name: whoever comes second keeps the first one's, and nobody
    # ever reads half a file. mkstemp opens with O_EXCL and mode 0600.
    handle, name = tempfile.mkstemp(prefix=".secrets-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(new_secrets_text())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(name, path)
        except FileExistsError:
            return
    finally:
        os.unlink(name)


def read_secrets_text(path: Path) -> str:
    """The text of a file of secrets that its owner alone can read. Raises `SecretsError`, `OSError`."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise SecretsError(f"{path} must be a file")
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SecretsError(f"{path} can be read by others than its owner: chmod 600 {path}")
        body = file.read(_FILE_BYTES_MAX + 1)
    if len(body) > _FILE_BYTES_MAX:
        raise SecretsError(f"{path} is too large for a file of secrets")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretsError(f"{path} is no UTF-8 text") from None


def parse_secrets_of(path: Path, text: str) -> Secrets:
    """`text` of the file `path`. Raises `SecretsError` that names the file."""
    try:
        return parse_secrets(text)
    except SecretsError as problem:
        raise SecretsError(f"{path}: {problem}") from None


def _secret(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise SecretsError(f"{name} must be text")
    return checked_secret(name, value)


def checked_secret(name: str, value: str) -> bytes:
    """`value` as bytes. Raises `SecretsError` for a secret that is short, or that others know."""
    encoded = value.encode("utf-8", "surrogatepass")
    if len(encoded) < SECRET_BYTES_MIN:
        raise SecretsError(f"{name} must have at least {SECRET_BYTES_MIN} bytes")
    if value.strip() in _PUBLISHED_SECRETS or len(set(encoded)) < _DISTINCT_BYTES_MIN:
        raise SecretsError(f"{name} is one that everybody knows or can guess: make a random one")
    return encoded


def new_key(private: EllipticCurvePrivateKey | Ed25519PrivateKey) -> dict[str, str]:
    """`private` as an entry of a list of keys, with a random `kid`."""
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"kid": secrets.token_hex(8), "private_key": pem.decode("ascii")}


def _session_keys(value: object) -> tuple[SessionKey, ...]:
    return tuple(
        _session_key(kid, private) for kid, private in _private_keys("session_keys", value)
    )


def _session_key(kid: str, private: object) -> SessionKey:
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise SecretsError(f"session_keys: {kid} must be a P-256 key (ES256)")
    key = SessionKey(kid, private)
    if key.public_jwk()["x"] in _PUBLISHED_POINTS:
        raise SecretsError(f"session_keys: {kid} is a key that everybody knows: make a random one")
    return key


def _manifest_keys(value: object) -> tuple[ManifestKey, ...]:
    return tuple(
        _manifest_key(kid, private) for kid, private in _private_keys("manifest_keys", value)
    )


def _manifest_key(kid: str, private: object) -> ManifestKey:
    if not isinstance(private, Ed25519PrivateKey):
        raise SecretsError(f"manifest_keys: {kid} must be an Ed25519 key")
    key = ManifestKey(kid, private)
    if key.public_jwk()["x"] in _PUBLISHED_POINTS:
        raise SecretsError(f"manifest_keys: {kid} is a key that everybody knows: make a random one")
    return key


def derived_manifest_key(storage_key: bytes) -> ManifestKey:
    """The key of files that were made before manifests were: the same on every machine that has the file."""
    seed = HKDF(SHA256(), 32, salt=None, info=b"mintage manifest key").derive(storage_key)
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return ManifestKey(hashlib.sha256(public).hexdigest()[:16], private)


def _webhook_keys(value: object, storage_keys: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Keys of 32 bytes; those that follow from `storage_keys` where the file is older than webhooks."""
    texts = list(storage_keys)
    if value is not None:
        if not isinstance(value, list) or not value:
            raise SecretsError("webhook_keys must be a list of at least one text")
        texts = [_secret("webhook_keys", each) for each in value]
    return tuple(
        HKDF(SHA256(), 32, salt=None, info=b"mintage webhook key").derive(text) for text in texts
    )


def _private_keys(name: str, value: object) -> list[tuple[str, object]]:
    """The keys of a list of the file: each `kid` with its key, of a kind that is not known yet."""
    if not isinstance(value, list) or not 1 <= len(value) <= KEYS_MAX + 2:
        raise SecretsError(f"{name} must be a list of at least one key, and at most {KEYS_MAX}")
    keys = [_private_key(name, entry) for entry in value]
    if len({kid for kid, _ in keys}) < len(keys):
        raise SecretsError(f"{name}: each kid must be there once")
    return keys


def _private_key(name: str, value: object) -> tuple[str, object]:
    if not isinstance(value, dict) or set(value) != {"kid", "private_key"}:
        raise SecretsError(f"{name}: each must be an object of kid and private_key")
    kid, pem = value["kid"], value["private_key"]
    if not isinstance(kid, str) or not 1 <= len(kid) <= 64 or not kid.isascii():
        raise SecretsError(f"{name}: kid must be text of 1 to 64 ASCII characters")
    try:
        return kid, load_pem_private_key(str(pem).encode("utf-8"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SecretsError(f"{name}: {kid} must be a private key in PEM") from None


def base64url(value: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(value).decode("ascii").rstrip("=")
