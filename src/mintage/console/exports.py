"""Exports: ask for packs in a format with its options, watch them being written, download them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

from starlette.responses import RedirectResponse, Response

from mintage.console.acting import tried
from mintage.console.choices import CHOOSE_EXPORTABLE_BATCH
from mintage.console.export_preview import Preview, preview_of, request_of
from mintage.console.forms import Form
from mintage.console.lists import listed
from mintage.console.option_fields import fields_of, shown
from mintage.console.render import HEADERS, fragment, go_to, page
from mintage.console.texts import text
from mintage.console.visit import Visit
from mintage.errors import INVALID_INPUT, ROUTE_NOT_FOUND, SUBJECT_NOT_FOUND, MintageError
from mintage.operations import downloads
from mintage.operations import exports as operations_exports
from mintage.operations.downloads import files_of
from mintage.packs.formats import FORMATS
from mintage.packs.print_profiles import PROFILES
from mintage.permits import DownloadPermit, sign_permit
from mintage.rpcs import Rpc
from mintage.rules.lifecycle import PACK_STATUSES
from mintage.storage import BUCKET

_FIND: Final = Rpc(
    downloads.find_pack_files, downloads.FindPackFiles, "exports:read", is_read_only=True
)
_FIND_EXPORT: Final = Rpc(
    operations_exports.find_export_of_pack,
    operations_exports.FindExportOfPack,
    "mint:read",
    is_read_only=True,
)
_DOWNLOAD_LIFETIME_S: Final = 60
_PACKS_MAX: Final = 200
_BATCHES_MAX: Final = 100
_DEFAULT_FORMAT: Final = "csv"


async def exports(visit: Visit) -> Response:
    """`GET /console/b/<slug>/exports`."""
    found = await listed(visit, "list_payload_packs", "packs", ("status", "mint_batch_id"))
    return page(visit, "exports.html", section="exports", listed=found, statuses=PACK_STATUSES)


async def new_export(visit: Visit) -> Response:
    """`GET …/exports/new?mint_batch_id=…&format=…`."""
    visit.require("exports:write")
    query = visit.request.query_params
    form = Form(
        {
            "mint_batch_id": query.get("mint_batch_id", ""),
            "format": query.get("format", _DEFAULT_FORMAT),
        }
    )
    return await _form_page(visit, form)


async def request_export(visit: Visit, form: Form) -> Response:
    """`POST …/exports/new`."""
    visit.require("exports:write")
    if form.get("step") == "preview":
        return await _form_page(visit, form, is_posted=True, preview=await preview_of(visit, form))
    outcome = await tried(visit, "request_payload_packs", **request_of(form))
    if outcome.answer is None:
        return await _form_page(
            visit, form, problem=outcome.problem, status=outcome.status, is_posted=True
        )
    answer = outcome.answer
    return go_to(visit.request, visit.here.url(f"exports/{answer['export_group_id']}"))


async def preview(visit: Visit, form: Form) -> Response:
    """`POST …/exports/preview`: one row or label of what the form asks for, for its page."""
    visit.require("exports:write")
    return fragment(visit, "parts/preview.html", preview=await preview_of(visit, form))


async def group(visit: Visit) -> Response:
    """`GET …/exports/<id>`: the packs of one export."""
    return page(visit, "export.html", section="exports", **await _group_facts(visit))


async def of_pack(visit: Visit) -> Response:
    """`GET …/exports/of-pack/<id>`: leads to the export that a pack is of."""
    pack_id = visit.id_in_address("export.not_found")
    answer = await visit.find(_FIND_EXPORT, "export.not_found", pack_id=pack_id)
    return go_to(visit.request, visit.here.url(f"exports/{answer['export_group_id']}"))


async def group_progress(visit: Visit) -> Response:
    """`GET …/exports/<id>/progress`."""
    facts = await _group_facts(visit)
    response = fragment(visit, "parts/packs.html", **facts)
    if not facts["is_running"]:
        response.headers["hx-refresh"] = "true"
    return response


async def download(visit: Visit) -> Response:
    """`GET …/download/<path>`: leads to a signed address of the file, good for a minute."""
    path = visit.request.path_params["path"]
    answer = await visit.ask_own(_FIND, paths=[path])
    file = files_of(answer).get(path)
    if file is None:
        raise MintageError(ROUTE_NOT_FOUND, message=text("export.no_file"))
    permit = DownloadPermit(
        bucket=BUCKET,
        path=path,
        pack_id=file.pack_id,
        signed_at_s=_now_s(answer),
        expires_at_s=_now_s(answer) + _DOWNLOAD_LIFETIME_S,
        signer_type="user",
        signer_id=visit.session.user_id,
    )
    token = sign_permit(visit.door.secrets.storage_keys, permit)
    url = f"/storage/v1/object/sign/{BUCKET}/{path}?token={token}"
    return RedirectResponse(url, 303, HEADERS)


def _now_s(answer: Mapping[str, object]) -> float:
    return cast("datetime", answer["now"]).timestamp()


async def _group_facts(visit: Visit) -> dict[str, Any]:
    group_id = visit.id_in_address("export.not_found")
    packs: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = await visit.ask(
            "list_payload_packs", export_group_id=group_id, limit=_PACKS_MAX, cursor=cursor
        )
        packs += answer["packs"]
        cursor = answer["next_cursor"]
        if cursor is None or len(packs) > _PACKS_MAX * 5:
            break
    if not packs:
        raise MintageError(ROUTE_NOT_FOUND, message=text("export.not_found"))
    packs.sort(key=lambda pack: (pack["pack_index"], str(pack["id"])))
    done = sum(pack["status"] == "completed" for pack in packs)
    return {
        "packs": packs,
        "first": packs[0],
        "group_id": group_id,
        "done": done,
        "is_running": any(pack["status"] in {"pending", "generating"} for pack in packs),
        "total_bytes": sum(pack["byte_size"] or 0 for pack in packs),
    }


async def _form_page(
    visit: Visit,
    form: Form,
    *,
    problem: str | None = None,
    status: int = 200,
    is_posted: bool = False,
    preview: Preview | None = None,
) -> Response:
    pack_format = FORMATS.get(form.get("format"), FORMATS[_DEFAULT_FORMAT])
    batches, chosen = await asyncio.gather(
        visit.ask_own(CHOOSE_EXPORTABLE_BATCH, limit=_BATCHES_MAX),
        _chosen_batch(visit, form.get("mint_batch_id")),
    )
    exportable = batches["batches"]
    if chosen is not None and all(batch["id"] != chosen["id"] for batch in exportable):
        exportable.insert(0, chosen)
    return page(
        visit,
        "export_new.html",
        section="exports",
        status=status,
        form=form,
        problem=problem,
        batches=exportable,
        formats=[name for name in FORMATS if name != "group_manifest"],
        format=pack_format,
        fields=[
            (field, shown(field, form, is_posted=is_posted))
            for field in fields_of(pack_format.options_model)
        ],
        profiles=PROFILES.values(),
        preview=preview,
        is_posted=is_posted,
    )


async def _chosen_batch(visit: Visit, batch_id: str) -> dict[str, Any] | None:
    if not batch_id:
        return None
    try:
        answer = await visit.ask("get_mint_batch_by_id", mint_batch_id=batch_id)
    except MintageError as error:
        if error.kind not in {INVALID_INPUT, SUBJECT_NOT_FOUND}:
            raise
        return None
    return cast("dict[str, Any]", answer["batch"])
