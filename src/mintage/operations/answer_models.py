"""What answers are made of on the wire: the models' base, common types, refusals.

These models are the contract and nothing else: OpenAPI is generated from them and tests hold real
answers against them. Operations build plain dicts and do not use them. Which RPC answers what:
`answers`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Wire(BaseModel):
    """An object of JSON as it is sent: every key known, no value converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Success(Wire):
    """`ok` comes first, then what the RPC answers."""

    ok: Literal[True]


class Page(Success):
    """One page of a list; the rows are in a key of the RPC's own."""

    has_more: bool
    next_cursor: str | None


Id = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
    Field(json_schema_extra={"format": "uuid"}),
]
Moment = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"
    ),
    Field(json_schema_extra={"format": "date-time"}),
]
Day = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    Field(json_schema_extra={"format": "date"}),
]
Count = Annotated[int, Field(ge=0)]
Gtin14 = Annotated[str, StringConstraints(pattern=r"^[0-9]{14}$")]
ActorType = Literal["user", "api_key", "service", "system"]
ReasonCode = Literal[
    "PRODUCT_NOT_FOUND",
    "COMMERCIAL_STATUS_NOT_ACTIVE",
    "MINT_READINESS_NOT_READY",
    "PRODUCT_BATCH_NOT_FOUND",
    "PRODUCT_BATCH_MISMATCH",
    "PRODUCT_BATCH_NOT_READY",
    "QUANTITY_EXCEEDS_BATCH",
    "BATCH_QUANTITY_EXHAUSTED",
    "BATCH_NUMBER_NOT_ENCODABLE",
    "SERIALS_NOT_UNIQUE",
    "BATCH_NOT_MINTED",
    "BATCH_VOIDED",
    "FORMAT_NOT_APPLICABLE",
    "GCP_LENGTH_MISSING",
    "SERIAL_NOT_NUMERIC",
    "PRINT_PROFILE_UNKNOWN",
    "EXPORT_OPTIONS_DIFFER",
    "QUANTITY_BELOW_ALLOCATED",
    "ILLEGAL_STATUS_TRANSITION",
    "JOB_STATUS_NOT_ELIGIBLE",
    "LAST_OWNER",
    "TOO_MANY_LINKS",
    "API_KEY_NOT_ACTIVE",
    "TOO_MANY_WEBHOOKS",
    "WEBHOOK_NOT_ACTIVE",
]
"""Every reason that refuses; docs/errors.md says when."""


class Reason(Wire):
    """Why the rules of the domain refuse; `details` where there is more to tell."""

    code: ReasonCode
    message: Annotated[str, StringConstraints(min_length=1)]
    details: dict[str, object] = Field(default_factory=dict)


Reasons = Annotated[list[Reason], Field(min_length=1)]


class Refusal(Wire):
    """The rules of the domain refuse: HTTP 200, all reasons at once, nothing changed."""

    ok: Literal[False]
    blocking_reasons: Reasons
