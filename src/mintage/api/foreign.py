"""Callers with a token of the foreign issuer that the operator has named (SPEC §2, SECURITY).

A user of it is the pair of `iss` and `sub`. He is the account that an owner or admin made a member by that
subject; without one he may do nothing. No other claim is looked at, but that a token of the roles `anon`
and `service_role` is nobody's. Not here: the issuer's keys (`foreign_keys`), our own tokens (`tokens`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import jwt

from mintage.api.foreign_keys import ForeignKeys, KeysAway
from mintage.errors import UNAVAILABLE, MintageError
from mintage.operations.call import ANONYMOUS, Caller
from mintage.operations.members import user_id_of_subject
from mintage.secrets import Secrets, SecretsError, checked_secret
from mintage.settings import Settings
from mintage.tokens import TOKEN_CHARACTERS_MAX, TokenRefused

if TYPE_CHECKING:
    from mintage.db.connection import Database

SUBJECT_CHARACTERS_MAX: Final = 255
KNOWN_USERS_MAX: Final = 10_000
_HEADER_NAMES: Final = frozenset({"alg", "typ", "kid", "x5t", "x5t#S256"})
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_ROLES_REFUSED: Final = frozenset({"anon", "service_role"})
_RETRY_AFTER_S: Final = 5


@dataclass(slots=True)
class ForeignUsers:
    """Verifies tokens of `issuer`: HS256 by `secret`, or RS256 and ES256 by `keys`; one of them is set."""

    issuer: str
    audience: str
    leeway_s: int
    database: Database
    secret: bytes | None = field(default=None, repr=False)
    keys: ForeignKeys | None = None
    # An account never becomes another's: who was found once need not be looked for again.
    _known: dict[str, UUID] = field(default_factory=dict, init=False)

    async def caller(self, token: str) -> Caller:
        """Who calls. Raises `TokenRefused`, and 503 while there are no keys to verify with."""
        subject = await self._subject(token)
        user_id = self._known.get(subject)
        if user_id is None:
            user_id = await self._looked_up(subject)
        # Without an account there is no id: then the subject is who it is.
        name = f"user {user_id}" if user_id is not None else f"subject {self.issuer} {subject}"
        return Caller("user", user_id, counted_as=name)

    async def _looked_up(self, subject: str) -> UUID | None:
        async with self.database.transaction(
            ANONYMOUS.identity(None), read_only=True
        ) as connection:
            user_id = await user_id_of_subject(connection, self.issuer, subject)
        if user_id is not None:
            if len(self._known) >= KNOWN_USERS_MAX:
                self._known.pop(next(iter(self._known)))
            self._known[subject] = user_id
        return user_id

    async def _subject(self, token: str) -> str:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise TokenRefused
        try:
            header = jwt.get_unverified_header(token)
            _check_header(header)
            if self.secret is not None:
                return self._subject_of(self._claims(token, self.secret, "HS256"))
            # Keys are not fetched for a token that claims another issuer.
            told = jwt.decode(token, options={"verify_signature": False})
            kid = header.get("kid")
            if told.get("iss") != self.issuer or not isinstance(kid, str) or self.keys is None:
                raise TokenRefused
            key = await self.keys.key_of(kid)
            if key is None:
                raise TokenRefused
            return self._subject_of(self._claims(token, key.public, key.algorithm))
        except KeysAway:
            raise _keys_away() from None
        except (
            jwt.PyJWTError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
            RecursionError,
        ):
            raise TokenRefused from None

    def _claims(self, token: str, key: Any, algorithm: str) -> Mapping[str, object]:
        claims: Mapping[str, object] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self.audience,
            issuer=self.issuer,
            leeway=self.leeway_s,
            options={"require": ["iss", "aud", "exp", "sub"]},
        )
        return claims

    def _subject_of(self, claims: Mapping[str, object]) -> str:
        subject = claims["sub"]
        is_plain = isinstance(subject, str) and 1 <= len(subject) <= SUBJECT_CHARACTERS_MAX
        if not is_plain or not str(subject).isprintable() or claims.get("role") in _ROLES_REFUSED:
            raise TokenRefused
        return str(subject)


def foreign_users(
    settings: Settings, secrets: Secrets, database: Database, leeway_s: int
) -> ForeignUsers | None:
    """The users of the settings' foreign issuer; None if there is none.

    Raises `SecretsError` for a secret that is short, published, or one of our own.
    """
    given = settings.foreign_issuer
    if given is None:
        return None
    secret: bytes | None = None
    if given.jwt_secret is not None:
        secret = checked_secret("MINTAGE_FOREIGN_JWT_SECRET", given.jwt_secret)
        if secret in secrets.texts:
            raise SecretsError("MINTAGE_FOREIGN_JWT_SECRET must differ from Mintage's own secrets")
    keys = ForeignKeys(given.jwks_url) if given.jwks_url is not None else None
    return ForeignUsers(given.issuer, given.audience, leeway_s, database, secret, keys)


def _check_header(header: Mapping[str, object]) -> None:
    """Refuse what names keys of its own (`jku`, `x5u`, `jwk`), extensions, or another kind of token."""
    if not _HEADER_NAMES.issuperset(header):
        raise TokenRefused
    if str(header.get("typ", "JWT")).lower() not in _TYPES:
        raise TokenRefused


def _keys_away() -> MintageError:
    message = "Unavailable: the issuer's keys cannot be read for a moment, try again"
    return MintageError(UNAVAILABLE, message=message, retry_after_s=_RETRY_AFTER_S)
