"""A leased pack, and the writing of its file (SPEC §7): from the slice's units to bytes in the store.

Not here: leases and closing (`pack_execution`), what a manifest says (`group_manifest`), and the bytes of
a format (`packs`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal
from uuid import UUID

from mintage.operations import steps
from mintage.operations.call import Transactions
from mintage.operations.exports import KIND
from mintage.operations.group_manifest import read_manifest
from mintage.operations.leases import Lease, renew
from mintage.operations.pack_choice import read_options
from mintage.operations.unit_rows import BatchFacts, read_unit_columns
from mintage.packs import signed_manifest
from mintage.packs.columns import UnitColumns
from mintage.packs.context import PackContext, PackOptions
from mintage.packs.formats import FORMATS, file_extension_of
from mintage.packs.making import make_file, pack_chunks
from mintage.packs.print_profiles import PROFILES, PackPlace
from mintage.packs.tables import PLAIN
from mintage.packs.workshop import Workshop
from mintage.secrets import ManifestKey
from mintage.storage import PackStore, StoredFile
from mintage.tracing import Origin

PackResult = Literal["idle", "completed", "retried", "postponed", "failed", "lost"]
PackError = Literal[
    "BATCH_VOIDED",
    "LEASE_LOST",
    "INTEGRITY_CHECK_FAILED",
    "STORAGE_FAILED",
    "STORAGE_AWAY",
    "INTERNAL",
]
DRAFTS_PREFIX: Final = "mintage-pack-"


@dataclass(frozen=True, slots=True)
class PackOutcome:
    """What became of one call.

    `idle`: nothing to do; `lost`: another worker has the pack now; `postponed`: the store is away, which is
    no attempt.
    """

    result: PackResult
    brand_id: UUID | None = None
    pack_id: UUID | None = None
    error: PackError | None = None


@dataclass(frozen=True, slots=True)
class PackFacts:
    """What a format is told of the pack beside its place in the group (`PackContext`)."""

    brand_name: str
    gcp_length: int | None
    biz_location: str | None
    read_point: str | None
    product_id: UUID
    product_sku: str
    product_name: str
    product_batch_number: str | None
    pack_count: int
    created_at: datetime
    profile: str | None
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PackClaim:
    """A leased pack. `epoch` is the token that every later statement compares."""

    brand_id: UUID
    pack_id: UUID
    export_group_id: UUID
    epoch: int
    format_name: str
    pack_index: int
    first_unit_no: int
    unit_count: int
    batch: BatchFacts
    facts: PackFacts
    origin: Origin

    @property
    def lease(self) -> Lease:
        return Lease(KIND, self.brand_id, self.pack_id, self.epoch)

    def outcome(self, result: PackResult, error: PackError | None = None) -> PackOutcome:
        return PackOutcome(result, self.brand_id, self.pack_id, error)


@dataclass(frozen=True, slots=True)
class PackTools:
    """What packs are written with: where to, in which processes, and what signs manifests.

    Without a workshop what computes for long is made in a thread; without a key a manifest's signature is
    null.
    """

    store: PackStore
    workshop: Workshop | None = None
    manifest_key: ManifestKey | None = None


def file_path(claim: PackClaim) -> str:
    """Where the file of this lease goes: `{brand}/{group}/{pack_index:04}-{epoch}.{extension}`."""
    name = f"{claim.pack_index:04}-{claim.epoch}.{file_extension_of(claim.format_name)}"
    return f"{claim.brand_id}/{claim.export_group_id}/{name}"


def file_name(claim: PackClaim) -> str:
    """What the file is called where it is downloaded, and in the group's manifest."""
    profile = PROFILES[claim.facts.profile] if claim.facts.profile is not None else PLAIN
    place = PackPlace(
        export_group_id=claim.export_group_id,
        mint_batch_id=claim.batch.mint_batch_id,
        product_sku=claim.facts.product_sku,
        pack_index=claim.pack_index,
        pack_count=claim.facts.pack_count,
        extension=file_extension_of(claim.format_name),
    )
    return profile.file_name_of(place)


async def write_file(transactions: Transactions, claim: PackClaim, tools: PackTools) -> StoredFile:
    """Write the pack to `file_path`. Raises `SliceIncomplete`, `PackUnreadable`, `StorageFailure`,
    `LeaseLost`, and what a format or the driver raises."""
    if claim.format_name == signed_manifest.FORMAT:
        return await _write_manifest(transactions, claim, tools)
    columns = await _read_columns(transactions, claim)
    return await _write(transactions, claim, columns, tools)


async def _read_columns(transactions: Transactions, claim: PackClaim) -> list[UnitColumns]:
    identity = transactions.caller.identity(claim.brand_id)
    async with transactions.database.transaction(identity, read_only=True) as connection:
        call = await transactions.call_on(connection, claim.brand_id, claim.facts.created_at)
        return await read_unit_columns(call, claim.batch, claim.first_unit_no, claim.unit_count)


async def _write(
    transactions: Transactions, claim: PackClaim, columns: list[UnitColumns], tools: PackTools
) -> StoredFile:
    """Write the file to its path in the store; what computes for long is made elsewhere first."""
    name, context, path = claim.format_name, _context(claim), file_path(claim)
    pack_format, store, workshop = FORMATS[name], tools.store, tools.workshop

    async def begin() -> None:
        # It may have waited for as long as others take: its time begins now.
        await renew(transactions, claim.lease, transactions.limits.pack_lease_s)

    if not pack_format.is_heavy and pack_format.verify is None:
        chunks = _told(pack_chunks(name, context, columns))
        return await store.put(path, chunks, name=file_name(claim))
    with TemporaryDirectory(prefix=DRAFTS_PREFIX) as folder:
        draft = Path(folder, "pack")
        if workshop is None:
            await asyncio.to_thread(make_file, name, context, columns, draft)
        else:
            await workshop.make(name, context, columns, draft, beginning=begin)
        return await store.put_file(path, draft, name=file_name(claim))


async def _write_manifest(
    transactions: Transactions, claim: PackClaim, tools: PackTools
) -> StoredFile:
    identity = transactions.caller.identity(claim.brand_id)
    async with transactions.database.transaction(identity, read_only=True) as connection:
        call = await transactions.call_on(connection, claim.brand_id, claim.facts.created_at)
        batch = claim.batch
        content = await read_manifest(
            call, _context(claim), batch.unit_id_low, batch.requested_quantity
        )
    chunks = iter([signed_manifest.signed_manifest(content, tools.manifest_key)])
    return await tools.store.put(file_path(claim), _told(chunks), name=file_name(claim))


def _told(chunks: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    steps.reached("pack_rows_read")
    for chunk in chunks:
        yield chunk
        steps.reached("pack_file_under_way")


def _context(claim: PackClaim) -> PackContext:
    facts = claim.facts
    return PackContext(
        brand_id=claim.brand_id,
        brand_name=facts.brand_name,
        gcp_length=facts.gcp_length,
        biz_location=facts.biz_location,
        read_point=facts.read_point,
        product_id=facts.product_id,
        product_sku=facts.product_sku,
        product_name=facts.product_name,
        gtin=claim.batch.gtin14,
        mint_batch_id=claim.batch.mint_batch_id,
        product_batch_number=facts.product_batch_number,
        identity_mode=claim.batch.identity_mode,
        activation_mode=claim.batch.activation_mode,
        export_group_id=claim.export_group_id,
        pack_index=claim.pack_index,
        pack_count=facts.pack_count,
        first_unit_no=claim.first_unit_no,
        unit_count=claim.unit_count,
        generated_at=facts.created_at,
        profile=PROFILES[facts.profile] if facts.profile is not None else None,
        options=PackOptions()
        if claim.format_name == signed_manifest.FORMAT
        else read_options(FORMATS[claim.format_name], facts.options),
    )
