"""The epcis format: documents that GS1's schema accepts, by a checker that refuses what it should.

The schema sees every fault of OpenEPCIS's invalid documents. What no schema sees is looked at here one
by one: that each unit is named once, that a Digital Link URI reads back, that no event is too large.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

import jsonschema_rs
import pytest
from biip.gs1_digital_link_uris import GS1DigitalLinkURI

from mintage.packs.context import PackContext
from mintage.packs.epcis import EVENT_EPCS_MAX, EpcisOptions, refuse_epcis, write_epcis
from mintage.packs.rows import UnitRow
from tests.packs.building import GTIN, MOMENT, context, row, subject
from tests.packs.desk import Desk
from tests.packs.reading import columns_of
from tests.rules.randomness import VECTORS, vectors_of

SCHEMA = jsonschema_rs.Draft7Validator(
    vectors_of("epcis-gs1/EPCIS-JSON-Schema.json"), validate_formats=True
)
LD_CONTEXT = vectors_of("epcis-gs1/epcis-context.jsonld")["@context"]
DOCUMENTS = VECTORS / "epcis-openepcis"


def pack(**changes: Any) -> PackContext:
    """A context with the format's default options."""
    return context(**({"options": EpcisOptions()} | changes))


def document_of(rows: list[UnitRow], of: PackContext) -> dict[str, Any]:
    """What is written, read and checked by GS1's schema."""
    document: dict[str, Any] = json.loads(b"".join(write_epcis(of, rows)))
    SCHEMA.validate(document)
    return document


def events_of(rows: list[UnitRow], of: PackContext) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = document_of(rows, of)["epcisBody"]["eventList"]
    return events


def lot_row(unit_no: int, lot_code: str) -> UnitRow:
    url = f"https://id.example.com/01/{GTIN}/10/{lot_code}"
    return row(unit_no, serial_number=None, lot_code=lot_code, resolver_url=url)


# The checker


@pytest.mark.parametrize("name", sorted(path.name for path in (DOCUMENTS / "invalid").iterdir()))
def test_the_checker_refuses_every_invalid_document(name: str) -> None:
    assert not SCHEMA.is_valid(vectors_of(f"epcis-openepcis/invalid/{name}"))


@pytest.mark.parametrize("name", sorted(path.name for path in (DOCUMENTS / "valid").iterdir()))
def test_the_checker_accepts_every_valid_document(name: str) -> None:
    assert SCHEMA.is_valid(vectors_of(f"epcis-openepcis/valid/{name}"))


def test_the_checker_accepts_the_example_of_gs1() -> None:
    path = "epcis-gs1/Example_9.6.1-ObjectEventWithDigitalLink.jsonld"
    assert SCHEMA.is_valid(vectors_of(path))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["epcList", 0], "no uri"),
        (["epcList", 1], f"https://id.example.com/01/{GTIN}/21/A0"),
        (["eventID"], "1"),
        (["eventTime"], "2026-11-24T13:14:15"),
        (["eventTimeZoneOffset"], "Z"),
        (["action"], "CREATE"),
        (["bizStep"], "urn:epcglobal:cbv:bizstep:commissioning"),
        (["disposition"], "fresh"),
        (["readPoint"], "urn:epc:id:sgln:9506000.00000.0"),
        (["bizLocation", "id"], "Hall 3"),
        (["ilmd"], {"lotNumber": "PB-1"}),
        (["serial"], "A0"),
    ],
)
def test_the_checker_sees_a_fault_in_a_pack_of_ours(path: list[Any], value: object) -> None:
    document = document_of([row(0), row(1)], pack(read_point="urn:a:b", biz_location="urn:a:c"))
    broken = deepcopy(document)
    place = broken["epcisBody"]["eventList"][0]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert not SCHEMA.is_valid(broken)


# Documents


def test_units_are_commissioned_by_their_digital_link_uris() -> None:
    moment = MOMENT + timedelta(days=1)
    of = pack(
        generated_at=moment,
        read_point="urn:epc:id:sgln:9506000.00000.1",
        biz_location="urn:epc:id:sgln:9506000.00000.0",
    )
    document = document_of([row(0), row(1)], of)
    (event,) = document.pop("epcisBody")["eventList"]
    assert document == {
        "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-11-25T13:14:15.000Z",
    }
    assert event.pop("eventID").startswith("urn:uuid:")
    assert event == {
        "type": "ObjectEvent",
        "eventTime": "2026-11-24T13:14:15.000Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "ADD",
        "bizStep": "commissioning",
        "disposition": "active",
        "readPoint": {"id": "urn:epc:id:sgln:9506000.00000.1"},
        "bizLocation": {"id": "urn:epc:id:sgln:9506000.00000.0"},
        "epcList": [f"https://id.example.com/01/{GTIN}/21/A{no}" for no in range(2)],
        "ilmd": {"cbvmda:lotNumber": "PB-1"},
    }


def test_what_a_brand_has_not_set_is_left_out() -> None:
    (event,) = events_of([row()], pack(product_batch_number=None))
    assert not {"readPoint", "bizLocation", "ilmd"} & set(event)


def test_every_word_of_a_document_is_known_to_the_context_of_gs1() -> None:
    of = pack(read_point="urn:a:b", biz_location="urn:a:c")
    document = document_of([row()], of)
    lots = events_of([lot_row(0, "L1")], pack(identity_mode="batch"))
    (event,) = document["epcisBody"]["eventList"]
    words = {*document, *document["epcisBody"], *event, *lots[0], *lots[0]["quantityList"][0]}
    for word in words - {"@context", "cbvmda:lotNumber"}:
        assert word in LD_CONTEXT, word
    for step in (event["bizStep"], lots[0]["bizStep"]):
        assert step in LD_CONTEXT["bizStep"]["@context"]
    assert event["disposition"] in LD_CONTEXT["disposition"]["@context"]
    assert LD_CONTEXT["cbvmda"] == "urn:epcglobal:cbv:mda:"


def test_an_event_has_a_thousand_units_at_most_and_each_unit_is_in_one() -> None:
    events = events_of([row(no) for no in range(2500)], pack())
    assert [len(event["epcList"]) for event in events] == [1000, 1000, 500]
    named = [epc for event in events for epc in event["epcList"]]
    assert named == [row(no).resolver_url for no in range(2500)]
    assert len({event["eventID"] for event in events}) == 3


def test_units_of_another_time_are_in_another_event() -> None:
    later = MOMENT + timedelta(seconds=1)
    events = events_of([row(0), row(1, created_at=later), row(2, created_at=later)], pack())
    assert [len(event["epcList"]) for event in events] == [1, 2]
    assert [event["eventTime"][-7:] for event in events] == ["15.000Z", "16.000Z"]


def test_revoked_units_are_left_out() -> None:
    rows = [row(0), row(1, status="revoked"), row(2, status="active")]
    (event,) = events_of(rows, pack())
    assert event["epcList"] == [rows[0].resolver_url, rows[2].resolver_url]
    assert events_of([row(0, status="revoked")], pack()) == []


def test_lots_are_named_with_their_quantities() -> None:
    rows = [lot_row(no, "L1" if no < 3 else "L2") for no in range(5)]
    (event,) = events_of(rows, pack(identity_mode="batch"))
    assert event["bizStep"] == "creating_class_instance"
    assert event["quantityList"] == [
        {"epcClass": f"https://id.example.com/01/{GTIN}/10/L1", "quantity": 3},
        {"epcClass": f"https://id.example.com/01/{GTIN}/10/L2", "quantity": 2},
    ]
    assert "epcList" not in event


def test_the_same_pack_has_the_same_events_and_another_has_others() -> None:
    rows = [row(no) for no in range(3)]
    first = b"".join(write_epcis(pack(), rows))
    assert b"".join(write_epcis(pack(), rows)) == first
    ids = {
        events_of(rows, of)[0]["eventID"]
        for of in (pack(), pack(generated_at=MOMENT + timedelta(hours=1)))
    }
    assert len(ids) == 1
    assert events_of(rows[:2], pack())[0]["eventID"] not in ids
    assert events_of(rows, pack(read_point="urn:a:b"))[0]["eventID"] not in ids


def test_gs1s_own_host_names_units_and_lots_canonically() -> None:
    of = pack(options=EpcisOptions(id_host="id.gs1.org"))
    (event,) = events_of([row(0, serial_number="32a/b")], of)
    assert event["epcList"] == [f"https://id.gs1.org/01/{GTIN}/21/32a%2Fb"]
    read = GS1DigitalLinkURI.parse(event["epcList"][0])
    assert [each.value for each in read.element_strings] == [GTIN, "32a/b"]
    of = pack(options=EpcisOptions(id_host="id.gs1.org"), identity_mode="batch")
    (event,) = events_of([lot_row(0, "L%1")], of)
    assert event["quantityList"][0]["epcClass"] == f"https://id.gs1.org/01/{GTIN}/10/L%251"


def test_gs1s_own_host_is_refused_where_there_is_no_gtin() -> None:
    canonical, own = EpcisOptions(id_host="id.gs1.org"), EpcisOptions()
    (refusal,) = refuse_epcis(subject(gtin=None, options=canonical))
    assert refusal.code == "FORMAT_NOT_APPLICABLE"
    assert refuse_epcis(subject(gtin=None, options=own)) == []
    assert refuse_epcis(subject(options=canonical)) == []


def test_no_more_than_an_event_is_held() -> None:
    taken = 0

    def rows() -> Iterator[UnitRow]:
        nonlocal taken
        for no in range(10 * EVENT_EPCS_MAX):
            taken += 1
            yield row(no)

    events_written = 0
    for part in write_epcis(pack(), rows()):
        events_written += part.count(b'"ObjectEvent"')
        assert taken <= EVENT_EPCS_MAX * events_written + 1
    assert events_written == 10


@pytest.mark.parametrize(
    "minting",
    [{}, {"gtin": None}, {"identity_mode": "batch"}, {"identity_mode": "batch", "gtin": None}],
)
async def test_a_pack_names_the_units_of_its_batch(desk: Desk, minting: dict[str, Any]) -> None:
    location = "urn:epc:id:sgln:9506000.00000.0"
    await desk.world.rpc("update_brand_settings", patch={"biz_location": location})
    minted = await desk.world.minted(6, **minting)
    for name in ("csv", "epcis"):
        await desk.request(minted["mint_batch_id"], format=name)
    await desk.process_all()
    packs = {each["format"]: each for each in await desk.packs()}
    assert packs["epcis"]["storage_path"].endswith(".jsonld")
    plain = columns_of(desk.folder.joinpath(packs["csv"]["storage_path"]).read_bytes())
    content = desk.folder.joinpath(packs["epcis"]["storage_path"]).read_bytes()
    document = json.loads(content)
    SCHEMA.validate(document)
    (event,) = document["epcisBody"]["eventList"]
    assert event["bizLocation"] == {"id": location}
    if "identity_mode" in minting:
        (lot,) = event["quantityList"]
        assert {lot["epcClass"]} == set(plain["resolver_url"])
        assert lot["quantity"] == 6
    else:
        assert event["epcList"] == plain["resolver_url"]
