"""Downloads of packs over HTTP: signed and authenticated, whole and in ranges; who may and who may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from mintage.permits import read_permit
from tests.packs.desk import Desk
from tests.storage.window import BASE, OBJECT, SIGN, Window

NOT_FOUND = {"statusCode": "404", "error": "not_found", "message": "Object not found"}


@pytest.fixture
async def pack(desk: Desk) -> dict[str, Any]:
    """A completed pack of five units."""
    return (await desk.exported(5))[0]


def content_of(desk: Desk, pack: dict[str, Any]) -> bytes:
    return desk.folder.joinpath(pack["storage_path"]).read_bytes()


# Signed URLs


async def test_a_signed_url_opens_the_file_as_an_attachment(
    window: Window, desk: Desk, pack: dict[str, Any]
) -> None:
    url = await window.signed(pack["storage_path"], expiresIn=60)
    assert url.startswith(f"/object/sign/payload-packs/{pack['storage_path']}?token=")
    answer = await window.open(url)
    assert answer.status_code == 200
    assert answer.content == content_of(desk, pack)
    headers = answer.headers
    assert headers["content-type"] == "text/csv; charset=utf-8"
    name = f"{pack['export_group_id']}-0001.csv"
    assert headers["content-disposition"] == f'attachment; filename="{name}"'
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert headers["content-length"] == str(pack["byte_size"])
    assert headers["etag"] == f'"{pack["sha256"]}"'
    assert "no-store" in headers["cache-control"]


async def test_every_way_to_a_file_sends_an_attachment_that_runs_nothing(
    window: Window, pack: dict[str, Any]
) -> None:
    path = pack["storage_path"]
    signed = f"{BASE}{await window.signed(path)}"
    for address in (
        f"{OBJECT}/{path}",
        f"{BASE}/object/authenticated/payload-packs/{path}",
        signed,
    ):
        for method in ("GET", "HEAD"):
            for headers, status in (({}, 200), ({"range": "bytes=1-3"}, 206)):
                answer = await window.ask(method, address, headers=headers)
                assert answer.status_code == status, (method, address)
                told = answer.headers
                assert told["content-disposition"].startswith("attachment; "), (method, address)
                assert told["x-content-type-options"] == "nosniff", (method, address)
                assert told["content-security-policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize("caller", ["viewer", "editor", "admin", "owner"])
async def test_every_member_may_sign(window: Window, pack: dict[str, Any], caller: str) -> None:
    assert (await window.sign(pack["storage_path"], caller)).status_code == 200


async def test_a_url_lives_as_long_as_asked_and_three_hundred_seconds_by_default(
    window: Window, pack: dict[str, Any]
) -> None:
    lifetimes = []
    for body in ({}, {"expiresIn": 60}, {"expiresIn": "60"}, {"expiresIn": 1}):
        url = await window.signed(pack["storage_path"], **body)
        token = parse_qs(urlsplit(url).query)["token"][0]
        permit = read_permit(window.door.secrets.storage_keys, token)
        assert permit is not None
        lifetimes.append(round(permit.expires_at_s - permit.signed_at_s, 3))
    assert lifetimes == [300, 60, 60, 1]


@pytest.mark.parametrize(
    "expires_in", [0, 301, -1, 60.0, True, "0", "301", "60s", "", " 60", "٦٠", [60], {}, 1e9]
)
async def test_a_lifetime_that_is_none_is_refused(
    window: Window, pack: dict[str, Any], expires_in: object
) -> None:
    answer = await window.sign(pack["storage_path"], expiresIn=expires_in)
    assert answer.status_code == 400
    assert answer.json()["statusCode"] == "400"
    assert answer.json()["error"] == "InvalidRequest"
    assert "expiresIn" in answer.json()["message"]


async def test_a_url_opens_until_it_expires_by_the_databases_clock(
    window: Window, pack: dict[str, Any]
) -> None:
    now = datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC)
    url = await window.at(now).signed(pack["storage_path"], expiresIn=60)
    last = now + timedelta(seconds=60) - timedelta(milliseconds=1)
    assert (await window.at(last).open(url)).status_code == 200
    late = await window.at(now + timedelta(seconds=60)).open(url)
    assert late.status_code == 400
    assert late.json()["error"] == "InvalidJWT"


async def test_a_token_opens_no_other_path(window: Window, desk: Desk) -> None:
    first, second = await desk.with_limits(pack_units=1).exported(2)
    url = await window.signed(first["storage_path"])
    other = url.replace(first["storage_path"], second["storage_path"])
    answer = await window.open(other)
    assert answer.status_code == 400
    assert answer.json()["error"] == "InvalidJWT"


@pytest.mark.parametrize(
    "query", ["", "?token=", "?token=a.b.c", "?token={token}&token={token}", "?token={token}x"]
)
async def test_without_its_one_token_a_url_opens_nothing(
    window: Window, pack: dict[str, Any], query: str
) -> None:
    url = await window.signed(pack["storage_path"])
    path, _, token = url.partition("?token=")
    answer = await window.open(path + query.format(token=token))
    assert answer.status_code == 400
    assert answer.json()["error"] == "InvalidJWT"


async def test_tokens_of_another_kind_open_nothing(window: Window, pack: dict[str, Any]) -> None:
    path = f"/object/sign/payload-packs/{pack['storage_path']}"
    assert (await window.open(f"{path}?token={window.token('owner')}")).status_code == 400
    url = await window.signed(pack["storage_path"])
    token = url.partition("?token=")[2]
    claims = jwt.decode(token, options={"verify_signature": False})
    for key in (window.door.secrets.api_secret, window.door.secrets.product_page_key):
        forged = jwt.encode(claims, key, algorithm="HS256")
        assert (await window.open(f"{path}?token={forged}")).status_code == 400
    headers = {"authorization": f"Bearer {token}"}
    member = await window.ask("GET", f"{OBJECT}/{pack['storage_path']}", None, headers=headers)
    assert member.status_code == 401


async def test_a_permit_for_a_pack_that_is_another_now_opens_nothing(
    window: Window, desk: Desk, pack: dict[str, Any]
) -> None:
    url = await window.signed(pack["storage_path"])
    await desk.execute("update payload_pack set id = gen_random_uuid() where id = $1", pack["id"])
    answer = await window.open(url)
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


async def test_several_paths_are_signed_at_once_and_missing_ones_are_null(
    window: Window, desk: Desk
) -> None:
    first, second = await desk.with_limits(pack_units=1).exported(2)
    paths = [
        second["storage_path"],
        first["storage_path"].replace("-1.csv", "-9.csv"),
        "../etc/passwd",
        f"{desk.world.other_brand_id}/{first['export_group_id']}/0001-1.csv",
        first["storage_path"],
    ]
    answer = await window.ask("POST", SIGN, body={"paths": paths, "expiresIn": 60})
    assert answer.status_code == 200
    items = answer.json()
    assert [item["path"] for item in items] == paths
    assert [item["error"] is None for item in items] == [True, False, False, False, True]
    assert [item["signedURL"] is None for item in items] == [False, True, True, True, False]
    assert len({item["error"] for item in items if item["error"]}) == 1
    for item, pack in ((items[0], second), (items[4], first)):
        opened = await window.open(item["signedURL"])
        assert opened.content == content_of(desk, pack)


@pytest.mark.parametrize("paths", [None, [], "a", [1], [None], ["x"] * 201])
async def test_a_list_of_paths_that_is_none_is_refused(window: Window, paths: object) -> None:
    answer = await window.ask("POST", SIGN, body={"paths": paths})
    assert answer.status_code == 400
    assert "paths" in answer.json()["message"]


# Authenticated


@pytest.mark.parametrize("prefix", [OBJECT, f"{BASE}/object/authenticated/payload-packs"])
async def test_a_member_downloads_without_a_signed_url(
    window: Window, desk: Desk, pack: dict[str, Any], prefix: str
) -> None:
    answer = await window.ask("GET", f"{prefix}/{pack['storage_path']}")
    assert answer.status_code == 200
    assert answer.content == content_of(desk, pack)
    assert answer.headers["content-disposition"].startswith("attachment; ")
    head = await window.ask("HEAD", f"{prefix}/{pack['storage_path']}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(pack["byte_size"])
    assert head.headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize("prefix", ["info", "info/authenticated"])
async def test_info_tells_what_storage_clients_read(
    window: Window, pack: dict[str, Any], prefix: str
) -> None:
    path = f"{BASE}/object/{prefix}/payload-packs/{pack['storage_path']}"
    info = (await window.ask("GET", path)).json()
    assert info["id"] == str(pack["id"])
    assert info["name"] == pack["storage_path"]
    assert info["bucket_id"] == "payload-packs"
    assert info["size"] == pack["byte_size"]
    assert info["content_type"] == "text/csv; charset=utf-8"
    assert info["etag"] == f'"{pack["sha256"]}"'
    assert info["last_modified"].endswith("Z")


async def test_a_stranger_and_a_missing_object_get_the_same_bytes(
    window: Window, pack: dict[str, Any]
) -> None:
    path = pack["storage_path"]
    missing = path.replace("-1.csv", "-9.csv")
    asked = [
        ("stranger", path),
        ("nobody", path),
        ("viewer", missing),
        ("stranger", missing),
        ("viewer", "00000000" + path[8:]),
    ]
    for method, prefix in (
        ("POST", SIGN),
        ("GET", OBJECT),
        ("GET", f"{BASE}/object/authenticated/payload-packs"),
        ("GET", f"{BASE}/object/info/payload-packs"),
    ):
        body = {"expiresIn": 60} if method == "POST" else None
        for caller, asked_path in asked:
            answer = await window.ask(method, f"{prefix}/{asked_path}", caller, body=body)
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    head = await window.ask("HEAD", f"{OBJECT}/{path}", "stranger")
    assert (head.status_code, head.content) == (404, b"")


async def test_an_anonymous_caller_is_told_to_sign_in(window: Window, pack: dict[str, Any]) -> None:
    path = pack["storage_path"]
    for method, url in (
        ("POST", f"{SIGN}/{path}"),
        ("POST", SIGN),
        ("GET", f"{OBJECT}/{path}"),
        ("GET", f"{OBJECT}/none"),
        ("GET", f"{BASE}/object/authenticated/payload-packs/{path}"),
        ("GET", f"{BASE}/object/info/payload-packs/{path}"),
    ):
        body = {"paths": [path]} if method == "POST" else None
        answer = await window.ask(method, url, None, body=body)
        assert answer.status_code == 401
        assert answer.json()["statusCode"] == "401"
        assert answer.json()["message"].startswith("Not authenticated")


async def test_a_removed_member_cannot_download_although_his_token_is_good(
    window: Window, desk: Desk, pack: dict[str, Any]
) -> None:
    user_id = desk.world.user_ids["viewer"]
    await desk.execute("delete from brand_member where user_id = $1", user_id)
    answer = await window.ask("GET", f"{OBJECT}/{pack['storage_path']}")
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


async def test_a_voided_batch_refuses_its_packs(
    window: Window, desk: Desk, pack: dict[str, Any]
) -> None:
    url = await window.signed(pack["storage_path"])
    await desk.void(pack["mint_batch_id"])
    for answer in (
        await window.open(url),
        await window.sign(pack["storage_path"]),
        await window.ask("GET", f"{OBJECT}/{pack['storage_path']}"),
        await window.ask("GET", f"{BASE}/object/info/payload-packs/{pack['storage_path']}"),
    ):
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


async def test_a_file_that_no_completed_pack_states_is_not_served(
    window: Window, desk: Desk, pack: dict[str, Any]
) -> None:
    orphan = pack["storage_path"].replace("-1.csv", "-2.csv")
    await desk.store.put(orphan, [b"half"])
    answer = await window.ask("GET", f"{OBJECT}/{orphan}")
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


async def test_a_file_that_is_gone_from_the_store_is_an_error_and_not_half_an_answer(
    window: Window, desk: Desk, pack: dict[str, Any]
) -> None:
    await desk.store.delete(pack["storage_path"])
    answer = await window.ask("GET", f"{OBJECT}/{pack['storage_path']}")
    assert answer.status_code == 500
    assert answer.json()["statusCode"] == "500"
    assert str(desk.folder) not in answer.text


# The record


async def test_each_download_is_recorded_with_who_it_was(
    window: Window, desk: Desk, pack: dict[str, Any]
) -> None:
    url = await window.signed(pack["storage_path"])
    await window.open(url)
    await window.ask("GET", f"{OBJECT}/{pack['storage_path']}", "editor")
    events = await desk.events(pack["mint_batch_id"], "payload_pack_downloaded")
    by_member, by_url = events
    users = desk.world.user_ids
    assert (by_member["actor_type"], by_member["actor_id"]) == ("user", users["editor"])
    assert by_member["payload"]["is_signed_url"] is False
    assert (by_url["actor_type"], by_url["actor_id"]) == ("system", None)
    assert by_url["payload"]["signed_by"] == {"type": "user", "id": str(users["viewer"])}
    for event in events:
        assert event["payload"]["payload_pack_id"] == str(pack["id"])
        assert event["payload"]["storage_path"] == pack["storage_path"]


async def test_signing_looking_and_refused_calls_are_no_download(
    window: Window, desk: Desk, pack: dict[str, Any]
) -> None:
    path = pack["storage_path"]
    url = await window.signed(path)
    await window.ask("HEAD", f"{OBJECT}/{path}")
    await window.open(url, "HEAD")
    await window.ask("GET", f"{BASE}/object/info/payload-packs/{path}")
    await window.ask("GET", f"{OBJECT}/{path}", "stranger")
    await window.open(url + "x")
    assert await desk.events(pack["mint_batch_id"], "payload_pack_downloaded") == []


# Names


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("", None),
        ("order-7.csv", "order-7.csv"),
        ('x"; filename="evil.html', "x_ filename_evil.html"),
        ("a%0d%0aSet-Cookie: b=c", "a_Set-Cookie_ b_c"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("...", None),
        ("é", "_"),
        ("n" * 300, "n" * 100),
    ],
)
async def test_a_name_that_is_asked_for_is_made_plain(
    window: Window, pack: dict[str, Any], asked: str, name: str | None
) -> None:
    url = await window.signed(pack["storage_path"])
    answer = await window.open(f"{url}&download={asked}")
    expected = name or f"{pack['export_group_id']}-0001.csv"
    assert answer.headers["content-disposition"] == f'attachment; filename="{expected}"'
    assert "set-cookie" not in answer.headers


# Paths


def _zoo(path: str) -> list[str]:
    brand, group, name = path.split("/")
    return [
        f"../{path}",
        f"..%2f{path}",
        f"%2e%2e/{path}",
        f"%2e/{path}",
        f"./{path}",
        f"{brand}/../{path}",
        f"{brand}/{group}/../{group}/{name}",
        f"{brand}/{group}/%2e%2e/{group}/{name}",
        f"{brand}//{group}/{name}",
        f"/{path}",
        f"//{path}",
        f"{path}/",
        f"{path}/.",
        f"{path}//",
        f"{brand}\\{group}\\{name}",
        f"{brand}%5c{group}%5c{name}",
        f"{brand}%2f{group}%2f{name}",
        f"{brand}/{group}/{name}%00",
        f"{brand}/{group}/{name}%00.csv",
        f"{brand}/{group}/{name}\0",
        f"{brand}/{group}/{name}%20",
        f"{brand}/{group}/{name}%0a",
        f"{brand}/{group}/{name}\n",
        f"{brand}/{group}/{name.replace('.', '%2e')}",
        f"{brand}/{group}/{name.replace('.', '%252e')}",
        f"{brand}/{group}/{name.upper()}",
        f"{brand.upper()}/{group}/{name}",
        f"{brand.replace('-', '')}/{group}/{name}",
        f"{{{brand}}}/{group}/{name}",
        f"{brand}/{group}",
        f"{brand}/{group}/",
        f"{brand}/{group}/{name};x=1",
        f"{brand}/{group}/{name}#1",
        f"{brand}/{group}/%ff",
        f"{brand}/{group}/{name}%c0%ae",
        "..%c0%af..%c0%afetc/passwd",
        "/etc/passwd",
        "file:///etc/passwd",
        "%",
        "%zz",
        "a" * 5000,
    ]


async def test_no_other_spelling_of_a_path_is_found(window: Window, pack: dict[str, Any]) -> None:
    path = pack["storage_path"]
    token = (await window.signed(path)).partition("?token=")[2]
    assert (await window.raw("GET", f"{OBJECT}/{path}", "owner"))[0] == 200
    for spelling in _zoo(path):
        for method, target in (
            ("GET", f"{OBJECT}/{spelling}"),
            ("GET", f"{BASE}/object/info/payload-packs/{spelling}"),
            ("GET", f"{SIGN}/{spelling}?token={token}"),
            ("POST", f"{SIGN}/{spelling}"),
        ):
            status, body = await window.raw(method, target, "owner")
            assert status == 404, (method, target, body)
            assert b'"not_found"' in body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/object/public/payload-packs/{path}"),
        ("GET", "/object/info/public/payload-packs/{path}"),
        ("GET", "/object/other-bucket/{path}"),
        ("POST", "/object/sign/other-bucket/{path}"),
        ("POST", "/object/sign/other-bucket"),
        ("POST", "/object/payload-packs/{path}"),
        ("PUT", "/object/payload-packs/{path}"),
        ("DELETE", "/object/payload-packs/{path}"),
        ("DELETE", "/object/payload-packs"),
        ("POST", "/object/list/payload-packs"),
        ("POST", "/object/copy"),
        ("PUT", "/object/sign/payload-packs/{path}"),
        ("POST", "/object/upload/sign/payload-packs/{path}"),
        ("GET", "/render/image/authenticated/payload-packs/{path}"),
        ("GET", "/bucket"),
        ("GET", "/bucket/payload-packs"),
    ],
)
async def test_what_else_storage_could_do_is_404_with_a_hint(
    window: Window, pack: dict[str, Any], method: str, path: str
) -> None:
    url = BASE + path.format(path=pack["storage_path"])
    for caller in (None, "owner"):
        answer = await window.ask(method, url, caller, body={} if method != "GET" else None)
        assert answer.status_code == 404
        body = answer.json()
        assert (body["statusCode"], body["error"]) == ("404", "not_found")
        assert body["message"]
        assert "sign" in body["hint"]
