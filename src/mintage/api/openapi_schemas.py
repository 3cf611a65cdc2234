"""Schemas of the OpenAPI document from the models of arguments and answers.

pydantic writes them; what it cannot know is put right here: null is as good as absent for an optional
argument (SPEC §2) but not for every key of a patch, and a query holds no null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from mintage.api.openapi_models import DOOR_ANSWERS, ERRORS
from mintage.operations.answers import ANSWERS
from mintage.operations.arguments import Arguments, NotNull, Patch
from mintage.rpcs import RPCS

Json = dict[str, Any]
_PLACE: Final = "#/components/schemas/"
_NULL: Final = {"type": "null"}


def reference(model: type[BaseModel]) -> Json:
    """The JSON reference to `model` among the document's component schemas (OpenAPI 3.1)."""
    return {"$ref": f"{_PLACE}{model.__name__}"}


def component_schemas() -> Json:
    """Every schema of the document by name: arguments, answers, errors and what they are made of."""
    arguments = [rpc.arguments for rpc in RPCS.values()]
    answers = [model for row in ANSWERS.values() for model in row.models]
    wire = _schemas_of([*answers, *ERRORS, *DOOR_ANSWERS])
    given = _schemas_of(arguments)
    for name, schema in wire.items():
        wire[name] = _plain(schema)
    for name, schema in given.items():
        given[name] = _plain(schema)
    for model in arguments:
        _allow_null(model, given[model.__name__])
        _mend_patches(model, given)
    if twice := wire.keys() & given.keys():
        raise ValueError(f"one name for an argument and an answer: {sorted(twice)}")
    return dict(sorted((given | wire).items()))


def query_parameters(model: type[Arguments]) -> list[Json]:
    """The arguments of a read-only RPC as they stand in a query: no null, no object."""
    (schema,) = (
        _plain(schema) for name, schema in _schemas_of([model]).items() if name == model.__name__
    )
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": _without_null(inner),
        }
        | _description(inner)
        for name, inner in schema["properties"].items()
    ]


def _schemas_of(models: Iterable[type[BaseModel]]) -> Json:
    _, definitions = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)],
        by_alias=True,
        ref_template=_PLACE + "{model}",
    )
    found: Json = definitions["$defs"]
    return found


def _plain(schema: Any) -> Any:
    """Without the titles, which repeat the names, and without defaults that only say "absent"."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {}
    for key, value in schema.items():
        if key == "properties":
            kept[key] = {name: _plain(inner) for name, inner in value.items()}
        elif (key, type(value)) != ("title", str) and not (key == "default" and value is None):
            kept[key] = value if key in {"default", "const", "enum"} else _plain(value)
    return kept


def _allow_null(model: type[Arguments], schema: Json) -> None:
    for name, inner in schema["properties"].items():
        if name not in schema.get("required", []) and _NULL not in inner.get("anyOf", []):
            schema["properties"][name] = _description(inner) | {"anyOf": [inner, _NULL]}


def _mend_patches(model: type[BaseModel], schemas: Json) -> None:
    """A patch has a key at least, and some of its keys are never null."""
    for field in model.model_fields.values():
        for patch in _patches(field.annotation):
            schema = schemas[patch.__name__]
            schema["minProperties"] = 1
            for name, inner in patch.model_fields.items():
                if NotNull in inner.metadata:
                    schema["properties"][name] = _without_null(schema["properties"][name])
            _mend_patches(patch, schemas)


def _patches(annotation: object) -> list[type[Patch]]:
    if isinstance(annotation, type) and issubclass(annotation, Patch):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _patches(part)]


def _without_null(schema: Json) -> Json:
    if "anyOf" not in schema:
        return schema
    outer = {key: value for key, value in schema.items() if key != "anyOf"}
    (inner,) = (branch for branch in schema["anyOf"] if branch != _NULL)
    return {**inner, **outer}


def _description(schema: Json) -> Json:
    """What an argument must be, wherever pydantic has put it."""
    told = [schema, *schema.get("anyOf", [])]
    found = next((each["description"] for each in told if "description" in each), None)
    return {} if found is None else {"description": found}
