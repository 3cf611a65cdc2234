"""A duty: remove the files that lost workers left behind (SPEC §7).

Safe at any time and any number of times: a file is kept if a completed pack states it, or if a lease
is open whose epoch is in its path; no other file can ever be stated by this database. The duty keeps it for a
week all the same: a database that was restored, or is a copy, does not know files of later ones
(docs/backup.md). A file that is half written is kept for a day after its last byte, and so is a draft in
this machine's temporary folder. Paths that this platform does not write, and folders of brands that this
database does not know, are left alone.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.call import Transactions
from mintage.operations.pack_files import DRAFTS_PREFIX
from mintage.storage import ListedFile, PackStore
from mintage.telemetry import logger

_BRANDS: Final = query("export", "brands")
_KEPT_PATHS: Final = query("export", "kept_paths")
_OURS: Final = re.compile(
    r"[0-9a-f-]{36}/(?P<group>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/"
    r"(?P<index>[0-9]{4,9})-(?P<epoch>[0-9]{1,18})\.[a-z0-9]{1,8}"
)
UNFINISHED_KEPT_S: Final = 86400.0
ORPHANS_KEPT_S: Final = 7 * 86400.0
_log = logger("operations")


async def sweep_orphans(transactions: Transactions, store: PackStore, *, age_s: float = 0.0) -> int:
    """Remove every file of no pack that was written `age_s` seconds ago or earlier, brand by brand; how many
    there were."""
    async with transactions.database.transaction(
        transactions.caller.identity(None), read_only=True
    ) as connection:
        brand_ids = [row["id"] for row in await connection.fetch(_BRANDS)]
    removed = 0
    for brand_id in brand_ids:
        async for files in store.files(str(brand_id)):
            for path in await _orphans(transactions, brand_id, files, timedelta(seconds=age_s)):
                await store.delete(path)
                removed += 1
        removed += await store.remove_unfinished(str(brand_id), UNFINISHED_KEPT_S)
    if removed:
        _log.info("files of no pack were removed", count=removed)
    return removed


def sweep_drafts(age_s: float = UNFINISHED_KEPT_S) -> int:
    """Remove the drafts of packs that killed workers left on this machine; how many there were.

    Only those of this user's that nobody has touched for `age_s` seconds.
    """
    removed = 0
    # Files are as old as their own file system says, whatever this process's clock shows.
    with tempfile.TemporaryFile() as newest:
        now_s = os.fstat(newest.fileno()).st_mtime
    for folder in Path(tempfile.gettempdir()).glob(f"{DRAFTS_PREFIX}*"):
        try:
            facts = folder.lstat()
        except FileNotFoundError:
            continue
        is_ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()
        if is_ours and now_s - facts.st_mtime > age_s:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


async def _orphans(
    transactions: Transactions, brand_id: UUID, files: list[ListedFile], age: timedelta
) -> list[str]:
    ours = [
        (match, file.written_at)
        for file in files
        if (match := _OURS.fullmatch(file.path)) is not None
    ]
    if not ours:
        return []
    async with transactions.call(brand_id) as call:
        last = call.now - age
        rows = await call.connection.fetch(
            _KEPT_PATHS,
            brand_id,
            [match.string for match, _ in ours],
            [UUID(match["group"]) for match, _ in ours],
            [int(match["index"]) for match, _ in ours],
            [int(match["epoch"]) for match, _ in ours],
        )
    kept = {row["path"] for row in rows}
    return [
        match.string
        for match, written_at in ours
        # Without an age clocks are not compared: a file of now may be stamped later than now.
        if match.string not in kept and (not age or written_at <= last)
    ]
