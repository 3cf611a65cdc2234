"""JWTs under symmetric keys that are rotated: the first key signs and is named, any of them verifies.

Not here: what the claims mean (`tokens`, `permits`, `console.cookies`), and the keys (`secrets`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt

ALGORITHM: Final = "HS256"
_ID_BYTES: Final = 8


def key_id(key: bytes) -> str:
    """16 hexadecimal digits that name `key` and do not tell it."""
    return hashlib.sha256(b"mintage key id\0" + key).hexdigest()[: 2 * _ID_BYTES]


def signed(claims: Mapping[str, object], keys: Sequence[bytes], *, family: str = "") -> str:
    """`claims` as a JWT (RFC 7519, HS256) under the first of `keys`, which its `kid` names.

    `family` stands before the id in `kid`, so that a reader knows what kind of token it is.
    """
    kid = f"{family}.{key_id(keys[0])}" if family else key_id(keys[0])
    return jwt.encode(dict(claims), keys[0], algorithm=ALGORITHM, headers={"kid": kid})


def verified(
    token: str,
    keys: Sequence[bytes],
    *,
    audience: str,
    require: Sequence[str],
    family: str = "",
    issuer: str | None = None,
    leeway_s: float = 0,
    is_timed: bool = True,
) -> dict[str, Any]:
    """The claims of a token that one of `keys` signed: the one that `kid` names.

    A token of before keys had ids names the family alone, or nothing: any of the keys will do then.
    `is_timed`: refused before its `iat` and `nbf`, and after its `exp`; else that is for the caller to
    judge. Raises `jwt.PyJWTError`.
    """
    kid = jwt.get_unverified_header(token).get("kid")
    prefix = f"{family}." if family else ""
    fitting = [
        key for key in keys if kid in {None, prefix + key_id(key)} or (family and kid == family)
    ]
    for key in fitting:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=issuer,
                leeway=leeway_s,
                options={
                    "require": list(require),
                    "strict_aud": True,
                    "verify_exp": is_timed,
                    "verify_iat": is_timed,
                },
            )
        except jwt.InvalidSignatureError:
            continue
    raise jwt.InvalidSignatureError("no key of ours signed this")
