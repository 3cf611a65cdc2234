"""supabase-js signs, downloads and looks at packs; and what it shows of one that is not there."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.clients.javascript import Answer, Chain, Node
from tests.clients.server import UNITS, Served
from tests.clients.shown import OBJECT_MISSING

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("supabase_js")]

BUCKET = "payload-packs"


def _bucket(client: Chain) -> Chain:
    return client.storage.from_(BUCKET)


def _path(mintage: Served) -> str:
    path: str = mintage.pack["storage_path"]
    return path


def _missing(mintage: Served) -> str:
    return _path(mintage).replace("/0001-", "/0002-")


def _told(error: dict[str, Any]) -> tuple[object, ...]:
    assert error["class"] == error["name"] == "StorageApiError"
    return error["status"], error["statusCode"], error["message"]


def _fetched(url: str) -> httpx2.Response:
    response = httpx2.get(url)
    assert response.status_code == 200, response.text
    return response


def _is_the_pack(content: bytes, mintage: Served) -> bool:
    sha256: str = mintage.pack["sha256"]
    return hashlib.sha256(content).hexdigest() == sha256


def test_a_signed_url_opens_the_pack_for_whoever_has_it(js_owner: Chain, mintage: Served) -> None:
    shown = _bucket(js_owner).createSignedUrl(_path(mintage), 60).answer().data
    assert shown["signedUrl"].startswith(f"{mintage.url}/storage/v1/object/sign/{BUCKET}/")
    response = _fetched(shown["signedUrl"])
    assert _is_the_pack(response.content, mintage)
    assert response.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("name", ["for the printer.csv", True])
def test_a_signed_url_may_propose_a_file_name(
    js_owner: Chain, mintage: Served, name: object
) -> None:
    call = _bucket(js_owner).createSignedUrl(_path(mintage), 60, {"download": name})
    response = _fetched(call.answer().data["signedUrl"])
    expected = name if name is not True else f"{mintage.pack['export_group_id']}-0001.csv"
    assert response.headers["content-disposition"] == f'attachment; filename="{expected}"'


def test_many_paths_are_signed_at_once_and_a_missing_one_says_so(
    js_owner: Chain, mintage: Served
) -> None:
    paths = [_path(mintage), _missing(mintage), "nothing.csv"]
    signed, missing, nothing = _bucket(js_owner).createSignedUrls(paths, 60).answer().data
    assert (signed["error"], signed["path"]) == (None, _path(mintage))
    assert _is_the_pack(_fetched(signed["signedUrl"]).content, mintage)
    for refused in (missing, nothing):
        assert refused["signedUrl"] is None
        assert "does not exist" in refused["error"]


def test_a_member_downloads_a_pack(js_owner: Chain, mintage: Served) -> None:
    blob = _bucket(js_owner).download(_path(mintage)).answer().data
    assert blob["size"] == mintage.pack["byte_size"]
    assert blob["type"].startswith("text/csv")
    assert _is_the_pack(blob["text"].encode(), mintage)
    assert blob["text"].count("\r\n") == UNITS + 1


def test_what_is_known_of_a_pack_is_told_in_camel_case(js_owner: Chain, mintage: Served) -> None:
    info = _bucket(js_owner).info(_path(mintage)).answer().data
    assert info["name"] == _path(mintage)
    assert info["bucketId"] == BUCKET
    assert info["size"] == mintage.pack["byte_size"]
    assert info["contentType"].startswith("text/csv")
    assert info["etag"] == f'"{mintage.pack["sha256"]}"'
    assert info["createdAt"] == mintage.pack["completed_at"]


def test_a_pack_that_is_there_exists(js_owner: Chain, mintage: Served) -> None:
    assert _bucket(js_owner).exists(_path(mintage)).answer().data is True


@pytest.mark.parametrize("person", ["owner", "stranger"])
def test_a_missing_pack_and_one_of_another_brand_are_told_alike(
    js: Chain, mintage: Served, person: str
) -> None:
    found = mintage.people[person]
    js.auth.signInWithPassword({"email": found.email, "password": found.password}).answer()
    path = _missing(mintage) if person == "owner" else _path(mintage)
    bucket = _bucket(js)
    for call in (bucket.createSignedUrl(path, 60), bucket.download(path), bucket.info(path)):
        assert _told(call.answer().error) == OBJECT_MISSING
    exists = bucket.exists(path).answer().shown
    assert exists["data"] is False
    assert exists["error"]["status"] == 404


def test_who_has_not_signed_in_is_told_to(js: Chain, mintage: Served) -> None:
    bucket, path = _bucket(js), _path(mintage)
    for call in (bucket.createSignedUrl(path, 60), bucket.download(path), bucket.info(path)):
        status, code, message = _told(call.answer().error)
        assert (status, code) == (401, "401")
        assert str(message).startswith("Not authenticated")
    # A HEAD answer has no body: the client throws what it cannot read.
    thrown = bucket.exists(path).answer().thrown
    assert thrown is not None
    assert (thrown["name"], thrown["status"]) == ("StorageApiError", 401)


def test_a_key_without_the_scope_finds_nothing(mintage: Served, node: Node) -> None:
    program = node.client(mintage.anon_key, token=mintage.exchanged())
    assert _told(_bucket(program).download(_path(mintage)).answer().error) == OBJECT_MISSING


@pytest.mark.parametrize("seconds", [0, 301])
def test_a_lifetime_out_of_bounds_is_refused(
    js_owner: Chain, mintage: Served, seconds: int
) -> None:
    call = _bucket(js_owner).createSignedUrl(_path(mintage), seconds)
    status, code, message = _told(call.answer().error)
    assert (status, code) == (400, "400")
    assert "an integer from 1 to 300" in str(message)


def test_an_altered_signed_url_opens_nothing(js_owner: Chain, mintage: Served) -> None:
    shown = _bucket(js_owner).createSignedUrl(_path(mintage), 60).answer().data
    refused = httpx2.get(shown["signedUrl"][:-4] + "AAAA")
    assert (refused.status_code, refused.json()["error"]) == (400, "InvalidJWT")
    bare = urlsplit(shown["signedUrl"])._replace(query="").geturl()
    assert httpx2.get(bare).json()["error"] == "InvalidJWT"


def _refused_calls(client: Chain, mintage: Served) -> list[Answer]:
    bucket, path = _bucket(client), _path(mintage)
    return [
        bucket.list(mintage.brand_id).answer(),
        bucket.upload(path, "x").answer(),
        bucket.move(path, "b.csv").answer(),
        bucket.remove([path]).answer(),
        client.storage.listBuckets().answer(),
        client.storage.from_("labels").download("a.csv").answer(),
    ]


def test_what_storage_does_not_do_is_told_with_a_hint(js_owner: Chain, mintage: Served) -> None:
    for answer in _refused_calls(js_owner, mintage):
        status, code, message = _told(answer.error)
        assert (status, code) == (404, "404")
        assert "never uploaded, moved or listed" in str(message)


def test_without_the_database_a_call_says_so(
    js_service: Chain, mintage: Served, away: None
) -> None:
    bucket, path = _bucket(js_service), _path(mintage)
    for call in (bucket.createSignedUrl(path, 60), bucket.download(path), bucket.info(path)):
        status, code, message = _told(call.answer().error)
        assert (status, code) == (503, "503")
        assert str(message).startswith("Unavailable")
