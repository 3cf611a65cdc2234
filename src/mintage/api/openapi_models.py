"""What the doors send besides the answers of RPCs, as models: errors of each door, sessions, signed URLs.

For the contract alone, like `operations.answers`. Not here: building any of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from mintage.operations.answer_models import Id, Moment, Reasons, Wire
from mintage.operations.answers_minting import Submitted

Text = Annotated[str, StringConstraints(min_length=1)]


class ArgumentFault(Wire):
    """One bad argument, what is wrong with it and what would be right."""

    argument: str
    problem: Text
    hint: Text


class RpcError(Wire):
    """An error of `/rest/v1`, in PostgREST's shape; `errors` names every bad argument."""

    code: Text
    message: Text
    details: str | None
    hint: str | None
    errors: list[ArgumentFault]


class FunctionFault(Wire):
    code: Annotated[str, StringConstraints(pattern=r"^[A-Z_]+$")]
    message: Text


class FunctionError(Wire):
    """An error of `/functions/v1`."""

    ok: Literal[False]
    error: FunctionFault


class FunctionBlocked(FunctionError):
    """A mint request that is blocked: `PREFLIGHT_BLOCKED` and why."""

    blocking_reasons: Reasons


class MintApiAnswer(Submitted):
    """`kicked` is true if this call's own cycle committed units, `processed_count` of them."""

    kicked: bool
    processed_count: Annotated[int, Field(ge=0, le=20_000)]


class AuthError(Wire):
    """An error of `/auth/v1`, in GoTrue's shape."""

    code: int
    error_code: Text
    msg: Text
    hint: str = ""


class GrantError(Wire):
    """An error of the grant `client_credentials` (RFC 6749 §5.2), readable by GoTrue's clients too."""

    error: Text
    error_description: Text
    code: int
    error_code: Text
    msg: Text


class StorageError(Wire):
    """An error of `/storage/v1`, in the shape of Supabase's storage."""

    statusCode: Annotated[str, StringConstraints(pattern=r"^[45][0-9]{2}$")]  # noqa: N815
    error: Text
    message: Text
    hint: str = ""


class IdentityData(Wire):
    sub: Id
    email: str
    email_verified: bool


class UserIdentity(Wire):
    identity_id: Id
    id: Id
    user_id: Id
    identity_data: IdentityData
    provider: str
    email: str
    last_sign_in_at: Moment
    created_at: Moment
    updated_at: Moment


class AppMetadata(Wire):
    provider: str
    providers: list[str]


class User(Wire):
    """An account, as GoTrue's clients read one."""

    id: Id
    aud: str
    role: str
    email: str
    email_confirmed_at: Moment
    confirmed_at: Moment
    last_sign_in_at: Moment
    phone: str
    app_metadata: AppMetadata
    user_metadata: dict[str, object]
    identities: list[UserIdentity]
    is_anonymous: bool
    created_at: Moment
    updated_at: Moment


class Session(Wire):
    access_token: Text
    token_type: Literal["bearer"]
    expires_in: int
    expires_at: int
    refresh_token: Text
    user: User


class ClientToken(Wire):
    """An API key's token, of one brand and its scopes (RFC 6749 §5.1)."""

    access_token: Text
    token_type: Literal["bearer"]
    expires_in: int
    scope: str


class PublicKey(Wire):
    """A public key (RFC 7517); others of its members may follow."""

    model_config = ConfigDict(extra="allow")

    kty: str
    kid: str
    alg: str


class PublicKeys(Wire):
    keys: list[PublicKey]


class SignInKinds(Wire):
    email: bool
    phone: bool
    anonymous_users: bool


class AuthSettings(Wire):
    external: SignInKinds
    disable_signup: bool
    mailer_autoconfirm: bool
    phone_autoconfirm: bool
    sms_provider: str
    saml_enabled: bool
    mfa_enabled: bool


class SignedUrl(Wire):
    """Relative to `/storage/v1`."""

    signedURL: Text  # noqa: N815


class SignedUrlOfMany(Wire):
    error: str | None
    path: str
    signedURL: str | None  # noqa: N815


class FileInfo(Wire):
    id: Id
    name: str
    version: str
    bucket_id: str
    size: int
    content_type: str
    cache_control: str
    etag: str
    metadata: dict[str, object]
    last_modified: Moment
    created_at: Moment


ERRORS = (RpcError, FunctionError, FunctionBlocked, AuthError, GrantError, StorageError)
DOOR_ANSWERS = (
    MintApiAnswer,
    Session,
    ClientToken,
    User,
    PublicKeys,
    AuthSettings,
    SignedUrl,
    SignedUrlOfMany,
    FileInfo,
)
