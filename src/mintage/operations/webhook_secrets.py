"""Secrets of webhooks: made here, shown once, and kept sealed, so that a reader of the database has none.

Sealed with AES-256-GCM under a key of the file of secrets, bound to the webhook's row. Not here: that file
(`secrets`), and signatures (`webhook_sending`).
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with
SECRET_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEY_ID_BYTES: Final = 8


class NotSealedHere(ValueError):
    """The sealed secret is of another key, or another row."""


@dataclass(frozen=True, slots=True)
class Sealer:
    """`keys` gives those of now, of 32 bytes each: the first seals, all open."""

    keys: Callable[[], tuple[bytes, ...]] = field(default=tuple, repr=False)

    def seal(self, secret: bytes, brand_id: UUID, webhook_id: UUID) -> bytes:
        """`secret` as it may be kept: key id, nonce, ciphertext with its tag."""
        keys = self.keys()
        if not keys:
            raise RuntimeError("this process was given no key for secrets of webhooks")
        key, nonce = keys[0], os.urandom(_NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, secret, brand_id.bytes + webhook_id.bytes)
        return _key_id(key) + nonce + sealed

    def open(self, sealed: bytes, brand_id: UUID, webhook_id: UUID) -> bytes:
        """What `seal` was given. Raises `NotSealedHere`."""
        key_id, rest = sealed[:_KEY_ID_BYTES], sealed[_KEY_ID_BYTES:]
        for key in self.keys():
            if _key_id(key) == key_id:
                try:
                    return AESGCM(key).decrypt(
                        rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], brand_id.bytes + webhook_id.bytes
                    )
                except InvalidTag:
                    break
        raise NotSealedHere


NO_SEALER: Final = Sealer()


def new_secret() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """As receivers are told it (Standard Webhooks): `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(secret).decode("ascii")


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"mintage webhook key id" + key).digest()[:_KEY_ID_BYTES]
