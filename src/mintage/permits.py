"""Permits: the tokens in signed URLs, each of which opens one file of a pack for a while (SECURITY).

Not here: who is given one (`api.storage`), which files there are (`operations.downloads`), the tokens
of callers (`tokens`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import jwt

from mintage.signed_tokens import signed, verified

AUDIENCE: Final = "storage"
_CLAIMS: Final = ["aud", "exp", "iat", "bucket", "path", "pack", "by_type"]


@dataclass(frozen=True, slots=True)
class DownloadPermit:
    """What a signed URL's token says: this file of this pack, until then, signed by that caller."""

    bucket: str
    path: str
    pack_id: UUID
    signed_at_s: float
    expires_at_s: float
    signer_type: str
    signer_id: UUID | None


def sign_permit(keys: Sequence[bytes], permit: DownloadPermit) -> str:
    """`permit` as a JWT (RFC 7519, HS256) under the first storage key; they sign nothing else."""
    claims: dict[str, object] = {
        "aud": AUDIENCE,
        "bucket": permit.bucket,
        "path": permit.path,
        "pack": str(permit.pack_id),
        "iat": permit.signed_at_s,
        "exp": permit.expires_at_s,
        "by_type": permit.signer_type,
    }
    if permit.signer_id is not None:
        claims["by_id"] = str(permit.signer_id)
    return signed(claims, keys)


def read_permit(keys: Sequence[bytes], token: str) -> DownloadPermit | None:
    """The permit in `token`, or None for one that none of these keys signed for this use.

    Whether it has expired is for the reader to say, by the database's clock.
    """
    try:
        claims = verified(token, keys, audience=AUDIENCE, require=_CLAIMS, is_timed=False)
        signer_id = claims.get("by_id")
        return DownloadPermit(
            bucket=str(claims["bucket"]),
            path=str(claims["path"]),
            pack_id=UUID(claims["pack"]),
            signed_at_s=float(claims["iat"]),
            expires_at_s=float(claims["exp"]),
            signer_type=str(claims["by_type"]),
            signer_id=UUID(signer_id) if signer_id is not None else None,
        )
    except (jwt.PyJWTError, ArithmeticError, AttributeError, TypeError, ValueError, RecursionError):
        return None
