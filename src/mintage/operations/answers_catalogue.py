"""What the RPCs of the catalogue and of administration answer (CATALOGUE). The base: `answer_models`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mintage.operations.answer_models import Count, Day, Id, Moment, Page, Success, Wire
from mintage.rules.lifecycle import (
    ActivationMode,
    CommercialStatus,
    IdentifierStatus,
    IdentityMode,
    MintReadinessStatus,
    ProductBatchStatus,
)
from mintage.rules.roles import BrandRole, Role, Scope

IdentifierType = Literal["sku", "gtin", "ean", "upc"]
Threshold = Annotated[int, Field(ge=1)]


class Identifier(Wire):
    identifier_type: IdentifierType
    identifier_value: str
    identifier_value_normalized: str
    status: IdentifierStatus
    created_at: Moment
    created_by: Id | None
    deactivated_at: Moment | None
    deactivated_by: Id | None


class Link(Wire):
    id: Id
    product_id: Id
    link_type: str
    href: str
    title: str
    hreflang: str | None
    media_type: str | None
    context: str | None
    is_default: bool
    created_at: Moment
    updated_at: Moment


class Product(Wire):
    id: Id
    sku: str
    name: str
    gtin: str | None
    commercial_status: CommercialStatus
    mint_readiness_status: MintReadinessStatus
    description: str | None
    image_url: str | None
    created_at: Moment
    updated_at: Moment
    identifiers: list[Identifier]
    links: list[Link]


class ProductAnswer(Success):
    product: Product


class ProductPage(Page):
    products: list[Product]


class IdentifierSet(Success):
    product_id: Id
    identifier_type: IdentifierType
    identifier_value: str
    status: Literal["active"]


class Identifiers(Success):
    product_id: Id
    identifiers: Annotated[list[Identifier], Field(max_length=200)]


class LinkAnswer(Success):
    link: Link


class LinkPage(Page):
    links: list[Link]


class Removed(Success):
    removed: Literal[True]


class ProductBatch(Wire):
    id: Id
    product_id: Id
    batch_number: str
    status: ProductBatchStatus
    production_date: Day | None
    quantity: Annotated[int, Field(ge=1)] | None
    allocated_quantity: Count
    is_cumulative: bool
    facility_ref: str | None
    attributes: dict[str, object]
    created_at: Moment
    updated_at: Moment


class ProductBatchAnswer(Success):
    product_batch: ProductBatch


class ProductBatchPage(Page):
    product_batches: list[ProductBatch]


class BrandOfCaller(Wire):
    """`role` is null for an API key, which has scopes instead."""

    id: Id
    slug: str
    name: str
    role: Role | None


class BrandPage(Page):
    brands: list[BrandOfCaller]


class BrandCreated(Success):
    """`password` is shown this once, where the owner's account is new."""

    brand_id: Id
    base_url: str
    owner_user_id: Id
    password: str | None


class Member(Wire):
    user_id: Id
    email: str
    role: BrandRole
    created_at: Moment


class MemberPage(Page):
    members: list[Member]


class MemberSet(Success):
    """`password` is shown this once, where the account is new."""

    user_id: Id
    role: BrandRole
    password: str | None


class ApiKey(Wire):
    id: Id
    client_id: str
    name: str
    scopes: list[Scope]
    created_by: Id | None
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    last_used_at: Moment | None


class ApiKeyPage(Page):
    api_keys: list[ApiKey]


class ApiKeySecret(Success):
    """`client_secret` is shown this once; only a hash of it is kept."""

    id: Id
    client_id: str
    client_secret: str


class ApiKeyRevoked(Success):
    revoked: Literal[True]


class Host(Wire):
    host: str
    base_url: str
    is_primary: bool
    verified_at: Moment | None


class HostPage(Page):
    hosts: list[Host]


class HostAnswer(Success):
    host: Host


class CloneThresholds(Wire):
    scans_a_day_review: Threshold
    scans_a_day_elevated: Threshold
    scans_a_day_high: Threshold
    countries_a_day_review: Threshold
    countries_a_day_elevated: Threshold
    countries_a_day_high: Threshold
    travel_minutes_review: Threshold
    travel_minutes_elevated: Threshold
    travel_minutes_high: Threshold


class BrandSettings(Wire):
    name: str
    default_identity_mode: IdentityMode
    default_activation_mode: ActivationMode
    strata: Threshold | None
    gcp_length: Annotated[int, Field(ge=6, le=12)] | None
    print_profile: str | None
    biz_location: str | None
    read_point: str | None
    clone_thresholds: CloneThresholds
    redirect_signed_urls: bool


class BrandSettingsAnswer(Success):
    settings: BrandSettings
