"""The arguments of searching, and of recording and listing scans."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from mintage.errors import ArgumentProblem
from mintage.operations.argument_checks import SET_82_FORM, stated
from mintage.operations.arguments import (
    BrandArguments,
    Cursor,
    From,
    Gtin,
    Limit,
    MintBatchId,
    MintLotId,
    Moment,
    Nested,
    ProductId,
    To,
    Uuid,
)
from mintage.operations.user_agents import agent_class
from mintage.rules.gs1 import VALUE_LENGTH_MAX, is_set_82
from mintage.rules.lifecycle import SCAN_SEVERITIES, ScanSeverity

SEARCH_RESULTS_MAX: Final = 20
SEARCH_CHARACTERS_MIN: Final = 2
SEARCH_CHARACTERS_MAX: Final = 100
ACTIVITY_DAYS_MAX: Final = 90
SUBJECT_HINT: Final = (
    "give exactly one of _unit_id, _mint_lot_id, _gtin with _serial_number, _gtin with _lot_code"
)
_CONTEXT_CHARACTERS_MAX: Final = 4096
_SUBJECT_ARGUMENTS: Final = ("_unit_id", "_mint_lot_id", "_gtin", "_serial_number", "_lot_code")
_NAMED_TOGETHER: Final = ({"_gtin", "_serial_number"}, {"_gtin", "_lot_code"})


def _trimmed_query(value: str) -> str:
    query = value.strip()
    if len(query) > SEARCH_CHARACTERS_MAX:
        raise PydanticCustomError("string_too_long", "is too long")
    return query


def _set_82(value: str) -> str:
    if not is_set_82(value):
        raise PydanticCustomError("set_82", "has a character outside GS1 set 82")
    return value


def _address(value: object) -> IPv4Address | IPv6Address:
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    try:
        address = ip_address(value) if isinstance(value, str) else None
    except ValueError:
        address = None
    if address is None:
        raise PydanticCustomError("address", "is no IP address")
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


Value = Annotated[
    str,
    StringConstraints(min_length=1, max_length=VALUE_LENGTH_MAX),
    AfterValidator(_set_82),
    stated(pattern=SET_82_FORM),
]
ContextText = Annotated[
    str,
    Field(
        max_length=_CONTEXT_CHARACTERS_MAX,
        description=f"text of at most {_CONTEXT_CHARACTERS_MAX} characters",
    ),
]


class SearchBrandObjects(BrandArguments):
    query: Annotated[str, AfterValidator(_trimmed_query)] = Field(
        description=f"text of at most {SEARCH_CHARACTERS_MAX} characters, blanks around it aside"
    )
    limit: Annotated[
        int,
        Field(
            ge=1, le=SEARCH_RESULTS_MAX, description=f"an integer from 1 to {SEARCH_RESULTS_MAX}"
        ),
    ] = SEARCH_RESULTS_MAX
    cursor: Cursor | None = None


class ScanContext(Nested):
    """What the recorder saw of the request. Of the address only its /24 or /48 is kept."""

    user_agent: ContextText | None = None
    ip: (
        Annotated[IPv4Address | IPv6Address, BeforeValidator(_address, json_schema_input_type=str)]
        | None
    ) = Field(default=None, description="an IPv4 or IPv6 address")
    path: ContextText | None = None


class RecordScanEvent(BrandArguments):
    unit_id: Annotated[Uuid, Field(description="the UUID of a mint unit")] | None = None
    mint_lot_id: MintLotId | None = None
    gtin: Gtin | None = None
    serial_number: Value | None = Field(
        default=None,
        description=f"1 to {VALUE_LENGTH_MAX} characters of GS1 set 82 (AI 21), with _gtin",
    )
    lot_code: Value | None = Field(
        default=None,
        description=f"1 to {VALUE_LENGTH_MAX} characters of GS1 set 82 (AI 10), with _gtin",
    )
    scan_id: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="text of 1 to 64 characters that names this scan"
    )
    scanned_at: (
        Annotated[Moment, Field(description="a time such as 2026-01-31T12:00:00Z")] | None
    ) = None
    context: ScanContext | None = Field(
        default=None, description="an object of user_agent, ip and path, each optional"
    )

    @classmethod
    def faults_beyond_types(cls, sound: Mapping[str, Any]) -> list[ArgumentProblem]:
        given = [name for name in _SUBJECT_ARGUMENTS if name in sound]
        problems = []
        if len(given) > 1 and set(given) not in _NAMED_TOGETHER:
            problem = "does not name one thing together with the others"
            problems += [ArgumentProblem(name, problem, SUBJECT_HINT) for name in given]
        if agent_class(sound.get("_context", {}).get("user_agent") or "") == "bot":
            problem = "is a crawler's or a link preview's"
            hint = "must be a person's, or a program's that may stand for one: others are no scan"
            problems.append(ArgumentProblem("_context.user_agent", problem, hint))
        return problems


class ListScanEvents(BrandArguments):
    unit_id: Annotated[Uuid, Field(description="the UUID of a mint unit")] | None = None
    mint_batch_id: MintBatchId | None = None
    product_id: ProductId | None = None
    severity: ScanSeverity | None = Field(
        default=None, description="one of " + ", ".join(SCAN_SEVERITIES)
    )
    from_: From | None = Field(default=None, alias="_from")
    to: To | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class GetScanActivity(BrandArguments):
    days: Annotated[
        int,
        Field(ge=1, le=ACTIVITY_DAYS_MAX, description=f"an integer from 1 to {ACTIVITY_DAYS_MAX}"),
    ] = 30
