"""What is asked for when packs are: format, print profile and options, and whether the batch fits them.

Not here: queuing the packs (`exports`) and writing them (`pack_execution`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
from pydantic import ValidationError

from mintage.db.queries import query
from mintage.errors import ArgumentProblem, invalid_input
from mintage.operations.argument_faults import problems_of
from mintage.operations.arguments_exports import RequestPayloadPacks
from mintage.operations.call import BlockingReason, Call, Refused
from mintage.operations.resolver_urls import brand_base_url, resolver_url
from mintage.packs.context import PackOptions, PackSubject, UnitFacts
from mintage.packs.formats import FORMATS, PackFormat
from mintage.packs.print_profiles import PROFILES
from mintage.rules.serials import SERIAL_LENGTH

_BRAND: Final = query("export", "brand")
_LONGEST_LOT_CODE: Final = query("export", "longest_lot_code")
_SERIAL_FACTS: Final = query("export", "serial_facts")
_ANY_ID: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class PackChoice:
    """A format with its options; `profile` is the one asked for, None to leave it to the brand."""

    format: PackFormat
    profile: str | None
    options: PackOptions

    def stored_options(self) -> dict[str, object]:
        """The options as they are kept: all of them, so that a later default changes no group."""
        return self.options.model_dump(mode="json")


def read_choice(arguments: RequestPayloadPacks) -> PackChoice:
    """The choice that `arguments` make. Raises 400 naming every part that there is not."""
    pack_format = FORMATS.get(arguments.format)
    if pack_format is None:
        hint = f"must be one of {', '.join(sorted(FORMATS))}"
        raise invalid_input([ArgumentProblem("_format", "is no format there is", hint)])
    problems = []
    profile = arguments.profile
    if profile is not None and not pack_format.uses_profiles:
        hint = f"the format {pack_format.name} has no print profiles"
        problems.append(ArgumentProblem("_profile", "does not go with this format", hint))
    elif profile is not None and profile not in PROFILES:
        hint = f"must be one of {', '.join(sorted(PROFILES))}"
        problems.append(ArgumentProblem("_profile", "is no print profile", hint))
    options = PackOptions()
    try:
        options = read_options(pack_format, arguments.options or {})
    except ValidationError as error:
        problems += _option_problems(pack_format, error)
    if problems:
        raise invalid_input(problems)
    return PackChoice(pack_format, profile, options)


def read_options(pack_format: PackFormat, options: Mapping[str, object]) -> PackOptions:
    """`options` as the format's model, by the rules of JSON. Raises pydantic's `ValidationError`."""
    return pack_format.options_model.model_validate_json(json.dumps(options))


async def settle_profile(call: Call, choice: PackChoice) -> str | None:
    """The profile by its order: asked for, the brand's default, the format's own form (None).

    Raises `Refused` with `PRINT_PROFILE_UNKNOWN` for a default that this release does not have.
    """
    if choice.profile is not None or not choice.format.uses_profiles:
        return choice.profile
    brand = await call.connection.fetchrow(_BRAND, call.brand_id)
    profile = brand["print_profile"] if brand is not None else None
    if profile is None or profile in PROFILES:
        return profile
    message = (
        f"The brand's print profile {profile} is none there is: give _profile, or set print_profile by "
        f"update_brand_settings to null or one of {', '.join(sorted(PROFILES))}."
    )
    reason = BlockingReason("PRINT_PROFILE_UNKNOWN", message)
    raise Refused({"ok": False, "blocking_reasons": [reason.as_answer()]})


async def reasons_against(
    call: Call, batch: asyncpg.Record, choice: PackChoice
) -> list[BlockingReason]:
    """Why the format cannot be written of `batch` with these options; each says what would mend it."""
    pack_format, mode = choice.format, batch["identity_mode"]
    if mode not in pack_format.identity_modes:
        modes = " or ".join(sorted(pack_format.identity_modes))
        message = (
            f"The format {pack_format.name} does not fit a batch of {mode} mode: "
            f"it needs one of {modes} mode, or another format."
        )
        return [BlockingReason("FORMAT_NOT_APPLICABLE", message)]
    if pack_format.refuse is None:
        return []
    brand = await call.connection.fetchrow(_BRAND, call.brand_id)
    wants_facts = pack_format.wants_unit_facts
    subject = PackSubject(
        identity_mode=mode,
        gtin=batch["gtin14"],
        gcp_length=brand["gcp_length"] if brand is not None else None,
        unit_count=batch["requested_quantity"],
        options=choice.options,
        unit_facts=await _unit_facts(call, batch)
        if wants_facts is not None and wants_facts(choice.options)
        else None,
    )
    return [BlockingReason(each.code, each.message) for each in pack_format.refuse(subject)]


def _option_problems(pack_format: PackFormat, error: ValidationError) -> list[ArgumentProblem]:
    model = pack_format.options_model
    if not model.model_fields:
        hint = f"the format {pack_format.name} has no options"
        return [
            ArgumentProblem(f"_options.{fault['loc'][0]}", "is no option of this format", hint)
            for fault in error.errors()
        ]
    return [
        ArgumentProblem(f"_options.{each.argument}", each.problem, each.hint)
        for each in problems_of(model, error)
    ]


async def _unit_facts(call: Call, batch: asyncpg.Record) -> UnitFacts:
    base_url = await brand_base_url(call)

    def url_characters(serial: int | None, lot_code: int) -> int:
        """Of a URL whose serial, or lot code, has that many characters once it is encoded."""
        text = "A" * serial if serial is not None else None
        code = "A" * lot_code
        return len(resolver_url(base_url, batch["gtin14"], _ANY_ID, text, code, _ANY_ID))

    if batch["identity_mode"] == "batch":
        longest = await call.connection.fetchval(_LONGEST_LOT_CODE, call.brand_id, batch["id"])
        return UnitFacts(base_url, url_characters(None, longest), 0, 0, None, None)
    if batch["serial_prefix"] is not None:
        # Generated serials are of one length and begin with a letter.
        count, example = batch["requested_quantity"], f"{batch['serial_prefix']}…"
        characters = url_characters(SERIAL_LENGTH, 0)
        return UnitFacts(base_url, characters, SERIAL_LENGTH, count, None, example)
    found = await call.connection.fetchrow(_SERIAL_FACTS, call.brand_id, batch["id"])
    if found is None:
        raise RuntimeError("an aggregate has one row")
    return UnitFacts(
        resolver_base_url=base_url,
        longest_url_characters=url_characters(found["encoded_characters"], 0),
        longest_serial_characters=found["characters"],
        not_numeric_count=found["not_numeric_count"],
        numeric_max=int(found["numeric_max"]) if found["numeric_max"] is not None else None,
        first_not_numeric=found["first_not_numeric"],
    )
