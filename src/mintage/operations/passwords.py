"""Passwords: made, hashed and verified with Argon2id, off the event loop.

Not here: who may sign in and how often (`sign_in`), and how long a password must be (`settings.Limits`).
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane.
_HASHER: Final = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
# The hash, with the same costs, of a random password that nobody knows.
_NOBODYS_HASH: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$PoGmNN4D4rstAF4egSiINQ"
    "$ceShmGCwbEYtyKPNleGFe3kU8LvR9qdXxmI75cd9GX4"
)
# No character that is mistaken for another when read aloud or copied by hand: 31 ** 24 is 2 ** 118.
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz2345679"
_GROUPS: Final = 4
_GROUP_CHARACTERS: Final = 6


def new_password() -> str:
    """A random password of four groups of six readable characters, with hyphens between."""
    groups = (
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARACTERS)) for _ in range(_GROUPS)
    )
    return "-".join(groups)


async def hash_password(password: str) -> str:
    """The Argon2id hash of `password`, in the PHC string format."""
    return await asyncio.to_thread(_HASHER.hash, password)


async def verify_password(password: str, password_hash: str) -> bool:
    """True if `password` is the one of `password_hash`. A hash that is none costs the same work."""
    return await asyncio.to_thread(_is_right, password, password_hash)


async def verify_nothing(password: str) -> None:
    """The work of `verify_password` for an account that does not exist (SECURITY, enumeration)."""
    await asyncio.to_thread(_is_right, password, _NOBODYS_HASH)


def _is_right(password: str, password_hash: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except InvalidHashError:
        _is_right(password, _NOBODYS_HASH)
        return False
    except VerificationError:
        return False
