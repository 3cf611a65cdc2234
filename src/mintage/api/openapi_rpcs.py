"""The RPCs of the table as paths of the OpenAPI document.

Arguments come from their models, answers from `operations.answers`, purpose, examples and errors from the
RPC's page, links from what an answer holds and an argument takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mintage.api.openapi_models import RpcError
from mintage.api.openapi_responses import error_answers, json_answer
from mintage.api.openapi_schemas import Json, query_parameters, reference
from mintage.api.rpc_pages import RpcPage, rpc_page, topics
from mintage.operations.answers import ANSWERS
from mintage.operations.argument_faults import by_wire_name
from mintage.rpcs import RPCS, Rpc
from mintage.rules.roles import SCOPE_OF_ACTION

_ALWAYS: Final = frozenset({400, 401, 403, 408, 413, 415, 429, 500, 503})
_SUMMARY_CHARACTERS_MAX: Final = 120
# Which answers hold what an argument of another RPC takes.
_SOURCES: Final = {
    "_product_id": (("create_product", "/product/id"), ("list_products", "/products/0/id")),
    "_product_batch_id": (
        ("create_product_batch", "/product_batch/id"),
        ("list_product_batches", "/product_batches/0/id"),
    ),
    "_mint_batch_id": (
        ("submit_mint_request", "/mint_batch_id"),
        ("list_mint_batches", "/batches/0/id"),
    ),
    "_mint_job_id": (
        ("submit_mint_request", "/mint_job_id"),
        ("preflight_mint_batch", "/id"),
    ),
    "_mint_lot_id": (("get_mint_batch_by_id", "/batch/lots/0/id"),),
    "_unit_id": (("list_mint_units", "/units/0/id"),),
    "_export_group_id": (("request_payload_packs", "/export_group_id"),),
    "_link_id": (("set_product_link", "/link/id"),),
    "_api_key_id": (("create_api_key", "/id"),),
    "_user_id": (("set_brand_member", "/user_id"),),
}


def rpc_paths() -> Json:
    """POST for every RPC, GET with a query as well for those that only read."""
    topic_of = {name: topic for topic, names in topics().items() for name in names}
    return {
        f"/rest/v1/rpc/{name}": _methods(name, rpc, topic_of.get(name, "Other"))
        for name, rpc in RPCS.items()
    }


def _methods(name: str, rpc: Rpc, topic: str) -> Json:
    page = rpc_page(name)
    post = _operation(name, rpc, page, topic, "$request.body#/_brand_id")
    post["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {
                "schema": reference(rpc.arguments),
                "examples": {"Request": {"value": page.request.content}},
            }
        },
    }
    if not rpc.is_read_only:
        return {"post": post}
    get = _operation(name, rpc, page, topic, "$request.query._brand_id") | {
        "operationId": f"{name}_by_get",
        "parameters": query_parameters(rpc.arguments),
    }
    return {"get": get, "post": post}


def _operation(name: str, rpc: Rpc, page: RpcPage, topic: str, brand: str) -> Json:
    operation: Json = {
        "operationId": name,
        "tags": [topic],
        "summary": _summary(page.purpose),
        "description": page.purpose,
        "externalDocs": {"url": f"/docs/api/{name}"},
        "security": _security(rpc),
        "responses": {
            "200": _answer(name, rpc, page, brand),
            **error_answers([RpcError], _ALWAYS | page.errors.keys(), page.errors),
        },
    }
    if rpc.is_deprecated:
        operation["deprecated"] = True
    return operation


def _summary(purpose: str) -> str:
    sentence = purpose.replace("**", "").partition(". ")[0].partition("\n")[0].rstrip(".")
    if len(sentence) <= _SUMMARY_CHARACTERS_MAX:
        return sentence
    return sentence[: _SUMMARY_CHARACTERS_MAX - 1] + "…"


def _security(rpc: Rpc) -> list[Json]:
    scope = SCOPE_OF_ACTION.get(rpc.action)
    return [{"bearer": []}] + ([{"api_key": [scope]}] if scope is not None else [])


def _answer(name: str, rpc: Rpc, page: RpcPage, brand: str) -> Json:
    models = [reference(model) for model in ANSWERS[name].models]
    headers = {"Deprecation": {"$ref": "#/components/headers/Deprecation"}}
    answer = json_answer(
        models[0] if len(models) == 1 else {"oneOf": models},
        "What it did, or `ok: false` and why the rules refuse"
        if ANSWERS[name].refusals
        else "What it did",
        examples=_numbered(page),
        headers=headers if rpc.is_deprecated else None,
    )
    links = dict(_links(name, brand))
    return answer | ({"links": links} if links else {})


def _numbered(page: RpcPage) -> dict[str, object]:
    """The examples by title; a second one under the same heading has a number."""
    examples: dict[str, object] = {}
    for example in page.answers:
        number = sum(title.startswith(example.title) for title in examples) + 1
        examples[example.title if number == 1 else f"{example.title} {number}"] = example.content
    return examples


def _links(source: str, brand: str) -> Iterator[tuple[str, Json]]:
    """From an answer to each RPC that takes an id of it; `brand` is where the request names its brand."""
    for argument, sources in _SOURCES.items():
        pointer = dict(sources).get(source)
        if pointer is None:
            continue
        for target, rpc in RPCS.items():
            fields = by_wire_name(rpc.arguments)
            if argument not in fields:
                continue
            body = {argument: f"$response.body#{pointer}"}
            if "_brand_id" in fields:
                body["_brand_id"] = brand
            yield f"{target}{argument}", {"operationId": target, "requestBody": body}
