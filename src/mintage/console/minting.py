"""The mint wizard: product, production batch, quantity and identities; what blocks it and where to mend it;
confirm; then the batch's own page shows the progress.

Every check is the platform's: the arguments are read as `submit_mint_request` reads them, and the reasons are
those of `preflight_mint_batch`. The request's idempotency key is drawn with the form, so that sending it
twice mints once. Not here: minting.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

from starlette.responses import Response

from mintage.console.choices import CHOOSE_ACTIVE_PRODUCT
from mintage.console.forms import Form
from mintage.console.render import fragment, go_to, page, problems_by_field
from mintage.console.texts import text
from mintage.console.visit import Visit
from mintage.errors import (
    INVALID_INPUT,
    SUBJECT_NOT_FOUND,
    ArgumentProblem,
    MintageError,
    invalid_input,
)
from mintage.operations.arguments import SubmitMintRequest, parse_arguments

PRODUCTS_MAX: Final = 200
PRODUCT_BATCHES_MAX: Final = 200
SERIALS_SHOWN_MAX: Final = 5
IDENTITIES: Final = ("serial", "brought", "batch")
"""What units are told apart by: serials of ours, serials that are brought, lots."""
_PRODUCT_REASONS: Final = frozenset(
    {"PRODUCT_NOT_FOUND", "COMMERCIAL_STATUS_NOT_ACTIVE", "MINT_READINESS_NOT_READY"}
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why it cannot be minted, and the page where that is mended."""

    code: str
    message: str
    mend_url: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """The form as it stands, `raw` as the RPC would be asked, and what is wrong with it.

    `problems` are by field; `reasons` are the domain's, asked only of what has no problem.
    """

    raw: dict[str, Any]
    identity: str
    problems: dict[str, str] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)
    is_checked: bool = False

    @property
    def is_ready(self) -> bool:
        return self.is_checked and not self.problems and not self.reasons


async def wizard(visit: Visit) -> Response:
    """`GET /console/b/<slug>/mint?product_id=…`."""
    visit.require("mint:write")
    chosen = visit.request.query_params.get("product_id", "")
    return await _form_page(visit, Form({"product_id": chosen, "key": uuid4().hex}), None)


async def check(visit: Visit, form: Form) -> Response:
    """`POST …/mint/check`: what the form lacks, while it is filled in."""
    visit.require("mint:write")
    return fragment(visit, "parts/mint_check.html", draft=await _draft(visit, form))


async def mint(visit: Visit, form: Form) -> Response:
    """`POST …/mint`: `step` review shows what would be minted, `step` mint mints it."""
    visit.require("mint:write")
    draft = await _draft(visit, form)
    if not draft.is_ready or form.get("step") == "edit":
        is_edited = form.get("step") == "edit"
        return await _form_page(visit, form, None if is_edited else draft)
    if form.get("step") != "mint":
        return await _review_page(visit, form, draft)
    answer = await visit.ask(
        "submit_mint_request",
        **{name.removeprefix("_"): value for name, value in draft.raw.items()},
        idempotency_key=form.get("key") or None,
    )
    if not answer["ok"]:
        draft.reasons.extend(_reasons(visit, form, answer["blocking_reasons"]))
        return await _form_page(visit, form, draft)
    return go_to(visit.request, visit.here.url(f"batches/{answer['mint_batch_id']}"))


async def _draft(visit: Visit, form: Form) -> Draft:
    raw, problems = _arguments(form)
    draft = Draft(raw, form.get("identity") or "serial", problems)
    known = {name: value for name, value in raw.items() if name.lstrip("_") not in problems}
    try:
        parse_arguments(SubmitMintRequest, known | {"_brand_id": str(visit.here.id)})
    except MintageError as error:
        if error.kind is not INVALID_INPUT:
            raise
        for name, sentence in problems_by_field(error).items():
            draft.problems.setdefault(name, sentence)
    # A field that is still empty is not wrong yet, but nothing can be checked without a product.
    if "product_id" in draft.problems or "product_batch_id" in draft.problems:
        return Draft(raw, draft.identity, draft.problems, [], is_checked=True)
    quantity = None if "requested_quantity" in draft.problems else raw.get("_requested_quantity")
    answer = await visit.ask(
        "preflight_mint_batch",
        product_id=raw["_product_id"],
        batch_id=raw.get("_product_batch_id"),
        requested_quantity=quantity,
    )
    reasons = _reasons(visit, form, answer["blocking_reasons"])
    return Draft(raw, draft.identity, draft.problems, reasons, is_checked=True)


def _arguments(form: Form) -> tuple[dict[str, Any], dict[str, str]]:
    """The RPC's arguments of the form, and what could not be read as one."""
    problems: dict[str, str] = {}
    identity = form.get("identity") or "serial"
    raw: dict[str, Any] = {
        "_product_id": form.optional("product_id"),
        "_product_batch_id": form.optional("product_batch_id"),
        "_identity_mode": "batch" if identity == "batch" else "serial",
        "_activation_mode": form.get("activation_mode") or "first_scan",
    }
    try:
        raw["_requested_quantity"] = form.whole_number("requested_quantity")
    except MintageError as error:
        problems |= problems_by_field(error)
    try:
        if identity == "brought":
            raw["_serials"] = _serials(form)
            raw["_requested_quantity"] = len(raw["_serials"]) or None
        if identity == "batch" and form.lines("lots"):
            raw["_lots"] = _lots(form.lines("lots"))
            raw["_requested_quantity"] = sum(lot["qty"] for lot in raw["_lots"])
    except MintageError as error:
        for problem in error.problems:
            problems[problem.argument.lstrip("_")] = f"{problem.problem}; {problem.hint}"
    return {name: value for name, value in raw.items() if value is not None}, problems


def _serials(form: Form) -> list[str]:
    """Serials from the file, if one was chosen, else from the text: one a line."""
    uploaded = form.file_text("serials_file")
    source = form.fields.get("serials", "") if uploaded is None else uploaded
    found = [line.strip().strip('"') for line in source.splitlines() if line.strip()]
    if not found:
        raise invalid_input(
            [ArgumentProblem("_serials", "there are no serials", "give one a line, or a file")]
        )
    return found


def _lots(lines: list[str]) -> list[dict[str, Any]]:
    """Lots from lines of a code and a quantity, with a blank, tab, comma or semicolon between."""
    lots = []
    for number, line in enumerate(lines, start=1):
        parts = line.replace("\t", " ").replace(";", " ").replace(",", " ").split()
        if len(parts) != 2 or not (parts[1].isascii() and parts[1].isdigit() and len(parts[1]) < 9):
            raise invalid_input(
                [
                    ArgumentProblem(
                        "_lots",
                        f"line {number} is no lot code and quantity: {line[:60]}",
                        "write LOT-A 500, one lot a line",
                    )
                ]
            )
        lots.append({"lot_code": parts[0], "qty": int(parts[1])})
    return lots


def _reasons(visit: Visit, form: Form, found: list[dict[str, Any]]) -> list[Reason]:
    reasons = []
    for reason in found:
        code = str(reason["code"])
        path = None
        if code in _PRODUCT_REASONS:
            path = f"products/{quote(form.get('product_id'), safe='')}"
        elif "BATCH" in code:
            path = f"products/{quote(form.get('product_id'), safe='')}#production-batches"
        url = visit.here.url(path) if path is not None else None
        reasons.append(Reason(code, _said(reason), url))
    return reasons


def _said(reason: dict[str, Any]) -> str:
    """The reason's sentence, with the first serials that it names."""
    sentence = str(reason["message"])
    first = (reason.get("details") or {}).get("first") or []
    serials = [str(each["serial"]) for each in first[:SERIALS_SHOWN_MAX]]
    return f"{sentence} {text('mint.first_of_them')} {', '.join(serials)}." if serials else sentence


async def _form_page(visit: Visit, form: Form, draft: Draft | None) -> Response:
    product_id = form.get("product_id")
    products, chosen, batches = await asyncio.gather(
        visit.ask_own(CHOOSE_ACTIVE_PRODUCT, limit=PRODUCTS_MAX),
        _product(visit, product_id),
        _product_batches(visit, product_id),
    )
    offered = products["products"]
    if chosen is not None and all(each["id"] != chosen["id"] for each in offered):
        offered = [chosen, *offered]
    return page(
        visit,
        "mint.html",
        section="mint",
        status=200 if draft is None else 400,
        form=form,
        draft=draft,
        products=offered,
        more_products=products["has_more"],
        chosen=chosen,
        product_batches=batches,
        identities=IDENTITIES,
    )


async def _review_page(visit: Visit, form: Form, draft: Draft) -> Response:
    product, batches = await asyncio.gather(
        _product(visit, draft.raw["_product_id"]),
        _product_batches(visit, draft.raw["_product_id"]),
    )
    of_batch = next(
        (each for each in batches if str(each["id"]) == draft.raw.get("_product_batch_id")), None
    )
    kept = {
        name: value for name, value in form.fields.items() if name not in {"step", "form_token"}
    }
    if "_serials" in draft.raw:
        kept["serials"] = "\n".join(draft.raw["_serials"])
    return page(
        visit,
        "mint_review.html",
        section="mint",
        draft=draft,
        product=product,
        product_batch=of_batch,
        kept=kept,
        serials=draft.raw.get("_serials", [])[:SERIALS_SHOWN_MAX],
    )


async def _product(visit: Visit, product_id: str) -> dict[str, Any] | None:
    """The product; None for an id that is none of the brand's."""
    if not product_id:
        return None
    try:
        answer = await visit.ask("get_product", product_id=product_id)
    except MintageError as error:
        if error.kind not in {INVALID_INPUT, SUBJECT_NOT_FOUND}:
            raise
        return None
    found: dict[str, Any] = answer["product"]
    return found


async def _product_batches(visit: Visit, product_id: str) -> list[dict[str, Any]]:
    """The product's newest production batches; none for an id that is none of the brand's."""
    if not product_id:
        return []
    try:
        answer = await visit.ask(
            "list_product_batches", product_id=product_id, limit=PRODUCT_BATCHES_MAX
        )
    except MintageError as error:
        if error.kind not in {INVALID_INPUT, SUBJECT_NOT_FOUND}:
            raise
        return []
    found: list[dict[str, Any]] = answer["product_batches"]
    return found
