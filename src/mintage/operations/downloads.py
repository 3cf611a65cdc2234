"""Handing out payload packs: which file a path names, and the record of each download (SPEC §7).

A path is compared with the paths of completed packs, in the brand that it begins with; it is never
joined to a folder. Performed by the storage door under rows of its own. Not here: tokens and bytes
(`permits`, `storage`), HTTP (`api.storage`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from pydantic import Field, StringConstraints

from mintage.db.queries import query
from mintage.errors import ROUTE_NOT_FOUND, ArgumentProblem, MintageError, invalid_input
from mintage.operations.arguments import BrandArguments, Uuid
from mintage.operations.call import Answer, Call
from mintage.operations.events import record_event
from mintage.packs.formats import media_type_of
from mintage.packs.print_profiles import PROFILES, PackPlace
from mintage.packs.tables import PLAIN

_FILES: Final = query("export", "files")
_PATHS_MAX: Final = 200

ObjectPath = Annotated[
    str, StringConstraints(max_length=200), Field(description="the storage_path of a pack")
]


class FindPackFiles(BrandArguments):
    paths: list[ObjectPath] = Field(max_length=_PATHS_MAX, description="a list of storage paths")


class DownloadPackFile(BrandArguments):
    path: ObjectPath
    is_recorded: bool = Field(default=True, description="false where no byte is sent")


class DownloadSignedPackFile(DownloadPackFile):
    pack_id: Uuid = Field(description="the UUID of a payload pack")
    expires_at_s: float = Field(description="a time in seconds since 1970")
    signer_type: str = Field(description="who signed the URL: user, api_key or service")
    signer_id: Uuid | None = Field(default=None, description="the UUID of who signed the URL")


@dataclass(frozen=True, slots=True)
class PackFile:
    """The file of a completed pack. `byte_size` and `sha256` (hexadecimal) are those stated.

    `may_be_redirected`: the brand lets a signed URL lead on to the store.
    """

    pack_id: UUID
    export_group_id: UUID
    mint_batch_id: UUID
    path: str
    file_name: str
    media_type: str
    byte_size: int
    sha256: str
    completed_at: datetime
    may_be_redirected: bool


async def find_pack_files(call: Call, arguments: FindPackFiles) -> Answer:
    """The files that `paths` name, by path: `{ok, now, files}`.

    A path of no completed pack, or of a voided batch, is missing in `files`.
    """
    files = await _files(call, arguments.paths)
    return {"ok": True, "now": call.now, "files": files}


async def download_pack_file(call: Call, arguments: DownloadPackFile) -> Answer:
    """Record a member's download: `{ok, files}` with the one file. 404 if there is none."""
    files = await _files(call, [arguments.path])
    file = _only(files, arguments.path)
    if arguments.is_recorded:
        await _record_download(call, file, {"is_signed_url": False})
    return {"ok": True, "files": files}


async def download_signed_pack_file(call: Call, arguments: DownloadSignedPackFile) -> Answer:
    """Record a download by a signed URL, whose bearer is nobody known: `{ok, now, files}`.

    400 for a URL that has expired, 404 if there is no such file any more.
    """
    if not call.now.timestamp() < arguments.expires_at_s:
        raise bad_token("has expired")
    files = await _files(call, [arguments.path])
    file = _only(files, arguments.path)
    if file.pack_id != arguments.pack_id:
        raise object_not_found()
    if arguments.is_recorded:
        signer_id = str(arguments.signer_id) if arguments.signer_id is not None else None
        signed_by = {"type": arguments.signer_type, "id": signer_id}
        await _record_download(call, file, {"is_signed_url": True, "signed_by": signed_by})
    return {"ok": True, "now": call.now, "files": files}


def files_of(answer: Answer) -> dict[str, PackFile]:
    """The `files` of an answer of this module."""
    files = answer["files"]
    if not isinstance(files, dict):
        raise TypeError("an answer with files is due")
    return files


def object_not_found() -> MintageError:
    """404 for whatever there is not, or not for this caller."""
    return MintageError(ROUTE_NOT_FOUND, message="Object not found")


def bad_token(problem: str) -> MintageError:
    """400 for a signed URL that opens nothing (any more)."""
    return invalid_input([ArgumentProblem("token", problem, "sign the path again")])


async def _files(call: Call, paths: list[str]) -> dict[str, PackFile]:
    records = await call.connection.fetch(_FILES, call.brand_id, paths)
    return {record["storage_path"]: _file(record) for record in records}


def _file(record: asyncpg.Record) -> PackFile:
    path: str = record["storage_path"]
    place = PackPlace(
        export_group_id=record["export_group_id"],
        mint_batch_id=record["mint_batch_id"],
        product_sku=record["product_sku"] or "",
        pack_index=record["pack_index"],
        pack_count=record["pack_count"],
        extension=path.rpartition(".")[2],
    )
    return PackFile(
        pack_id=record["id"],
        export_group_id=record["export_group_id"],
        mint_batch_id=record["mint_batch_id"],
        path=path,
        file_name=PROFILES.get(record["profile"], PLAIN).file_name_of(place),
        media_type=media_type_of(record["format"]),
        byte_size=record["byte_size"],
        sha256=record["sha256"],
        completed_at=record["completed_at"],
        may_be_redirected=record["redirect_signed_urls"],
    )


def _only(files: Mapping[str, PackFile], path: str) -> PackFile:
    if path not in files:
        raise object_not_found()
    return files[path]


async def _record_download(call: Call, file: PackFile, facts: Mapping[str, object]) -> None:
    payload = {
        "export_group_id": str(file.export_group_id),
        "payload_pack_id": str(file.pack_id),
        "storage_path": file.path,
    }
    await record_event(
        call,
        "payload_pack_downloaded",
        payload=payload | dict(facts),
        mint_batch_id=file.mint_batch_id,
    )
