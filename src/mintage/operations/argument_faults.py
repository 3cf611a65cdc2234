"""Which argument is wrong, how, and what would be right: pydantic's faults in our words (SPEC §2).

A field's description completes the sentence "must be …". Not here: the models (`arguments`).
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from mintage.errors import ArgumentProblem

_PLAIN_PROBLEMS: Final = {
    "int_type": "is no integer",
    "int_from_float": "is no integer",
    "string_type": "is no text",
    "bool_type": "is neither true nor false",
    "list_type": "is no list",
    "dict_type": "is no object",
    "model_type": "is no object",
    "model_attributes_type": "is no object",
    "literal_error": "is none of the values that exist",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "too_long": "has too many entries",
    "too_short": "has too few entries",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "has the wrong form",
}


def problems_of(model: type[BaseModel], error: ValidationError) -> list[ArgumentProblem]:
    """Every fault that pydantic found, by wire name, with what would be right."""
    problems = []
    for fault in error.errors(include_url=False, include_context=False, include_input=True):
        argument = _argument_name(fault["loc"])
        hint = _hint(model, fault["loc"])
        match fault["type"]:
            case "missing":
                problem = "is missing"
            case "extra_forbidden":
                problem, hint = _unknown_key(model, fault["loc"])
            case _ if fault["input"] is None:
                problem = "is null"
            case "uuid" | "moment" | "date":
                problem = fault["msg"]
            case kind:
                problem = _PLAIN_PROBLEMS.get(kind, fault["msg"][:1].lower() + fault["msg"][1:])
        problems.append(ArgumentProblem(argument, problem, hint))
    return problems


def _argument_name(location: tuple[int | str, ...]) -> str:
    name = ""
    for part in location:
        if isinstance(part, int):
            name += f"[{part}]"
        elif name:
            name += f".{part}"
        else:
            name = part
    return name


def _unknown_key(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[str, str]:
    """The problem and the hint for a key that the function, or an object inside, does not have."""
    owner: type[BaseModel] | None = model
    for part in location[:-1]:
        if isinstance(part, str) and owner is not None:
            owner = _model_inside(by_wire_name(owner)[part].annotation)
    names = ", ".join(sorted(by_wire_name(owner or model)))
    if len(location) > 1:
        return "is no key of this object", f"the keys are {names}"
    return "is no argument of this function", f"the arguments are {names}"


def _hint(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    current: type[BaseModel] | None = model
    description = "an argument of this function"
    for part in location:
        if isinstance(part, int) or current is None:
            continue
        field = by_wire_name(current).get(part)
        if field is None:
            break
        description = field.description or _description_inside(field.annotation) or description
        current = _model_inside(field.annotation)
    return f"must be {description}"


def _description_inside(annotation: object) -> str | None:
    """The description of an `Annotated` inside an optional, which pydantic leaves where it is."""
    for part in (*getattr(annotation, "__metadata__", ()), *getattr(annotation, "__args__", ())):
        found = part.description if isinstance(part, FieldInfo) else _description_inside(part)
        if found:
            return found
    return None


def _model_inside(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if found := _model_inside(part):
            return found
    return None


def by_wire_name(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the names that callers use."""
    return {field.alias or name: field for name, field in model.model_fields.items()}
