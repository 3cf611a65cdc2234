"""get_mint_kpis: a brand's figures, read from the tallies alone, whatever the number of units (SPEC §4).

Not here: counting, which each change does by itself, and folding (`tallies`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from mintage.db.queries import query
from mintage.operations.arguments_minting import GetMintKpis
from mintage.operations.call import Answer, Call
from mintage.operations.tallies import Metric

_READ: Final = query("tally", "read")


async def get_mint_kpis(call: Call, arguments: GetMintKpis) -> Answer:
    """The figures of the brand's dashboard: `{ok, kpis}`, all as of `kpis.as_of`."""
    today = call.now.astimezone(UTC).date()
    row = await call.connection.fetchrow(_READ, call.brand_id, today)
    if row is None:
        raise LookupError("a statement that answers one row answered none")
    return {"ok": True, "kpis": kpis_of(row["totals"], row["last_7_days"], row["as_of"])}


def kpis_of(
    totals: Mapping[str, int], recent: Mapping[str, int], as_of: datetime
) -> dict[str, object]:
    """The figures from a brand's totals and those of its last seven days, by metric."""
    groups = {
        "batches_in_progress": _of(totals, "batches_in_progress"),
        "batches_minted": _of(totals, "batches_minted"),
        "batches_failed": _of(totals, "batches_failed"),
        "batches_voided": _of(totals, "batches_voided"),
    }
    minted, active = _of(totals, "units_minted"), _of(totals, "units_active")
    revoked = _of(totals, "units_revoked")
    return {
        "batches_total": sum(groups.values()),
        **groups,
        "units_requested": _of(totals, "units_requested"),
        "units_minted": minted,
        "units_active": active,
        "units_revoked": revoked,
        "activation_rate": active / (minted - revoked) if minted > revoked else None,
        "units_minted_7d": _of(recent, "units_minted"),
        "scans_7d": _of(recent, "scans"),
        "jobs_queued": _of(totals, "jobs_queued"),
        "jobs_failed": _of(totals, "jobs_failed"),
        "packs_completed": _of(totals, "packs_completed"),
        "scans_total": _of(totals, "scans"),
        "units_scanned": _of(totals, "units_scanned"),
        "as_of": as_of,
    }


def _of(tallies: Mapping[str, int], metric: Metric) -> int:
    """A figure that was never counted is 0."""
    return tallies.get(metric, 0)
