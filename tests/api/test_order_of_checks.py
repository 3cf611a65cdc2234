"""The order of checks (SPEC §2): of several faults in one call the earlier one is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from uuid import uuid4

import pytest

from tests.api.conftest import Api, problems

MIB = 1024 * 1024
Fault = Callable[["Request"], None]


@dataclass
class Request:
    """A right call of create_product by an owner, until faults are put into it."""

    method: str = "POST"
    name: str = "create_product"
    content_type: str = "application/json"
    caller: str = "owner"
    brand: str = ""
    body: bytes | None = None
    extra: str = ""

    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        return f'{{"_brand_id":"{self.brand}","_sku":"A1","_name":"Oak"{self.extra}}}'.encode()


def too_large(request: Request) -> None:
    request.body = request.content() + b" " * MIB


def wrong_media_type(request: Request) -> None:
    request.content_type = "text/plain"


def unknown_name(request: Request) -> None:
    request.name = "create_everything"


def wrong_method(request: Request) -> None:
    request.method = "PUT"


def anonymous(request: Request) -> None:
    request.caller = "anonymous"


def no_object(request: Request) -> None:
    request.body = b"[1]" + (request.body or b"")[3:]


def no_brand(request: Request) -> None:
    request.brand = "acme"


def stranger(request: Request) -> None:
    request.caller = "stranger" if request.caller == "owner" else request.caller


def bad_argument(request: Request) -> None:
    request.extra = ',"_gtin":7,"_colour":"red"'


# In the order of SPEC §2.
FAULTS: dict[Fault, int] = {
    too_large: 413,
    wrong_media_type: 415,
    unknown_name: 404,
    wrong_method: 405,
    anonymous: 401,
    no_object: 400,
    no_brand: 400,
    stranger: 403,
    bad_argument: 400,
}


async def send(api: Api, request: Request) -> tuple[int, dict[str, str]]:
    headers = {"content-type": request.content_type} | api.headers(request.caller)
    response = await api.client.request(
        request.method,
        f"/rest/v1/rpc/{request.name}",
        content=request.content(),
        headers=headers,
    )
    named = problems(response) if response.status_code != 200 else {}
    return response.status_code, named


async def test_a_call_without_a_fault_is_answered(api: Api) -> None:
    status, _ = await send(api, Request(brand=str(api.world.brand_id)))
    assert status == 200


@pytest.mark.parametrize(
    ("earlier", "later"), list(combinations(FAULTS, 2)), ids=lambda fault: fault.__name__
)
async def test_the_earlier_of_two_faults_is_answered(
    api: Api, earlier: Fault, later: Fault
) -> None:
    request = Request(brand=str(api.world.brand_id))
    # The later fault first: one that replaces the body must not hide the other.
    later(request)
    earlier(request)
    status, named = await send(api, request)
    assert status == FAULTS[earlier]
    if earlier is no_brand:
        assert list(named) == ["_brand_id"]
    elif earlier in (no_object, stranger):
        assert named == {}


async def test_all_faults_at_once_answer_the_first_that_is_left(api: Api) -> None:
    faults = list(FAULTS)
    for place in range(len(faults)):
        request = Request(brand=str(api.world.brand_id))
        for fault in reversed(faults[place:]):
            fault(request)
        status, _ = await send(api, request)
        assert status == FAULTS[faults[place]], faults[place].__name__


async def test_a_content_encoding_is_refused_before_the_route(api: Api) -> None:
    response = await api.post(
        "/rest/v1/rpc/nothing", "anonymous", b"\x1f\x8b", headers={"content-encoding": "gzip"}
    )
    assert response.status_code == 415


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, identity"])
async def test_a_content_encoding_is_refused_at_every_door(api: Api, encoding: str) -> None:
    json_type, form_type = "application/json", "application/x-www-form-urlencoded"
    for path, content_type in (
        ("/rest/v1/rpc/list_my_brands", json_type),
        ("/functions/v1/mint-api-v1", json_type),
        ("/storage/v1/object/sign/payload-packs", json_type),
        ("/auth/v1/token?grant_type=password", json_type),
        ("/auth/v1/token?grant_type=client_credentials", form_type),
    ):
        headers = {"content-encoding": encoding, "content-type": content_type}
        response = await api.post(path, "owner", b"{}", headers=headers)
        assert response.status_code == 415, path


async def test_arguments_come_before_idempotency_and_the_domain(api: Api) -> None:
    response = await api.call(
        "submit_mint_request",
        brand_id=api.world.brand_id,
        product_id=uuid4(),
        requested_quantity=0,
        identity_mode="serial",
        activation_mode="first_scan",
        idempotency_key="once",
    )
    assert response.status_code == 400
    assert list(problems(response)) == ["_requested_quantity"]
