"""Importing products from a table: all rows, or none and every problem of every row.

Performed by the console under a row of its own. Not here: reading files (`console.product_files`), and what a
product is (`products`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from mintage.errors import CONFLICT, INVALID_INPUT, MintageError
from mintage.operations.arguments import (
    BrandArguments,
    CreateProduct,
    UpdateProduct,
    parse_arguments,
)
from mintage.operations.call import Answer, Call, Refused
from mintage.operations.products import create_product, update_product

ROWS_MAX: Final = 2000
COLUMNS: Final = (
    "sku",
    "name",
    "gtin",
    "description",
    "image_url",
    "commercial_status",
    "mint_readiness_status",
)
"""The columns of an import; the first two are required, the last two are for owners and admins."""
_GATES: Final = COLUMNS[-2:]


class ImportProducts(BrandArguments):
    rows: Annotated[list[dict[str, str]], Field(min_length=1, max_length=ROWS_MAX)] = Field(
        description=f"a list of 1 to {ROWS_MAX} objects of texts"
    )
    is_dry_run: bool = Field(description="true to change nothing")


async def import_products(call: Call, arguments: ImportProducts) -> Answer:
    """Make a product of each row: `{ok, created, problems: [{row, column, problem, hint}]}`.

    Rows count from 1. With a problem, or as a dry run, nothing is made; `created` says how many could be.
    """
    problems: list[dict[str, object]] = []
    created = 0
    for number, row in enumerate(arguments.rows, start=1):
        try:
            await _import(call, row)
            created += 1
        except MintageError as error:
            if error.kind not in {INVALID_INPUT, CONFLICT}:
                raise
            problems += _problems(number, error)
        except Refused as refusal:
            problems += [
                {"row": number, "column": "", "problem": reason["message"], "hint": ""}
                for reason in _reasons(refusal)
            ]
    answer = {"ok": not problems, "created": created, "problems": problems}
    if problems or arguments.is_dry_run:
        raise Refused(answer)
    return answer


async def _import(call: Call, row: Mapping[str, str]) -> None:
    brand = {"_brand_id": str(call.brand_id)}
    given = {f"_{name}": value for name, value in row.items() if value and name not in _GATES}
    made = await create_product(call, parse_arguments(CreateProduct, brand | given))
    patch = {name: row[name].upper().replace(" ", "_") for name in _GATES if row.get(name)}
    if patch:
        product: Any = made["product"]
        raw = brand | {"_product_id": str(product["id"]), "_patch": patch}
        await update_product(call, parse_arguments(UpdateProduct, raw))


def _problems(number: int, error: MintageError) -> list[dict[str, object]]:
    if not error.problems:
        return [{"row": number, "column": "", "problem": error.message, "hint": error.hint or ""}]
    return [
        {
            "row": number,
            "column": problem.argument.removeprefix("_patch.").lstrip("_"),
            "problem": problem.problem,
            "hint": problem.hint,
        }
        for problem in error.problems
    ]


def _reasons(refusal: Refused) -> list[dict[str, Any]]:
    reasons = refusal.answer["blocking_reasons"]
    return reasons if isinstance(reasons, list) else []
