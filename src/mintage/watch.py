"""Waiting for queued work with a progress bar: what `mintage demo`, `mint` and `export` show.

Not here: doing the work (`worker`), and asking for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from mintage.operations.call import Caller
from mintage.perform import Platform, perform
from mintage.rpcs import RPCS

POLL_S: Final = 0.1
PAGE_ROWS: Final = 200
Result = TypeVar("Result")


class WorkFailed(RuntimeError):
    """The work that was waited for has failed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Api:
    """RPCs of one brand as one caller, for commands. Arguments without the leading underscore."""

    platform: Platform
    caller: Caller
    brand_id: UUID

    async def call(self, rpc_name: str, /, **arguments: Any) -> dict[str, Any]:
        raw: dict[str, object] = {"_brand_id": str(self.brand_id)}
        raw |= {f"_{name}": _wire(value) for name, value in arguments.items()}
        return dict(await perform(self.platform, self.caller, RPCS[rpc_name], raw, "command"))

    async def all_rows(self, rpc_name: str, key: str, /, **arguments: Any) -> list[dict[str, Any]]:
        """Every page of a list."""
        rows: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = await self.call(rpc_name, **arguments, limit=PAGE_ROWS, cursor=cursor)
            rows += page[key]
            cursor = page["next_cursor"]
            if cursor is None:
                return rows


def _wire(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value


async def watch_minting(api: Api, mint_batch_id: UUID, console: Console) -> dict[str, Any]:
    """Show a bar until the batch is minted; the batch. Raises `WorkFailed` when its job failed."""

    async def look() -> tuple[int, int, dict[str, Any] | None]:
        batch = (await api.call("get_mint_batch_by_id", mint_batch_id=mint_batch_id))["batch"]
        if batch["job"]["status"] == "FAILED":
            raise WorkFailed(
                f"the mint job failed ({batch['job']['last_error']}) at {batch['minted_quantity']} of "
                f"{batch['requested_quantity']} units; what is minted stays, retry_mint_job goes on"
            )
        is_done = batch["job"]["status"] == "COMPLETED"
        return batch["minted_quantity"], batch["requested_quantity"], batch if is_done else None

    return await _watch("Minting", look, console)


async def watch_packs(api: Api, export_group_id: UUID, console: Console) -> list[dict[str, Any]]:
    """Show a bar until every pack is written; the packs in order, the manifest last. Raises `WorkFailed`."""

    async def look() -> tuple[int, int, list[dict[str, Any]] | None]:
        packs = await api.all_rows("list_payload_packs", "packs", export_group_id=export_group_id)
        for pack in packs:
            if pack["status"] == "failed":
                raise WorkFailed(f"pack {pack['pack_index']} failed: {pack['error']}")
        written = sum(pack["unit_count"] for pack in packs if pack["status"] == "completed")
        total = sum(pack["unit_count"] for pack in packs)
        packs.sort(key=lambda pack: pack["pack_index"])
        is_done = all(pack["status"] == "completed" for pack in packs)
        return written, total, packs if is_done else None

    return await _watch("Exporting", look, console)


async def _watch(
    title: str, look: Callable[[], Awaitable[tuple[int, int, Result | None]]], console: Console
) -> Result:
    progress = Progress(
        TextColumn("  {task.description:<10}"),
        BarColumn(bar_width=32),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("units"),
        TimeRemainingColumn(),
        console=console,
    )
    with progress:
        bar = progress.add_task(title, total=None)
        while True:
            done, total, result = await look()
            progress.update(bar, completed=done, total=total)
            if result is not None:
                return result
            await asyncio.sleep(POLL_S)
