"""A brand's settings: its name, what minting takes where nothing is said, where it is, thresholds.

Not here: its hosts (`hosts`), members (`members`) and keys (`api_keys`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from mintage.db.queries import query
from mintage.errors import ArgumentProblem, invalid_input
from mintage.operations.arguments_catalogue import (
    BrandSettingsPatch,
    GetBrandSettings,
    UpdateBrandSettings,
)
from mintage.operations.call import Answer, Call
from mintage.operations.events import record_event
from mintage.packs.print_profiles import PROFILES
from mintage.rules.clone_thresholds import out_of_order, thresholds_of
from mintage.rules.lifecycle import ActivationMode, IdentityMode

_GET: Final = query("brand_settings", "get")
_LOCK: Final = query("brand_settings", "lock")
_UPDATE: Final = query("brand_settings", "update")


@dataclass(frozen=True, slots=True)
class BrandSettings:
    """A row of `brand`, the settings of it. `clone_thresholds` has those alone that the brand has set."""

    name: str
    default_identity_mode: IdentityMode
    default_activation_mode: ActivationMode
    strata: int | None
    gcp_length: int | None
    print_profile: str | None
    biz_location: str | None
    read_point: str | None
    clone_thresholds: Mapping[str, int]
    redirect_signed_urls: bool

    def values(self) -> dict[str, object]:
        """The settings by name, thresholds as they are kept."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def as_answer(self) -> dict[str, object]:
        """The `settings` object of CATALOGUE, with every threshold."""
        return self.values() | {"clone_thresholds": thresholds_of(self.clone_thresholds)}


async def get_brand_settings(call: Call, _arguments: GetBrandSettings) -> Answer:
    """The brand's settings (CATALOGUE)."""
    row = await call.connection.fetchrow(_GET, call.brand_id)
    if row is None:
        raise RuntimeError("a call works in a brand that is there")
    return {"ok": True, "settings": BrandSettings(*row).as_answer()}


async def update_brand_settings(call: Call, arguments: UpdateBrandSettings) -> Answer:
    """Change the settings that the patch has, and no others (CATALOGUE).

    Raises 400 for a print profile that there is not, and for thresholds of which a graver one would be
    reached before a milder.
    """
    row = await call.connection.fetchrow(_LOCK, call.brand_id)
    if row is None:
        raise RuntimeError("a call works in a brand that is there")
    before = BrandSettings(*row)
    after = _patched(before, arguments.patch)
    if after.print_profile != before.print_profile:
        _require_print_profile(after.print_profile)
    if wrong := out_of_order(thresholds_of(after.clone_thresholds)):
        raise _out_of_order(wrong)
    if after != before:
        status = await call.connection.execute(_UPDATE, call.brand_id, *after.values().values())
        if status != "UPDATE 1":
            raise RuntimeError("a locked brand changed")
        await _record(call, before, after)
    return {"ok": True, "settings": after.as_answer()}


def _patched(before: BrandSettings, patch: BrandSettingsPatch) -> BrandSettings:
    given = {name: getattr(patch, name) for name in patch.model_fields_set}
    if "clone_thresholds" in given:
        thresholds = patch.clone_thresholds
        given["clone_thresholds"] = (
            {**before.clone_thresholds, **thresholds.model_dump(exclude_unset=True)}
            if thresholds is not None
            else {}
        )
    return replace(before, **given)


def _require_print_profile(name: str | None) -> None:
    if name is not None and name not in PROFILES:
        hint = f"must be null or one of {', '.join(sorted(PROFILES))}"
        raise invalid_input([ArgumentProblem("_patch.print_profile", "is no print profile", hint)])


def _out_of_order(wrong: list[str]) -> Exception:
    hint = (
        "for scans and countries review ≤ elevated ≤ high; for minutes of travel review ≥ elevated "
        "≥ high"
    )
    return invalid_input(
        [
            ArgumentProblem(
                f"_patch.clone_thresholds.{name}", "would be reached before the milder one", hint
            )
            for name in wrong
        ]
    )


async def _record(call: Call, before: BrandSettings, after: BrandSettings) -> None:
    old, new = before.values(), after.values()
    changed = {name: {"from": old[name], "to": new[name]} for name in new if old[name] != new[name]}
    await record_event(
        call,
        "settings_changed",
        payload={"subject": "brand", "change": "updated", "changed": changed},
    )
