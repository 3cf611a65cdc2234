"""The arguments of every RPC as typed models, and how raw JSON becomes one of them (SPEC §2).

Every bad argument is named at once, with what would be right: each field's description completes the
sentence "must be …". Not here: reading the body (`api.json_body`) and rules of the domain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from mintage.errors import ArgumentProblem, invalid_input
from mintage.operations.argument_checks import (
    CODE_FORM,
    GTIN_FORM,
    UUID_FORM,
    gtin,
    not_null,
    read_date,
    read_moment,
    read_uuid,
    require_gtin,
    small_object,
    stated,
)
from mintage.operations.argument_faults import by_wire_name, problems_of
from mintage.operations.mint_request_faults import lot_faults, serial_faults
from mintage.rules import lifecycle

_DIGITS: Final = re.compile(r"-?[0-9]{1,18}")
_ABSENT: Final = frozenset({"null", ""})

Uuid = Annotated[
    UUID,
    BeforeValidator(read_uuid, json_schema_input_type=str),
    stated(format="uuid", pattern=UUID_FORM),
]
Moment = Annotated[
    datetime, BeforeValidator(read_moment, json_schema_input_type=str), stated(format="date-time")
]
Day = Annotated[date, BeforeValidator(read_date, json_schema_input_type=str), stated(format="date")]
Limit = Annotated[int, Field(ge=1, le=200, description="an integer from 1 to 200")]
Cursor = Annotated[str, Field(max_length=512, description="the next_cursor of the page before")]
From = Annotated[Moment, Field(description="a time such as 2026-01-31T12:00:00Z (inclusive)")]
To = Annotated[Moment, Field(description="a time such as 2026-01-31T12:00:00Z (exclusive)")]
ProductId = Annotated[Uuid, Field(description="the UUID of a product")]
ProductBatchId = Annotated[Uuid, Field(description="the UUID of a production batch")]
MintBatchId = Annotated[Uuid, Field(description="the UUID of a mint batch")]
MintJobId = Annotated[Uuid, Field(description="the UUID of a mint job")]
MintLotId = Annotated[Uuid, Field(description="the UUID of a mint lot")]
IdempotencyKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    Field(description="text of 1 to 255 characters"),
]
IdentityMode = Annotated[Literal["batch", "serial"], Field(description='"batch" or "serial"')]
ActivationMode = Annotated[
    Literal["active_at_mint", "first_scan"], Field(description='"active_at_mint" or "first_scan"')
]
BatchStatus = Literal[
    "draft", "queued", "processing", "failed", "minted", "exported", "printed", "applied", "voided"
]
Quantity = Annotated[int, Field(ge=1, le=1_000_000, description="an integer from 1 to 1,000,000")]
ProductBatchQuantity = Annotated[
    int, Field(ge=1, le=2_000_000_000, description="an integer from 1 to 2,000,000,000")
]
Sku = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    Field(description="text of 1 to 64 characters"),
]
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    Field(description="text of 1 to 200 characters"),
]
Description = Annotated[str, Field(max_length=5000, description="text of at most 5,000 characters")]
Gtin = Annotated[
    str,
    AfterValidator(gtin),
    stated(pattern=GTIN_FORM, format="gtin"),
    Field(description="8, 12, 13 or 14 digits with a right check digit"),
]
Attributes = Annotated[
    dict[str, object],
    AfterValidator(small_object),
    Field(description="an object of at most 16 KiB"),
]
NotNull: Final = BeforeValidator(not_null)
"""For a key of a patch that is left out or has a value: null is 400."""
HttpsUrl = Annotated[
    str,
    StringConstraints(
        min_length=9,
        max_length=2000,
        pattern=r"^https://[^\s/@\x00-\x1f\x7f-\x9f]+(/[^\s\x00-\x1f\x7f-\x9f]*)?$",
    ),
    Field(description="an https:// URL of at most 2,000 characters"),
]
Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$"),
    Field(description="an e-mail address of at most 254 characters"),
]


class Arguments(BaseModel):
    """Strict: no coercion, no unknown key. Field names on the wire have a leading `_`."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: f"_{name}",
        validate_by_name=False,
        validate_by_alias=True,
    )

    @classmethod
    def faults_beyond_types(cls, sound: Mapping[str, Any]) -> list[ArgumentProblem]:
        """What is wrong between and inside the arguments whose types are right: `sound`, by wire name."""
        return []


class Nested(BaseModel):
    """An object inside an argument: keys as they are."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Patch(Nested):
    """An object of changes: at least one key, and only the keys given are changed."""

    @model_validator(mode="before")
    @classmethod
    def _require_a_change(cls, value: object) -> object:
        if value == {}:
            raise PydanticCustomError("empty", "is empty")
        return value


class BrandArguments(Arguments):
    """Arguments of an RPC that works in one brand."""

    brand_id: Uuid = Field(description="the UUID of a brand")


# Minting


class LotArgument(Nested):
    """One lot of a batch-mode request."""

    lot_code: Annotated[str, stated(pattern=CODE_FORM)] = Field(
        description="text of 1 to 20 characters of GS1 set 82 (AI 10)"
    )
    qty: Quantity


class SubmitMintRequest(BrandArguments):
    product_id: ProductId
    product_batch_id: ProductBatchId | None = None
    requested_quantity: Quantity
    identity_mode: IdentityMode
    activation_mode: ActivationMode
    lots: Annotated[list[LotArgument], Field(max_length=100), stated(minItems=1)] | None = Field(
        default=None, description="a list of 1 to 100 lots {lot_code, qty} (batch mode only)"
    )
    serials: (
        Annotated[
            list[Annotated[str, stated(pattern=CODE_FORM)]],
            Field(fail_fast=True),
            stated(minItems=1, maxItems=1_000_000, uniqueItems=True),
        ]
        | None
    ) = Field(
        default=None, description="a list of as many serials as the quantity (serial mode only)"
    )
    idempotency_key: IdempotencyKey | None = None

    @classmethod
    def faults_beyond_types(cls, sound: Mapping[str, Any]) -> list[ArgumentProblem]:
        mode, quantity = sound.get("_identity_mode"), sound.get("_requested_quantity")
        problems = []
        if "_lots" in sound:
            lots = [(lot["lot_code"], lot["qty"]) for lot in sound["_lots"]]
            problems += lot_faults(lots, mode, quantity)
        if "_serials" in sound:
            problems += serial_faults(sound["_serials"], mode, quantity)
        return problems


class ProcessMintJobBatch(Arguments):
    mint_job_id: MintJobId | None = None
    batch_size: Annotated[
        int, Field(ge=1, le=20_000, description="an integer from 1 to 20,000")
    ] = 20_000


class ListMintBatches(BrandArguments):
    limit: Limit = 20
    cursor: Cursor | None = None
    status: BatchStatus | None = Field(
        default=None, description="one of " + ", ".join(lifecycle.BATCH_STATUSES)
    )
    product_id: ProductId | None = None
    from_: From | None = Field(default=None, alias="_from")
    to: To | None = None


class GetMintBatchById(BrandArguments):
    mint_batch_id: MintBatchId


class ListMintUnits(BrandArguments):
    mint_batch_id: MintBatchId | None = None
    mint_lot_id: MintLotId | None = None
    status: Literal["minted", "active", "revoked"] | None = Field(
        default=None, description='"minted", "active" or "revoked", together with a batch or lot'
    )
    limit: Limit = 50
    cursor: Cursor | None = None


class ListMintEvents(BrandArguments):
    mint_batch_id: MintBatchId | None = None
    mint_job_id: MintJobId | None = None
    event_type: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="an event type such as mint_requested"
    )
    from_: From | None = Field(default=None, alias="_from")
    to: To | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


# Catalogue and members


class CreateBrand(Arguments):
    slug: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = (
        Field(description="1 to 63 characters a-z, 0-9 and inner hyphens")
    )
    name: Name
    owner_email: Email


class SetBrandHost(BrandArguments):
    base_url: Annotated[
        str,
        StringConstraints(min_length=8, max_length=300),
        stated(format="uri", pattern=r"^https?://[^/?#@\s]+$"),
    ] = Field(description="a base URL such as https://id.example.com")
    is_primary: bool = Field(default=False, description="true or false")


class CreateProduct(BrandArguments):
    sku: Sku
    name: Name
    gtin: Gtin | None = None
    description: Description | None = None
    image_url: HttpsUrl | None = None


class ProductPatch(Patch):
    """Only the keys given are changed; `description` and `image_url` may be set to null."""

    name: Annotated[Name | None, NotNull] = Field(
        default=None, description="text of 1 to 200 characters"
    )
    description: Description | None = None
    image_url: HttpsUrl | None = None
    sku: Annotated[Sku | None, NotNull] = Field(
        default=None, description="text of 1 to 64 characters"
    )
    commercial_status: Annotated[Literal["DRAFT", "ACTIVE", "DISCONTINUED"] | None, NotNull] = (
        Field(default=None, description="DRAFT, ACTIVE or DISCONTINUED")
    )
    mint_readiness_status: Annotated[Literal["NOT_READY", "READY"] | None, NotNull] = Field(
        default=None, description="NOT_READY or READY"
    )


class UpdateProduct(BrandArguments):
    product_id: ProductId
    patch: ProductPatch = Field(
        description="an object of one or more of name, description, image_url, sku, "
        "commercial_status and mint_readiness_status"
    )


class SetProductIdentifier(BrandArguments):
    product_id: ProductId
    identifier_type: Literal["sku", "gtin", "ean", "upc"] = Field(
        description="sku, gtin, ean or upc"
    )
    raw_value: Annotated[str, stated(minLength=1, maxLength=64)] = Field(
        description="a SKU of 1 to 64 characters; a GTIN of 8, 12, 13 or 14 digits; an EAN of 8 or "
        "13; a UPC of 12: digits with a right check digit"
    )

    @field_validator("raw_value")
    @classmethod
    def _require_value_of_type(cls, value: str, info: ValidationInfo) -> str:
        match info.data.get("identifier_type"):
            case "sku" if not 1 <= len(value) <= 64:
                raise PydanticCustomError("sku", "is no SKU of 1 to 64 characters")
            case "gtin" | "ean" | "upc" as gtin_type:
                require_gtin(value, gtin_type)
        return value


class CreateProductBatch(BrandArguments):
    product_id: ProductId
    batch_number: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="text of 1 to 64 characters"
    )
    production_date: Day | None = Field(default=None, description="a date such as 2026-01-31")
    quantity: ProductBatchQuantity | None = None
    facility_ref: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="text of 1 to 200 characters"
    )
    attributes: Attributes | None = None
    status: Literal["DRAFT", "READY", "CLOSED"] = Field(
        default="DRAFT", description="DRAFT, READY or CLOSED"
    )
    is_cumulative: bool = Field(default=True, description="true or false")


class ProductBatchPatch(Patch):
    """Only the keys given are changed; `quantity`, `production_date`, `facility_ref` may be null."""

    status: Annotated[Literal["DRAFT", "READY", "CLOSED"] | None, NotNull] = Field(
        default=None, description="DRAFT, READY or CLOSED"
    )
    quantity: ProductBatchQuantity | None = None
    is_cumulative: Annotated[bool | None, NotNull] = Field(
        default=None, description="true or false"
    )
    production_date: Day | None = Field(default=None, description="a date such as 2026-01-31")
    facility_ref: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="text of 1 to 200 characters"
    )
    attributes: Annotated[Attributes | None, NotNull] = Field(
        default=None, description="an object of at most 16 KiB"
    )


class UpdateProductBatch(BrandArguments):
    product_batch_id: ProductBatchId
    patch: ProductBatchPatch = Field(
        description="an object of one or more of status, quantity, is_cumulative, production_date, "
        "facility_ref and attributes"
    )


class ListMyBrands(Arguments):
    limit: Limit = 20
    cursor: Cursor | None = None


_Model = TypeVar("_Model", bound=Arguments)


def parse_arguments(model: type[_Model], raw: Mapping[str, object]) -> _Model:
    """`raw` (wire names) as `model`; 400 naming every bad argument. Null is absent where optional."""
    given = {
        name: value
        for name, value in raw.items()
        if value is not None or _is_required(model, name) or name not in by_wire_name(model)
    }
    problems: list[ArgumentProblem] = []
    parsed = None
    try:
        parsed = model.model_validate(given)
    except ValidationError as error:
        problems = problems_of(model, error)
    faulty = {re.split(r"[.\[]", problem.argument, maxsplit=1)[0] for problem in problems}
    sound = {name: value for name, value in given.items() if name not in faulty}
    problems += model.faults_beyond_types(sound)
    if parsed is None or problems:
        raise invalid_input(problems)
    return parsed


def parse_brand_id(raw: Mapping[str, object]) -> UUID:
    """`_brand_id` alone, which is checked before membership and before all other arguments."""
    try:
        return read_uuid(raw.get("_brand_id"))
    except PydanticCustomError:
        problem = "is missing" if raw.get("_brand_id") is None else "is no UUID"
        raise invalid_input(
            [ArgumentProblem("_brand_id", problem, "must be the UUID of a brand")]
        ) from None


def raw_from_query(model: type[Arguments], pairs: list[tuple[str, str]]) -> dict[str, object]:
    """The arguments of a GET or HEAD call: ASCII digits are read as integers where one is due.

    The text `null`, and no text at all, are absent, except for free text: so supabase-js and supabase-py
    send an argument that is null. A name twice is refused.
    """
    fields = by_wire_name(model)
    raw: dict[str, object] = {}
    for name, text in pairs:
        if name in raw:
            raise invalid_input([ArgumentProblem(name, "is there twice", "give it once")])
        field = fields.get(name)
        kind = _kind(name, field) if field is not None else "text"
        if text in _ABSENT and kind != "text":
            raw[name] = None
        elif kind == "integer" and _DIGITS.fullmatch(text):
            raw[name] = int(text)
        else:
            raw[name] = text
    return raw


def _kind(wire_name: str, field: FieldInfo) -> Literal["integer", "text", "other"]:
    if _holds(field.annotation, int):
        return "integer"
    # A cursor is text of ours, never "null"; enumerations hold values, not the type str.
    return "text" if _holds(field.annotation, str) and wire_name != "_cursor" else "other"


def _holds(annotation: object, kind: type) -> bool:
    """True if `kind` stands in the annotation itself, in an alternative of it or under Annotated."""
    return annotation is kind or any(
        _holds(part, kind) for part in getattr(annotation, "__args__", ())
    )


def _is_required(model: type[BaseModel], wire_name: str) -> bool:
    field = by_wire_name(model).get(wire_name)
    return field is not None and field.is_required()
