"""The OpenAPI document: valid, whole, and what it shows as an example holds by its own schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from mintage.api.openapi import openapi_document
from mintage.api.routes import api_routes
from mintage.api.rpc_pages import topics
from mintage.operations.answer_models import ReasonCode
from mintage.operations.answers import ANSWERS
from mintage.operations.argument_checks import SET_82_FORM
from mintage.operations.argument_faults import by_wire_name
from mintage.rpcs import RPCS
from mintage.rules.gs1 import SET_82
from tests.api.conftest import Api

DOCUMENT = openapi_document()
ERRORS_PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
# The route of RPCs by name, which the document lists one by one.
OPEN_ROUTES = {"/rest/v1/rpc/{name}"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """A validator of `schema`, whose references lead into the document."""
    whole = schema | {"components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(
        whole, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def examples_of(media: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for title, example in media.get("examples", {}).items():
        yield title, example["value"]


def test_the_document_is_valid_openapi() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


async def test_the_document_is_served(api: Api) -> None:
    answer = await api.client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == json.loads(json.dumps(DOCUMENT))
    head = await api.client.head("/openapi.json")
    assert (head.status_code, head.content) == (200, b"")
    refused = await api.client.post("/openapi.json")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("name", RPCS)
def test_every_rpc_is_there_by_post_and_by_get_if_it_only_reads(name: str) -> None:
    methods = DOCUMENT["paths"][f"/rest/v1/rpc/{name}"]
    assert set(methods) == ({"get", "post"} if RPCS[name].is_read_only else {"post"})
    assert {bool(operation.get("deprecated")) for operation in methods.values()} == {
        RPCS[name].is_deprecated
    }


def test_every_rpc_says_what_it_answers() -> None:
    assert set(ANSWERS) == set(RPCS), "add the RPC's row to operations/answers.py"


def test_every_rpc_has_a_topic() -> None:
    listed = [name for names in topics().values() for name in names]
    assert len(listed) == len(set(listed)), "docs/api/README.md lists a page twice"
    assert set(RPCS) <= set(listed), "list the page in docs/api/README.md"


def test_every_route_is_in_the_document(api: Api) -> None:
    routes = {
        route.path.replace(":path}", "}")
        for route in api_routes(api.door)
        if isinstance(route, Route)
    }
    others = {path for path in DOCUMENT["paths"] if not path.startswith("/rest/v1/rpc/")}
    assert routes - OPEN_ROUTES == others, "add the route to api/openapi_doors.py"


@pytest.mark.parametrize("name", RPCS)
def test_the_arguments_are_those_of_the_model(name: str) -> None:
    methods = DOCUMENT["paths"][f"/rest/v1/rpc/{name}"]
    required = {
        argument: field.is_required()
        for argument, field in by_wire_name(RPCS[name].arguments).items()
    }
    reference = methods["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]
    assert {
        argument: argument in schema.get("required", []) for argument in schema["properties"]
    } == required
    assert schema["additionalProperties"] is False
    if "get" in methods:
        parameters = methods["get"]["parameters"]
        assert {each["name"]: each["required"] for each in parameters} == required


@pytest.mark.parametrize("name", RPCS)
def test_an_optional_argument_may_be_null(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][RPCS[name].arguments.__name__]
    for argument, inner in schema["properties"].items():
        is_required = argument in schema.get("required", [])
        assert validator(inner).is_valid(None) is not is_required, argument


@pytest.mark.parametrize("name", RPCS)
def test_the_examples_hold_by_their_schemas(name: str) -> None:
    tried = 0
    for operation in DOCUMENT["paths"][f"/rest/v1/rpc/{name}"].values():
        parts = [operation.get("requestBody", {}), operation["responses"]["200"]]
        for media in (part["content"]["application/json"] for part in parts if part):
            for title, example in examples_of(media):
                faults = [
                    fault.message for fault in validator(media["schema"]).iter_errors(example)
                ]
                assert not faults, f"docs/api/{name}.md, {title}: {faults}"
                tried += 1
    assert tried >= 2


def test_names_are_told_once() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    assert not [name for name in DOCUMENT["components"]["schemas"] if "__" in name], (
        "two models have one name"
    )


def test_every_component_is_used() -> None:
    text = json.dumps(DOCUMENT)
    unused = [
        f"{kind}/{name}"
        for kind in ("schemas", "headers")
        for name in DOCUMENT["components"][kind]
        if f'"#/components/{kind}/{name}"' not in text
    ]
    assert not unused


def test_an_operation_without_a_token_is_one_of_these() -> None:
    public = {name["operationId"] for _, _, name in operations() if not name["security"]}
    assert public == {
        "token",
        "auth_settings",
        "jwks",
        "manifest_keys",
        "download_signed_file",
        "openapi",
        "documentation",
        "documentation_page",
    }


def test_every_reason_is_on_the_page_of_errors() -> None:
    section = ERRORS_PAGE.read_text("utf-8").partition("\n## Refusals\n")[2]
    told = set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE))
    assert told == set(get_args(ReasonCode)), (
        "the codes of answer_models.ReasonCode and of docs/errors.md"
    )


def test_what_is_stated_of_set_82_is_the_rule_itself() -> None:
    form = re.compile(SET_82_FORM)
    allowed = {chr(code) for code in range(0x3000) if form.search(chr(code))}
    assert allowed == set(SET_82)
