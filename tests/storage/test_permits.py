"""Permits of signed URLs: read by the key that signed them, for their use, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import jwt
import pytest

from mintage.permits import DownloadPermit, read_permit, sign_permit

KEY = bytes(range(48))
PERMIT = DownloadPermit(
    bucket="payload-packs",
    path="a/b/0001-1.csv",
    pack_id=UUID(int=7),
    signed_at_s=1_800_000_000.25,
    expires_at_s=1_800_000_300.25,
    signer_type="user",
    signer_id=UUID(int=9),
)


def test_a_permit_is_read_as_it_was_signed() -> None:
    assert read_permit([KEY], sign_permit([KEY], PERMIT)) == PERMIT
    by_service = replace(PERMIT, signer_type="service", signer_id=None)
    assert read_permit([KEY], sign_permit([KEY], by_service)) == by_service


def test_every_changed_character_of_a_token_is_refused() -> None:
    token = sign_permit([KEY], PERMIT)
    for place in range(len(token)):
        changed = "A" if token[place] != "A" else "B"
        forged = token[:place] + changed + token[place + 1 :]
        # The last character of a base64url text may hold bits that mean nothing.
        assert read_permit([KEY], forged) in {None, PERMIT}
        if place not in {len(token) - 1, *(i - 1 for i, c in enumerate(token) if c == ".")}:
            assert read_permit([KEY], forged) is None


def test_a_token_of_another_key_or_algorithm_is_refused() -> None:
    assert read_permit([bytes(48)], sign_permit([KEY], PERMIT)) is None
    claims = jwt.decode(sign_permit([KEY], PERMIT), options={"verify_signature": False})
    assert read_permit([KEY], jwt.encode(claims, "", algorithm="none")) is None
    assert read_permit([KEY], jwt.encode(claims, KEY + bytes(16), algorithm="HS512")) is None
    for audience in ("authenticated", "mintage-api", ["storage", "authenticated"]):
        other = jwt.encode(claims | {"aud": audience}, KEY, algorithm="HS256")
        assert read_permit([KEY], other) is None


@pytest.mark.parametrize("claim", ["aud", "exp", "iat", "bucket", "path", "pack", "by_type"])
def test_a_token_that_lacks_a_claim_is_refused(claim: str) -> None:
    claims = jwt.decode(sign_permit([KEY], PERMIT), options={"verify_signature": False})
    del claims[claim]
    assert read_permit([KEY], jwt.encode(claims, KEY, algorithm="HS256")) is None


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.ü.ß", "\0", "[" * 2000, "9" * 2000])
def test_rubbish_is_no_token(token: str) -> None:
    assert read_permit([KEY], token) is None
