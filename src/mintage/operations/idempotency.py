"""One idempotency key is one request, for ever (SPEC §3): the key space is (brand, operation, key).

A request is compared by the SHA-256 of its normalised arguments. Not here: storing it, which is part of
the job that it makes (`mint_creation`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import asyncpg

from mintage.db.queries import query
from mintage.errors import IDEMPOTENCY_CONFLICT, MintageError
from mintage.operations.call import Call

Operation = Literal["submit_mint_request", "preflight_mint_batch"]
_FIND: Final = query("mint_job", "find_by_idempotency_key")


@dataclass(frozen=True)
class KeyedRequest:
    """What a caller asks for: `arguments` are normalised, by wire name, as JSON values."""

    operation: Operation
    key: str | None
    arguments: Mapping[str, object]

    @cached_property
    def sha256(self) -> bytes:
        """The digest of the arguments."""
        return hashlib.sha256(json.dumps(self.arguments, sort_keys=True).encode()).digest()


async def find_earlier(call: Call, request: KeyedRequest) -> asyncpg.Record | None:
    """The job that an earlier call with this key made; None without one.

    Raises 409, naming the arguments that differ, if that call asked for something else.
    """
    if request.key is None:
        return None
    row = await call.connection.fetchrow(_FIND, call.brand_id, request.operation, request.key)
    if row is None or row["arguments_sha256"] == request.sha256:
        return row
    fields = ", ".join(
        name for name, value in request.arguments.items() if row["arguments"].get(name) != value
    )
    raise MintageError(
        IDEMPOTENCY_CONFLICT,
        message=IDEMPOTENCY_CONFLICT.sentence.format(fields=fields),
        hint="use a new idempotency key for another request",
    )
