"""The `epcis` format: an EPCIS 2.0 document in JSON-LD that says what was commissioned (SPEC §7).

Sources: GS1 EPCIS 2.0 (7.4.1 ObjectEvent, 9 JSON-LD), GS1 CBV 2.0 (business steps, dispositions, 8.2
GS1 Digital Link URIs). Units are in `epcList` by their Digital Link URIs, lots in `quantityList` by
those of the lot. Units that are revoked when the pack is written are left out (docs/decisions/0217).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from operator import attrgetter
from typing import Final, Literal
from uuid import UUID, uuid5

from pydantic import Field

from mintage.packs.context import PackContext, PackOptions, PackRefusal, PackSubject
from mintage.packs.rows import UnitRow
from mintage.rules.gs1 import percent_encode

EVENT_EPCS_MAX: Final = 1000
_CONTEXT: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
_CANONICAL_BASE_URL: Final = "https://id.gs1.org"
# Ids of events are version 5 UUIDs of their content in this namespace, so it never changes.
_EVENT_NAMESPACE: Final = UUID("6f1f0a55-3f0c-5d1a-9f7b-3c4f6d2c8e11")


class EpcisOptions(PackOptions):
    """`id_host`: whose Digital Link URIs name things, the brand's as printed or GS1's canonical ones."""

    id_host: Literal["brand", "id.gs1.org"] = Field(
        default="brand", description='"brand" or "id.gs1.org"'
    )


def write_epcis(context: PackContext, rows: Iterable[UnitRow]) -> Iterator[bytes]:
    """The document, an event a line, each of 1,000 units at most; no more than one is held at a time."""
    created = json.dumps(_milliseconds(context.generated_at))
    yield (
        f'{{"@context":["{_CONTEXT}"],"type":"EPCISDocument","schemaVersion":"2.0",'
        f'"creationDate":{created},"epcisBody":{{"eventList":['
    ).encode("ascii")
    separator = b"\n"
    for event in _events(context, rows):
        yield separator + _json(event)
        separator = b",\n"
    yield b"\n]}}\n"


def refuse_epcis(subject: PackSubject) -> list[PackRefusal]:
    """GS1's own host for a batch that has no GTIN: it names nothing else."""
    if subject.gtin is None and subject.options_as(EpcisOptions).id_host != "brand":
        message = (
            "The mint batch has no GTIN, and id.gs1.org names things by GS1 keys alone: leave id_host "
            'out or set it to "brand", or give the product a GTIN before minting.'
        )
        return [PackRefusal("FORMAT_NOT_APPLICABLE", message)]
    return []


def _events(context: PackContext, rows: Iterable[UnitRow]) -> Iterator[dict[str, object]]:
    name = _namer(context.options_as(EpcisOptions))
    in_use = (row for row in rows if row.status != "revoked")
    # Units of one cycle have one time of creation, which is the event's.
    for created_at, created in itertools.groupby(in_use, key=attrgetter("created_at")):
        if context.identity_mode == "serial":
            while part := list(itertools.islice(created, EVENT_EPCS_MAX)):
                yield _event(context, created_at, {"epcList": [name(row) for row in part]})
        else:
            quantities = [
                {"epcClass": epc_class, "quantity": sum(1 for _ in units)}
                for epc_class, units in itertools.groupby(created, key=name)
            ]
            yield _event(context, created_at, {"quantityList": quantities})


def _event(
    context: PackContext, created_at: datetime, what: dict[str, object]
) -> dict[str, object]:
    step = "commissioning" if "epcList" in what else "creating_class_instance"
    event: dict[str, object] = {
        "type": "ObjectEvent",
        "eventTime": _milliseconds(created_at),
        "eventTimeZoneOffset": "+00:00",
        "action": "ADD",
        "bizStep": step,
        "disposition": "active",
    }
    if context.read_point is not None:
        event["readPoint"] = {"id": context.read_point}
    if context.biz_location is not None:
        event["bizLocation"] = {"id": context.biz_location}
    event |= what
    if context.product_batch_number is not None and "epcList" in what:
        event["ilmd"] = {"cbvmda:lotNumber": context.product_batch_number}
    return {"eventID": f"urn:uuid:{uuid5(_EVENT_NAMESPACE, _json(event).decode())}"} | event


def _namer(options: EpcisOptions) -> Callable[[UnitRow], str]:
    """How a unit, or its lot, is called."""
    if options.id_host == "brand":
        return lambda row: row.resolver_url

    def canonical(row: UnitRow) -> str:
        if row.serial_number is not None:
            return f"{_CANONICAL_BASE_URL}/01/{row.gtin}/21/{percent_encode(row.serial_number)}"
        return f"{_CANONICAL_BASE_URL}/01/{row.gtin}/10/{percent_encode(row.lot_code or '')}"

    return canonical


def _milliseconds(moment: datetime) -> str:
    """`moment` in UTC with three digits of seconds, as GS1 writes times of events."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")
