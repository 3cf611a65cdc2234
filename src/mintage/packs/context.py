"""What a pack is of, what a format is asked, and how it refuses: all that formats know beside rows.

Not here: the formats (`packs.formats`), and where the facts come from (`operations`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from mintage.packs.print_profiles import PrintProfile
from mintage.rules.lifecycle import ActivationMode, IdentityMode


class PackOptions(BaseModel):
    """The `_options` of a format; each format that has some derives its own, with defaults for all.

    A field's description completes "must be …". Read from JSON, strictly; unknown keys are refused.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


_Options = TypeVar("_Options", bound=PackOptions)


@dataclass(frozen=True, slots=True)
class PackContext:
    """One pack. `pack_index` counts from 1; `first_unit_no` from 0; `generated_at` never changes.

    `gtin` has 14 digits. `gcp_length`, `biz_location` and `read_point` are the brand's settings of that
    name. `profile` is None where the format is written in its own form.
    """

    brand_id: UUID
    brand_name: str
    gcp_length: int | None
    biz_location: str | None
    read_point: str | None
    product_id: UUID
    product_sku: str
    product_name: str
    gtin: str | None
    mint_batch_id: UUID
    product_batch_number: str | None
    identity_mode: IdentityMode
    activation_mode: ActivationMode
    export_group_id: UUID
    pack_index: int
    pack_count: int
    first_unit_no: int
    unit_count: int
    generated_at: datetime
    profile: PrintProfile | None
    options: PackOptions

    def options_as(self, model: type[_Options]) -> _Options:
        """The options as the format's own model. Raises `TypeError` for those of another format."""
        if not isinstance(self.options, model):
            raise TypeError(f"options of {model.__name__} are due")
        return self.options


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """What the database says of all units of a batch, for a format that asks.

    `longest_url_characters` is that of the longest resolver URL, all of which begin with
    `resolver_base_url`. A serial that a 96-bit tag can hold is
    digits without a leading zero, below 2³⁸; `not_numeric_count` and `numeric_max` tell how far the
    batch is from that; `first_not_numeric` is an example.
    """

    resolver_base_url: str
    longest_url_characters: int
    longest_serial_characters: int
    not_numeric_count: int
    numeric_max: int | None
    first_not_numeric: str | None


@dataclass(frozen=True, slots=True)
class PackSubject:
    """What a format is asked to fit: a batch, its brand's settings, and the options asked for.

    `unit_facts` is None unless the format's `wants_unit_facts` says that it needs them.
    """

    identity_mode: IdentityMode
    gtin: str | None
    gcp_length: int | None
    unit_count: int
    options: PackOptions
    unit_facts: UnitFacts | None

    def options_as(self, model: type[_Options]) -> _Options:
        """The options as the format's own model. Raises `TypeError` for those of another format."""
        if not isinstance(self.options, model):
            raise TypeError(f"options of {model.__name__} are due")
        return self.options


@dataclass(frozen=True, slots=True)
class PackRefusal:
    """Why a format cannot be written: a code for programs (`FORMAT_NOT_APPLICABLE`,
    `GCP_LENGTH_MISSING`, `SERIAL_NOT_NUMERIC`), and a sentence that says what would mend it."""

    code: str
    message: str


class PackUnreadable(Exception):
    """A written pack does not read back as its rows; the pack is not closed."""
