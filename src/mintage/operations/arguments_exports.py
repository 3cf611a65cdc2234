"""The arguments of the RPCs of exports. What they have in common with others is in `arguments`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mintage.operations.arguments import BrandArguments, Cursor, Limit, MintBatchId, Uuid
from mintage.rules import lifecycle


class RequestPayloadPacks(BrandArguments):
    mint_batch_id: MintBatchId
    format: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        default="csv", description="the name of a format, such as csv"
    )
    profile: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="the name of a print profile"
    )
    options: dict[str, object] | None = Field(
        default=None, description="an object of the format's options"
    )


class ListPayloadPacks(BrandArguments):
    mint_batch_id: MintBatchId | None = None
    export_group_id: Uuid | None = Field(default=None, description="the UUID of an export group")
    status: Literal["pending", "generating", "completed", "failed"] | None = Field(
        default=None, description="one of " + ", ".join(lifecycle.PACK_STATUSES)
    )
    limit: Limit = 20
    cursor: Cursor | None = None
