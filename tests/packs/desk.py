"""The desk of a test that exports: asks for packs, runs the worker's operation, looks at what it left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from mintage.operations.call import SYSTEM, Transactions
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.pack_files import PackOutcome
from mintage.storage import PackStore
from tests.support.keys import manifest_key
from tests.support.world import GTIN_TABLE, World


@dataclass(frozen=True)
class Desk:
    """`folder` is where the store keeps its files."""

    world: World
    store: PackStore
    folder: Path

    @property
    def transactions(self) -> Transactions:
        return self.world.platform.transactions(SYSTEM, "test")

    def with_limits(self, **changes: object) -> Desk:
        """The same desk under other limits."""
        platform = self.world.platform
        limits = replace(platform.limits, **changes)  # type: ignore[arg-type]
        world = self.world.with_platform(replace(platform, limits=limits))
        return replace(self, world=world)

    async def request(self, batch_id: object, **changes: object) -> dict[str, Any]:
        return await self.world.rpc("request_payload_packs", mint_batch_id=batch_id, **changes)

    async def packs(self, **filters: object) -> list[dict[str, Any]]:
        """All packs (200 at most) but for manifests, in the order of their index."""
        answer = await self.world.rpc("list_payload_packs", limit=200, **filters)
        packs = [pack for pack in answer["packs"] if pack["format"] != "group_manifest"]
        return sorted(packs, key=lambda pack: pack["pack_index"])

    async def manifest(self, **filters: object) -> dict[str, Any]:
        """The only manifest that there is."""
        answer = await self.world.rpc("list_payload_packs", limit=200, **filters)
        (pack,) = [pack for pack in answer["packs"] if pack["format"] == "group_manifest"]
        return dict(pack)

    async def process(self, pack_id: UUID | None = None) -> PackOutcome:
        return await process_payload_pack(
            self.transactions, self.store, pack_id, manifest_key=manifest_key()
        )

    async def process_all(self) -> list[PackOutcome]:
        """Run until there is nothing to do; the outcomes, but for manifests'."""
        outcomes = []
        while (outcome := await self.process()).result != "idle":
            if not await self._is_manifest(outcome):
                outcomes.append(outcome)
        return outcomes

    async def _is_manifest(self, outcome: PackOutcome) -> bool:
        statement = "select 1 from payload_pack where id = $1 and format = 'group_manifest'"
        async with self.world.platform.database.transaction(
            SYSTEM.identity(outcome.brand_id)
        ) as connection:
            return await connection.fetchval(statement, outcome.pack_id) is not None

    async def exported(
        self, quantity: int = 5, *, gtin: str | None = GTIN_TABLE, **changes: object
    ) -> list[dict[str, Any]]:
        """The completed packs of a newly minted batch."""
        minted = await self.world.minted(quantity, gtin=gtin, **changes)
        requested = await self.request(minted["mint_batch_id"])
        await self.process_all()
        return await self.packs(export_group_id=requested["export_group_id"])

    async def batch(self, batch_id: object) -> dict[str, Any]:
        answer = await self.world.rpc("get_mint_batch_by_id", mint_batch_id=batch_id)
        batch: dict[str, Any] = answer["batch"]
        return batch

    async def events(self, batch_id: object, event_type: str) -> list[dict[str, Any]]:
        answer = await self.world.rpc(
            "list_mint_events", mint_batch_id=batch_id, event_type=event_type, limit=200
        )
        events: list[dict[str, Any]] = answer["events"]
        return events

    async def execute(self, statement: str, *arguments: object) -> str:
        """A statement as the service, in the brand under test: what no RPC does (yet)."""
        identity = SYSTEM.identity(self.world.brand_id)
        async with self.world.platform.database.transaction(identity) as connection:
            return await connection.execute(statement, *arguments)

    async def row(self, statement: str, *arguments: object) -> Mapping[str, Any]:
        identity = SYSTEM.identity(self.world.brand_id)
        async with self.world.platform.database.transaction(identity) as connection:
            found = await connection.fetchrow(statement, *arguments)
        assert found is not None
        return dict(found)

    async def void(self, batch_id: object) -> None:
        await self.execute(
            "update mint_batch set status = 'voided', voided_at = clock_timestamp() where id = $1",
            batch_id,
        )

    async def let_leases_lapse(self) -> None:
        await self.execute(
            "update work_item set lease_until = clock_timestamp() where lease_until is not null"
        )

    def files(self) -> set[str]:
        """The paths of all files in the store but for manifests."""
        return {
            str(file.relative_to(self.folder))
            for file in self.folder.rglob("*")
            if file.is_file() and file.suffix != ".json"
        }
