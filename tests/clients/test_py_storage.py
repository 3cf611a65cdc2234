"""supabase-py signs, downloads and looks at packs; and what it raises for one that is not there."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx2
import pytest
from storage3.exceptions import StorageApiError

from tests.clients.python import OWN_WARNINGS, Client, failure, settled, sign_in
from tests.clients.server import Served
from tests.clients.shown import OBJECT_MISSING

pytestmark = pytest.mark.filterwarnings(OWN_WARNINGS)

BUCKET = "payload-packs"


def _path(mintage: Served) -> str:
    path: str = mintage.pack["storage_path"]
    return path


def _missing(mintage: Served) -> str:
    return _path(mintage).replace("/0001-", "/0002-")


async def _told(value: Any) -> tuple[int, str, str]:
    """Status (which the client takes from the body's statusCode), the same as text, and message."""
    error = await failure(value, StorageApiError)
    return int(error.status), str(error.status), error.message


def _is_the_pack(content: bytes, mintage: Served) -> bool:
    sha256: str = mintage.pack["sha256"]
    return hashlib.sha256(content).hexdigest() == sha256


def _fetched(url: str) -> bytes:
    response = httpx2.get(url)
    assert response.status_code == 200, response.text
    assert response.headers["content-disposition"].startswith("attachment")
    return response.content


async def test_a_signed_url_opens_the_pack_for_whoever_has_it(
    py_owner: Client, mintage: Served
) -> None:
    bucket = py_owner.storage.from_(BUCKET)
    shown = await settled(bucket.create_signed_url(_path(mintage), 60))
    assert shown["signedUrl"].startswith(f"{mintage.url}/storage/v1/object/sign/{BUCKET}/")
    assert _is_the_pack(_fetched(shown["signedUrl"]), mintage)
    named = await settled(bucket.create_signed_url(_path(mintage), 60, {"download": "a b.csv"}))
    disposition = httpx2.get(named["signedUrl"]).headers["content-disposition"]
    assert disposition == 'attachment; filename="a b.csv"'


async def test_many_paths_are_signed_at_once_and_a_missing_one_says_so(
    py_owner: Client, mintage: Served
) -> None:
    paths = [_path(mintage), _missing(mintage)]
    signing = py_owner.storage.from_(BUCKET).create_signed_urls(paths, 60)
    signed, missing = await settled(signing)
    assert (signed["error"], signed["path"]) == (None, _path(mintage))
    assert _is_the_pack(_fetched(signed["signedUrl"]), mintage)
    assert missing["signedUrl"] is None
    assert "does not exist" in missing["error"]


async def test_a_member_downloads_a_pack(py_owner: Client, mintage: Served) -> None:
    content = await settled(py_owner.storage.from_(BUCKET).download(_path(mintage)))
    assert _is_the_pack(content, mintage)


async def test_what_is_known_of_a_pack_is_told(py_owner: Client, mintage: Served) -> None:
    info = await settled(py_owner.storage.from_(BUCKET).info(_path(mintage)))
    assert (info["name"], info["bucket_id"]) == (_path(mintage), BUCKET)
    assert info["size"] == mintage.pack["byte_size"]
    assert info["content_type"].startswith("text/csv")
    assert info["etag"] == f'"{mintage.pack["sha256"]}"'
    assert info["created_at"] == mintage.pack["completed_at"]


async def test_a_pack_exists_or_not(py_owner: Client, mintage: Served) -> None:
    bucket = py_owner.storage.from_(BUCKET)
    assert await settled(bucket.exists(_path(mintage))) is True
    assert await settled(bucket.exists(_missing(mintage))) is False


@pytest.mark.parametrize("person", ["owner", "stranger"])
async def test_a_missing_pack_and_one_of_another_brand_are_told_alike(
    py: Client, mintage: Served, person: str
) -> None:
    await sign_in(py, mintage, person)
    path = _missing(mintage) if person == "owner" else _path(mintage)
    bucket = py.storage.from_(BUCKET)
    for call in (
        lambda: bucket.create_signed_url(path, 60),
        lambda: bucket.download(path),
        lambda: bucket.info(path),
    ):
        assert await _told(call) == OBJECT_MISSING
    assert await settled(bucket.exists(path)) is False


async def test_who_has_not_signed_in_is_told_to(py: Client, mintage: Served) -> None:
    bucket, path = py.storage.from_(BUCKET), _path(mintage)
    for call in (
        lambda: bucket.create_signed_url(path, 60),
        lambda: bucket.download(path),
        lambda: bucket.exists(path),
    ):
        status, code, message = await _told(call)
        assert (status, code) == (401, "401")
        assert message.startswith("Not authenticated")


async def test_a_key_without_the_scope_finds_nothing(py_program: Client, mintage: Served) -> None:
    bucket = py_program.storage.from_(BUCKET)
    assert await _told(lambda: bucket.download(_path(mintage))) == OBJECT_MISSING


@pytest.mark.parametrize("seconds", [0, 301])
async def test_a_lifetime_out_of_bounds_is_refused(
    py_owner: Client, mintage: Served, seconds: int
) -> None:
    bucket = py_owner.storage.from_(BUCKET)
    error = await failure(
        lambda: bucket.create_signed_url(_path(mintage), seconds), StorageApiError
    )
    assert (error.status, error.code) == ("400", "InvalidRequest")
    assert "an integer from 1 to 300" in error.message


async def test_what_storage_does_not_do_is_told_with_a_hint(
    py_owner: Client, mintage: Served
) -> None:
    bucket, path = py_owner.storage.from_(BUCKET), _path(mintage)
    for call in (
        lambda: bucket.list(mintage.brand_id),
        lambda: bucket.upload(path, b"x"),
        lambda: bucket.remove([path]),
        lambda: py_owner.storage.from_("labels").download("a.csv"),
    ):
        status, _, message = await _told(call)
        assert status == 404
        assert "never uploaded, moved or listed" in message


async def test_without_the_database_a_call_says_so(
    py_service: Client, mintage: Served, away: None
) -> None:
    bucket, path = py_service.storage.from_(BUCKET), _path(mintage)
    for call in (lambda: bucket.create_signed_url(path, 60), lambda: bucket.download(path)):
        error = await failure(call, StorageApiError)
        assert (error.status, error.code) == ("503", "ServiceUnavailable")
