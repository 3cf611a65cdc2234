"""The arguments of the catalogue's and administration's lists, links, keys and settings (CATALOGUE).

The base classes, the types that others share, and how raw JSON becomes a model: `arguments`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from mintage.operations.argument_checks import distinct, stated
from mintage.operations.arguments import (
    ActivationMode,
    BrandArguments,
    Cursor,
    Email,
    IdentityMode,
    Limit,
    Moment,
    Name,
    NotNull,
    Patch,
    ProductId,
    Uuid,
)
from mintage.rules import lifecycle, roles
from mintage.rules.clone_thresholds import THRESHOLD_MAX
from mintage.rules.link_types import DEFAULT_LINK, link_types
from mintage.rules.violation import RuleViolation
from mintage.rules.web_links import (
    CONTEXT_HINT,
    LANGUAGE_HINT,
    LINK_CONTEXT,
    MEDIA_TYPE_HINT,
    MEDIA_TYPE_NAME,
    URI_CHARACTERS_MAX,
    URI_HINT,
    URL_CHARACTERS_MAX,
    URL_HINT,
    check_https_url,
    check_language_tag,
    check_link_context,
    check_location_uri,
    check_media_type,
)


def _checked(check: Callable[[str], None]) -> AfterValidator:
    """A validator that refuses what `check` of the rules refuses, in its words."""

    def validate(value: str) -> str:
        try:
            check(value)
        except RuleViolation as violation:
            raise PydanticCustomError("rule", "{fault}", {"fault": violation.problem}) from None
        return value

    return AfterValidator(validate)


def _link_type(value: str) -> str:
    if value == DEFAULT_LINK:
        raise PydanticCustomError("link_type", "is what _is_default says, and no type to give")
    if value not in link_types():
        raise PydanticCustomError("link_type", "is no link type of the GS1 Web Vocabulary")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("printable", "has a character that cannot be printed")
    return value


LinkType = Annotated[
    str,
    StringConstraints(max_length=64),
    AfterValidator(_link_type),
    stated(pattern=r"^gs1:[A-Za-z]+$"),
    Field(description="a link type of the GS1 Web Vocabulary such as gs1:pip"),
]
Href = Annotated[
    str,
    StringConstraints(max_length=URL_CHARACTERS_MAX),
    _checked(check_https_url),
    stated(format="uri", pattern=r"^https://"),
    Field(description=URL_HINT),
]
Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$"),
    Field(description="text of 1 to 200 characters without control characters"),
]
Hreflang = Annotated[
    str,
    StringConstraints(max_length=35),
    _checked(check_language_tag),
    stated(pattern=r"^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*$"),
    Field(description=LANGUAGE_HINT),
]
MediaType = Annotated[
    str,
    StringConstraints(max_length=255),
    _checked(check_media_type),
    stated(pattern=rf"^{MEDIA_TYPE_NAME}/{MEDIA_TYPE_NAME}$"),
    Field(description=MEDIA_TYPE_HINT),
]
LinkContext = Annotated[
    str,
    StringConstraints(max_length=64),
    _checked(check_link_context),
    stated(pattern=rf"^{LINK_CONTEXT}$"),
    Field(description=CONTEXT_HINT),
]
LocationUri = Annotated[
    str,
    StringConstraints(max_length=URI_CHARACTERS_MAX),
    _checked(check_location_uri),
    stated(format="uri", pattern=r"^(https?://|[Uu][Rr][Nn]:)"),
    Field(description=URI_HINT),
]
ProductLinkId = Annotated[Uuid, Field(description="the UUID of a product link")]
ApiKeyId = Annotated[Uuid, Field(description="the UUID of an API key")]
UserId = Annotated[Uuid, Field(description="the UUID of a member's account")]
Subject = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    AfterValidator(_printable),
    Field(description="the sub of a user of the foreign issuer, 1 to 255 printable characters"),
]


# Products


class ListProducts(BrandArguments):
    commercial_status: lifecycle.CommercialStatus | None = Field(
        default=None, description="DRAFT, ACTIVE or DISCONTINUED"
    )
    mint_readiness_status: lifecycle.MintReadinessStatus | None = Field(
        default=None, description="NOT_READY or READY"
    )
    limit: Limit = 20
    cursor: Cursor | None = None


class GetProduct(BrandArguments):
    product_id: ProductId


class ListProductIdentifiers(BrandArguments):
    product_id: ProductId


class SetProductLink(BrandArguments):
    product_id: ProductId
    link_type: LinkType
    href: Href
    title: Title
    hreflang: Hreflang | None = None
    media_type: MediaType | None = None
    context: LinkContext | None = None
    is_default: bool = Field(default=False, description="true or false")
    link_id: ProductLinkId | None = None


class ListProductLinks(BrandArguments):
    product_id: ProductId
    limit: Limit = 20
    cursor: Cursor | None = None


class RemoveProductLink(BrandArguments):
    link_id: ProductLinkId


class ListProductBatches(BrandArguments):
    product_id: ProductId | None = None
    status: lifecycle.ProductBatchStatus | None = Field(
        default=None, description="DRAFT, READY or CLOSED"
    )
    limit: Limit = 20
    cursor: Cursor | None = None


# Members, hosts


class ListBrandMembers(BrandArguments):
    limit: Limit = 20
    cursor: Cursor | None = None


class SetBrandMember(BrandArguments):
    email: Email
    role: Literal["owner", "admin", "editor", "viewer"] = Field(
        description="owner, admin, editor or viewer"
    )
    subject: Subject | None = None


class RemoveBrandMember(BrandArguments):
    user_id: UserId


class ListBrandHosts(BrandArguments):
    limit: Limit = 20
    cursor: Cursor | None = None


# API keys


class CreateApiKey(BrandArguments):
    name: Name
    scopes: Annotated[
        list[roles.Scope],
        Field(min_length=1, max_length=len(roles.SCOPES)),
        AfterValidator(distinct),
        stated(uniqueItems=True),
    ] = Field(description="a list of one or more different ones of " + ", ".join(roles.SCOPES))
    expires_at: Moment | None = Field(
        default=None, description="a time in the future such as 2030-01-31T12:00:00Z"
    )


class ListApiKeys(BrandArguments):
    limit: Limit = 20
    cursor: Cursor | None = None


class RotateApiKey(BrandArguments):
    api_key_id: ApiKeyId


class RevokeApiKey(BrandArguments):
    api_key_id: ApiKeyId
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = Field(
        default=None, description="text of 1 to 500 characters"
    )


# Settings of the brand


class GetBrandSettings(BrandArguments):
    pass


Threshold = Annotated[
    int,
    Field(ge=1, le=THRESHOLD_MAX, description=f"an integer from 1 to {THRESHOLD_MAX}"),
]
_NOT_NULL_THRESHOLD: Final = Field(
    default=None, description=f"an integer from 1 to {THRESHOLD_MAX}"
)


class CloneThresholdsPatch(Patch):
    """The thresholds given are changed, the others stay."""

    scans_a_day_review: Annotated[Threshold | None, NotNull] = _NOT_NULL_THRESHOLD
    scans_a_day_elevated: Annotated[Threshold | None, NotNull] = _NOT_NULL_THRESHOLD
    scans_a_day_high: Annotated[Threshold | None, NotNull] = _NOT_NULL_THRESHOLD
    countries_a_day_review: Annotated[Threshold | None, NotNull] = _NOT_NULL_THRESHOLD
    countries_a_day_elevated: Annotated[Threshold | None, NotNull] = _NOT_NULL_THRESHOLD
    countries_a_day_high: Annotated[Threshold | None, NotNull] = _NOT_NULL_THRESHOLD
    travel_minutes_review: Annotated[Threshold | None, NotNull] = _NOT_NULL_THRESHOLD
    travel_minutes_elevated: Annotated[Threshold | None, NotNull] = _NOT_NULL_THRESHOLD
    travel_minutes_high: Annotated[Threshold | None, NotNull] = _NOT_NULL_THRESHOLD


class BrandSettingsPatch(Patch):
    """Only the keys given are changed; null unsets a number, a profile, a location, all thresholds."""

    name: Annotated[Name | None, NotNull] = Field(
        default=None, description="text of 1 to 200 characters"
    )
    default_identity_mode: Annotated[IdentityMode | None, NotNull] = Field(
        default=None, description='"batch" or "serial"'
    )
    default_activation_mode: Annotated[ActivationMode | None, NotNull] = Field(
        default=None, description='"active_at_mint" or "first_scan"'
    )
    strata: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="an integer from 1 to 1,000,000, or null"
    )
    gcp_length: Annotated[int, Field(ge=6, le=12)] | None = Field(
        default=None, description="an integer from 6 to 12, or null"
    )
    print_profile: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="the name of a print profile, or null"
    )
    biz_location: LocationUri | None = None
    read_point: LocationUri | None = None
    clone_thresholds: CloneThresholdsPatch | None = Field(
        default=None, description="an object of one or more thresholds, or null for all defaults"
    )
    redirect_signed_urls: Annotated[bool | None, NotNull] = Field(
        default=None, description="true or false"
    )


class UpdateBrandSettings(BrandArguments):
    patch: BrandSettingsPatch = Field(
        description="an object of one or more of " + ", ".join(BrandSettingsPatch.model_fields)
    )
