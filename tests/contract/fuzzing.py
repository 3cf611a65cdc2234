"""What schemathesis needs to fuzz the control plane: a running one, real ids, formats, and one check.

A body that is made at random names brands and products that nobody has, and every call would end at 403.
So well-formed ids are exchanged for those of the stage, three of four; the rest stay unknown. Imported by
the tests, and by `make sweep`.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import schemathesis
from hypothesis import strategies
from schemathesis.core.failures import Failure

from mintage.rpcs import RPCS
from tests.contract.running import Running

UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
# Faults that are no matter of one argument's form, so that no schema states them.
BEYOND_SCHEMAS = re.compile(
    "|".join(
        (
            # What one argument is, where its schema only comes near.
            "is no cursor",
            "is no time that exists",
            "is no date that exists",
            "check digit",
            "is no IP address",
            "of 8, 12, 13 or 14 digits",
            "is no language tag",
            "link type",
            "is what _is_default says",
            "is shaped like a generated serial",
            "cannot be printed",
            "has no host",
            # A host that the operator names may have http: no schema knows his settings.
            "must begin with https://",
            "has no port",
            "has user information",
            "host name of a-z",
            "is not in the future",
            "is in the future",
            "is too long ago",
            # What is white space: expressions of two kinds differ in U+0085 and U+FEFF.
            "has the wrong form; must be an e-mail address",
            "beyond 64 bits",
            "nested too deeply",
            # What arguments are beside each other.
            "adds up to",
            "holds [0-9]+ serials",
            "is given in (?:serial|batch) mode",
            "is given without",
            "is there twice",
            "give exactly one of",
            "does not name one thing",
            "is a crawler's",
            "would be reached before",
            "differs from the Idempotency-Key header",
            # What the platform has.
            "is no format there is",
            "is no (?:print )?profile",
            "is no option",
            "is of no issuer",
        )
    )
)


class KnownIds:
    """The stage's ids by argument, `_brand_id` too; `unit_ids` are lists."""

    def __init__(self) -> None:
        self.by_argument: dict[str, list[str]] = {}

    def exchanged(self, name: str, value: object) -> object:
        """`value` with well-formed ids exchanged: the same one always for the same."""
        known = self.by_argument.get(name)
        if known is None:
            return value
        if isinstance(value, list):
            return [self.exchanged(name, each) for each in value]
        if not isinstance(value, str) or not UUID_TEXT.fullmatch(value):
            return value
        number = UUID(value).int
        if number % 4 == 0 and name != "_brand_id":
            return value
        return known[number % len(known)]


KNOWN = KnownIds()


def gtin_of(digits: str) -> str:
    """`digits` and their check digit (GS1 General Specifications §7.9)."""
    total = sum(
        int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits))
    )
    return digits + str(-total % 10)


def register_formats() -> None:
    """How values of the formats that the contract names are made."""
    lengths = (7, 11, 12, 13)
    digits = strategies.sampled_from(lengths).flatmap(
        lambda length: strategies.text("0123456789", min_size=length, max_size=length)
    )
    schemathesis.openapi.format("gtin", digits.map(gtin_of))
    moments = strategies.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
    schemathesis.openapi.format("date-time", moments)
    names = strategies.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]\.example", fullmatch=True)
    schemathesis.openapi.format("uri", names.map(lambda name: f"https://{name}"))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Exchange ids, in bodies and queries, and write as SPEC §2 reads.

    Whole numbers are `70` and not `70.0`; `null` in a query, or nothing, is absent: no schema says so.
    """
    for name in [name for name, value in (case.query or {}).items() if _is_absent(value)]:
        del case.query[name]
    for container in (case.body, case.query):
        if isinstance(container, dict):
            for name, value in list(container.items()):
                sent = KNOWN.exchanged(name if name.startswith("_") else f"_{name}", _whole(value))
                if repr(sent) != repr(value):
                    container[name] = sent


def _is_absent(value: object) -> bool:
    """True for what a query writes as `null` or as nothing. Of an object it writes the names."""
    parts = list(value) if isinstance(value, list | dict) else []
    if len(parts) == 1:
        return _is_absent(parts[0])
    return value is None or value in ("null", "")


def _whole(value: object) -> object:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_whole(each) for each in value]
        case dict():
            return {name: _whole(inner) for name, inner in value.items()}
    return value


def token_for(running: Running, path: str) -> str:
    """The token to call a path with: the service's where nobody else may, the owner's otherwise."""
    rpc = RPCS.get(path.rpartition("/")[2])
    is_for_service = rpc is not None and rpc.action == "service"
    return running.service_token if is_for_service else running.owner_token


class RefusedForNothing(Failure):
    """A call that the schema allows was answered 400 for a reason that the schema could have told."""


@schemathesis.check
def what_the_schema_allows_is_taken(ctx: Any, response: Any, case: Any) -> None:
    """A well-formed call is 400 only for an unknown id, or for what no schema can say."""
    if (
        response.status_code != 400
        or case.meta is None
        or not case.meta.generation.mode.is_positive
    ):
        return
    content = response.json()
    if content.get("code") == "P0002" or case.path == "/auth/v1/token":
        # An id that nobody has; credentials that nobody has.
        return
    told = [f"{fault['problem']}; {fault['hint']}" for fault in content.get("errors", [])]
    told = told or [_message(content)]
    unexplained = [problem for problem in told if not BEYOND_SCHEMAS.search(problem)]
    if unexplained:
        raise RefusedForNothing(
            operation=case.operation.label,
            title="The schema allows what is refused",
            message=f"{unexplained}: {response.text[:500]}",
        )


def _message(content: dict[str, Any]) -> str:
    """What an error of any door says to people."""
    fault = content.get("error")
    told = fault.get("message") if isinstance(fault, dict) else None
    return str(told or content.get("message") or content.get("msg") or content)


register_formats()
