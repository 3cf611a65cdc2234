"""What changes something: only a form of the session's own pages does, and markup stays text."""

from __future__ import annotations

from typing import Any

import pytest

from tests.console.conftest import HOME, Browser, Console, ids_in

CONFIRMED = {"confirmation": "yes"}
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


async def test_a_form_without_its_token_changes_nothing(console: Console, owner: Browser) -> None:
    other = await console.signed_in("admin")
    entered = {"sku": "A-1", "name": "A"}
    for token in ("", "nonsense", other.form_token):
        answer = await owner.post(f"{HOME}products/new", entered | {"form_token": token})
        assert answer.status_code == 403, token
    assert (await console.world.rpc("list_products"))["products"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_form_of_another_site_changes_nothing(
    console: Console, owner: Browser, headers: dict[str, str]
) -> None:
    answer = await owner.post(f"{HOME}products/new", {"sku": "A-1", "name": "A"}, **headers)
    assert answer.status_code == 403
    signing_in = await owner.post("/console/sign-in", {"email": "a", "password": "b"}, **headers)
    assert signing_in.status_code == 403
    assert (await console.world.rpc("list_products"))["products"] == []


async def test_what_changes_something_is_never_a_get(console: Console, owner: Browser) -> None:
    submitted = await console.world.minted(1)
    batch = submitted["mint_batch_id"]
    for path in (
        f"batches/{batch}/status?status=voided",
        f"batches/{batch}/retry",
        "settings/keys",
        "mint/check",
    ):
        assert (await owner.get(HOME + path)).status_code == 405, path


async def test_markup_stays_text(console: Console, owner: Browser) -> None:
    answer = await owner.post(
        f"{HOME}products/new", {"sku": MARKUP[:64], "name": MARKUP, "description": MARKUP}
    )
    assert answer.status_code == 303
    product_id = answer.headers["location"].rpartition("/")[2]
    await console.world.rpc("create_product_batch", product_id=product_id, batch_number=MARKUP[:64])
    await console.world.rpc(
        "set_product_link",
        product_id=product_id,
        link_type="gs1:pip",
        href="https://example.com/?q=%3Cscript%3E",
        title=MARKUP,
    )
    await console.world.rpc("update_brand_settings", patch={"name": MARKUP})
    await owner.post(f"{HOME}products/{product_id}/update", {"commercial_status": "ACTIVE"})
    for page in (
        "",
        "products",
        f"products/{product_id}",
        f"mint?product_id={product_id}",
        "settings",
        "activity",
        f"search?q={MARKUP}",
        f"batches?status={MARKUP}",
        f"units?mint_batch_id={MARKUP}",
    ):
        text = (await owner.get(HOME + page)).text
        assert "<script>alert" not in text, page
        assert "<img src=x" not in text, page


async def test_a_refusal_is_told_where_it_was_asked(owner: Browser) -> None:
    answer = await owner.post(
        f"{HOME}products/new", {"sku": "A-1", "name": "A", "gtin": "9506000134353"}
    )
    assert answer.status_code == 400
    assert "GTIN: " in answer.text
    assert 'value="A-1"' in answer.text
    await owner.post(f"{HOME}products/new", {"sku": "A-1", "name": "A"})
    taken = await owner.post(f"{HOME}products/new", {"sku": "a-1", "name": "B"})
    assert taken.status_code == 409
    assert 'role="alert"' in taken.text


async def test_a_form_that_is_too_large_is_refused(console: Console, owner: Browser) -> None:
    limit = console.door.platform.limits.body_bytes_max_serials
    answer = await owner.upload(f"{HOME}mint/check", {}, "serials_file", b"x" * (limit + 1))
    assert answer.status_code == 413


async def test_a_product_is_made_ready_linked_and_given_a_batch(
    console: Console, owner: Browser
) -> None:
    made = await owner.post(
        f"{HOME}products/new", {"sku": "A-1", "name": "A", "gtin": "9506000134352"}
    )
    url = made.headers["location"]
    posts = (
        ("update", {"commercial_status": "ACTIVE", "mint_readiness_status": "READY"}),
        ("update", {"name": "Oak", "description": "", "image_url": "https://example.com/a.png"}),
        ("identifiers", {"identifier_type": "sku", "raw_value": "A-2"}),
        (
            "links",
            {
                "link_type": "gs1:pip",
                "href": "https://example.com/a",
                "title": "A",
                "is_default": "yes",
            },
        ),
        (
            "production-batches",
            {
                "batch_number": "2026-1",
                "quantity": "1,000",
                "status": "READY",
                "is_cumulative": "yes",
            },
        ),
    )
    for path, data in posts:
        answer = await owner.post(f"{url}/{path}", data)
        assert (answer.status_code, answer.headers.get("location")) == (303, url), (
            path,
            answer.text[:500],
        )
    product_id = url.rpartition("/")[2]
    product = (await console.world.rpc("get_product", product_id=product_id))["product"]
    assert (product["sku"], product["name"], product["commercial_status"]) == (
        "A-2",
        "Oak",
        "ACTIVE",
    )
    assert (product["description"], product["image_url"]) == (None, "https://example.com/a.png")
    assert [link["is_default"] for link in product["links"]] == [True]
    batches = (await console.world.rpc("list_product_batches", product_id=product_id))[
        "product_batches"
    ]
    assert [(each["batch_number"], each["quantity"]) for each in batches] == [("2026-1", 1000)]
    closed = await owner.post(
        f"{url}/production-batches/update",
        {"product_batch_id": str(batches[0]["id"]), "status": "CLOSED"},
    )
    assert closed.status_code == 303
    link = {"link_id": str(product["links"][0]["id"])}
    removed = await owner.post(f"{url}/links/remove", link | CONFIRMED)
    assert removed.status_code == 303
    page = (await owner.get(url)).text
    assert "closed" in page
    assert "No links" in page


async def test_a_key_and_a_first_password_are_shown_once(console: Console, owner: Browser) -> None:
    made = await owner.post(
        f"{HOME}settings/keys", {"name": "ERP", "scopes": ["mint:read", "mint:write"]}
    )
    assert made.status_code == 200
    assert "ms_live_" in made.text
    assert "ms_live_" not in (await owner.get(f"{HOME}settings")).text
    keys = (await console.world.rpc("list_api_keys"))["api_keys"]
    assert [key["scopes"] for key in keys] == [["mint:read", "mint:write"]]
    key = {"api_key_id": str(keys[0]["id"])}
    rotated = await owner.post(f"{HOME}settings/keys/rotate", key | CONFIRMED)
    assert "ms_live_" in rotated.text
    assert (await owner.post(f"{HOME}settings/keys/revoke", key | CONFIRMED)).status_code == 303
    added = await owner.post(
        f"{HOME}settings/members", {"email": "new@example.com", "role": "viewer"}
    )
    assert "First password" in added.text
    members = (await console.world.rpc("list_brand_members"))["members"]
    added_id = next(each["user_id"] for each in members if each["email"] == "new@example.com")
    removed = await owner.post(
        f"{HOME}settings/members/remove", {"user_id": str(added_id)} | CONFIRMED
    )
    assert removed.status_code == 303


@pytest.mark.parametrize("confirmation", [{}, {"confirmation": "no"}])
async def test_what_was_not_confirmed_is_not_taken_away(
    console: Console, owner: Browser, confirmation: dict[str, str]
) -> None:
    await owner.post(f"{HOME}settings/keys", {"name": "ERP", "scopes": ["mint:read"]})
    await owner.post(
        f"{HOME}settings/webhooks",
        {"url": "https://example.com/", "event_types": ["mint_job.completed"]},
    )
    before = await administered(console)
    (key,), (webhook,) = before["api_keys"], before["webhooks"]
    member = {"user_id": str(console.world.user_ids["viewer"])}
    rotated = {"webhook_id": str(webhook["id"]), "url": webhook["url"]}
    for path, entered, said in (
        ("members/remove", member, "Nobody was removed"),
        ("keys/rotate", {"api_key_id": str(key["id"])}, "The key still has its secret"),
        ("keys/revoke", {"api_key_id": str(key["id"])}, "No key was revoked"),
        ("webhooks", rotated | {"event_types": "job.failed"}, "still has its secret"),
        ("webhooks/remove", {"webhook_id": str(webhook["id"])}, "No webhook was removed"),
    ):
        answer = await owner.post(f"{HOME}settings/{path}", entered | confirmation)
        assert answer.status_code == 400, path
        problem = answer.text[answer.text.index('role="alert"') :]
        assert said in problem, path
        assert "then press “Yes, " in problem, path
        assert "ms_live_" not in answer.text, path
        assert "whsec_" not in answer.text, path
    assert await administered(console) == before


async def test_a_link_that_was_not_confirmed_stays(console: Console, owner: Browser) -> None:
    product_id = await console.world.product()
    made = await console.world.rpc(
        "set_product_link",
        product_id=product_id,
        link_type="gs1:pip",
        href="https://example.com/a",
        title="A",
    )
    url, link = f"{HOME}products/{product_id}/links/remove", {"link_id": str(made["link"]["id"])}
    kept = await owner.post(url, link)
    assert (kept.status_code, "press “Yes, remove”" in kept.text) == (400, True)
    viewer = await console.signed_in("viewer")
    for entered in (link, link | CONFIRMED):
        assert (await viewer.post(url, entered)).status_code == 403
    listed = await console.world.rpc("list_product_links", product_id=product_id)
    assert len(listed["links"]) == 1


async def administered(console: Console) -> dict[str, list[dict[str, Any]]]:
    """Members, keys and webhooks of the brand."""
    found = {}
    for name in ("members", "api_keys", "webhooks"):
        rpc = "list_brand_members" if name == "members" else f"list_{name}"
        found[name] = (await console.world.rpc(rpc))[name]
    return found


async def test_the_last_owner_cannot_be_removed(console: Console, owner: Browser) -> None:
    answer = await owner.post(
        f"{HOME}settings/members/remove",
        {"user_id": str(console.world.user_ids["owner"])} | CONFIRMED,
    )
    assert answer.status_code == 409
    assert "last owner" in answer.text


async def test_settings_are_saved_as_the_form_shows_them(console: Console, owner: Browser) -> None:
    before = (await console.world.rpc("get_brand_settings"))["settings"]
    saved = await owner.post(
        f"{HOME}settings",
        {
            "name": "Acme & Sons",
            "default_identity_mode": "batch",
            "default_activation_mode": "active_at_mint",
            "print_profile": "",
            "gcp_length": "7",
            "strata": "",
            "biz_location": "urn:epc:id:sgln:9506000.00000.0",
            "read_point": "",
            "redirects": "asked",
        },
    )
    assert saved.status_code == 303
    thresholds = {
        f"threshold_{name}": str(value) for name, value in before["clone_thresholds"].items()
    }
    assert (
        await owner.post(f"{HOME}settings", thresholds | {"threshold_scans_a_day_high": "500"})
    ).status_code == 303
    after = (await console.world.rpc("get_brand_settings"))["settings"]
    assert (after["name"], after["gcp_length"], after["strata"]) == ("Acme & Sons", 7, None)
    assert after["clone_thresholds"] == before["clone_thresholds"] | {"scans_a_day_high": 500}
    refused = await owner.post(f"{HOME}settings", {"gcp_length": "99"})
    assert refused.status_code == 400
    assert "gcp length" in refused.text


async def test_a_unit_is_revoked_when_the_box_is_ticked(console: Console, owner: Browser) -> None:
    submitted = await console.world.minted(1)
    listed = await owner.get(f"{HOME}units?mint_batch_id={submitted['mint_batch_id']}")
    url = f"{HOME}units/{ids_in(listed.text, 'units')[0]}"
    unticked = await owner.post(f"{url}/revoke", {"reason": "stolen"})
    assert (unticked.status_code, "tick the box" in unticked.text) == (400, True)
    assert '<details class="danger" open>' in unticked.text
    assert 'value="stolen"' in unticked.text
    done = await owner.post(f"{url}/revoke", {"reason": "stolen", "confirmation": "yes"})
    assert done.status_code == 303
    assert "status-revoked" in (await owner.get(url)).text


async def test_a_batch_is_voided_when_its_number_is_typed(console: Console, owner: Browser) -> None:
    submitted = await console.world.minted(7)
    url = f"{HOME}batches/{submitted['mint_batch_id']}"
    wrong = await owner.post(
        f"{url}/status", {"status": "voided", "reason": "wrong labels", "confirmation": "8"}
    )
    assert (wrong.status_code, "type 7 to confirm" in wrong.text) == (400, True)
    assert '<details class="danger" open>' in wrong.text
    assert 'value="wrong labels"' in wrong.text
    assert (await owner.post(f"{url}/status", {"status": "printed"})).status_code == 409
    assert (await owner.post(f"{url}/status", {"status": "exported"})).status_code == 303
    done = await owner.post(
        f"{url}/status", {"status": "voided", "reason": "x", "confirmation": "7"}
    )
    assert done.status_code == 303
    assert "cannot be undone" in (await owner.get(url)).text


@pytest.mark.parametrize(
    ("path", "content", "media_type"),
    [
        ("settings", b"--x\r\nno header", "multipart/form-data; boundary=x"),
        ("settings", b"--x\r\n", "multipart/form-data"),
        ("settings", b"name=a%00b", "application/x-www-form-urlencoded"),
        ("settings", b"&".join([b"a=b"] * 600), "application/x-www-form-urlencoded"),
    ],
    ids=["broken", "no boundary", "NUL", "too many fields"],
)
async def test_a_form_that_is_malformed_is_400(
    owner: Browser, path: str, content: bytes, media_type: str
) -> None:
    answer = await owner.client.post(
        HOME + path, content=content, headers=owner.headers | {"content-type": media_type}
    )
    assert answer.status_code == 400


async def test_an_address_of_this_page_that_is_none_is_no_fault_of_ours(
    console: Console, owner: Browser
) -> None:
    assert (await owner.get(f"{HOME}search?q=https://[")).status_code == 200
    assert (await owner.get(f"{HOME}download/a%00b")).status_code == 404
    refused = await owner.post(f"{HOME}settings", {"name": "A"}, origin="https://[")
    assert refused.status_code == 403
    signing_in = await console.browser().post(
        "/console/sign-in", {"email": "a\0@b.c", "password": "b"}
    )
    assert signing_in.status_code == 400


async def test_the_head_of_a_table_has_no_body(owner: Browser) -> None:
    answer = await owner.client.head(f"{HOME}activity.csv")
    assert (answer.status_code, answer.content) == (200, b"")
