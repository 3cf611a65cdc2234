"""The checks of arguments that no type of pydantic makes: UUIDs, times, dates, GTINs; what JSON can hold.

Each takes what was sent and gives the value, or raises pydantic's error with the problem in our words.
Not here: the models (`arguments`).
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import Field
from pydantic_core import PydanticCustomError

from mintage.rules import gs1
from mintage.rules.violation import RuleViolation

UUID_FORM: Final = r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"
# Serials and lot codes: GS1 set 82, and no beginning that a spreadsheet takes for a formula.
CODE_FORM: Final = r"^[!\"%&'()*,./0-9:;<>?A-Z_a-z][!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]{0,19}$"
SET_82_FORM: Final = r"^[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]+$"
GTIN_FORM: Final = r"^([0-9]{8}|[0-9]{12,14})$"
ATTRIBUTES_BYTES_MAX: Final = 16 * 1024
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
# RFC 3339 sets no limit to a second's digits; clients send three, six or nine, of which six are kept.
_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_Item = TypeVar("_Item", bound=str)


def stated(**facts: str | int | bool) -> Any:
    """What a check of ours makes sure of, in words of JSON Schema: the contract states it."""
    return Field(json_schema_extra=dict(facts))


def read_uuid(value: object) -> UUID:
    """A UUID in its text form with hyphens, in either case."""
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise PydanticCustomError("uuid", "is no UUID")
    return UUID(value)


def read_moment(value: object) -> datetime:
    """A time with an offset (RFC 3339), in UTC."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise PydanticCustomError("moment", "is no time with an offset")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("moment", "is no time that exists") from None


def read_date(value: object) -> date:
    """A date such as 2026-01-31."""
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise PydanticCustomError("date", "is no date")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("date", "is no date that exists") from None


def require_gtin(value: str, gtin_type: gs1.GtinType) -> None:
    """Raises unless `value` is a GTIN of the type, with its check digit."""
    try:
        gs1.gtin14(value, gtin_type)
    except RuleViolation as violation:
        raise PydanticCustomError("gtin", "{fault}", {"fault": str(violation)}) from None


def gtin(value: str) -> str:
    """A GTIN of any length, as it was sent."""
    require_gtin(value, "gtin")
    return value


def not_null(value: object) -> object:
    """Anything but null."""
    if value is None:
        raise PydanticCustomError("null", "is null")
    return value


def distinct(value: list[_Item]) -> list[_Item]:
    """A list that names nothing twice."""
    if len(set(value)) < len(value):
        raise PydanticCustomError("distinct", "names one twice")
    return value


def small_object(value: dict[str, object]) -> dict[str, object]:
    """An object of at most 16 KiB as JSON."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        raise PydanticCustomError("attributes", "is no object that JSON can hold") from None
    if len(text.encode("utf-8", "replace")) > ATTRIBUTES_BYTES_MAX:
        raise PydanticCustomError("attributes", "is too large")
    return value
