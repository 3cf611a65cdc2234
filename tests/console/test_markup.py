"""Serials and lot codes may be markup (GS1 set 82 has <, > and quotes): on every page they stay text."""

from __future__ import annotations

import html
import re

import pytest

from tests.console.conftest import HOME, Browser, Console, ids_in

SERIALS = ["<i>1</i>", '"><img/src=x>', "'onfocus=x(1)//", "</title><svg>"]
LOT = "</script><i>x</i>"
TAG = re.compile(r"<i>|<img/|</title><svg|</script><i>|['\"]onfocus")


async def brought(console: Console) -> str:
    """A batch of the serials; its id."""
    submitted = await console.world.submit(
        await console.world.product(), len(SERIALS), serials=SERIALS
    )
    await console.world.run(submitted["mint_job_id"])
    return str(submitted["mint_batch_id"])


async def test_serials_that_are_markup_stay_text(console: Console, owner: Browser) -> None:
    batch_id = await brought(console)
    listed = await owner.get(f"{HOME}units?mint_batch_id={batch_id}")
    for serial in SERIALS:
        assert serial in html.unescape(listed.text)
    pages = [f"units/{unit_id}" for unit_id in ids_in(listed.text, "units")]
    assert len(pages) == len(SERIALS)
    for page in ("units", f"batches/{batch_id}", "activity", "", "search?q=%3Ci%3E1", *pages):
        answer = await owner.get(HOME + page)
        assert answer.status_code == 200, page
        assert TAG.search(answer.text) is None, page
    for serial in SERIALS:
        found = await owner.client.get(
            f"{HOME}search", params={"q": serial}, headers={"hx-request": "true"}
        )
        assert serial in html.unescape(found.text)
        assert TAG.search(found.text) is None, serial


@pytest.mark.parametrize("name", ["csv", "full_manifest", "epcis", "qr_svg", "labels_pdf"])
async def test_a_preview_of_such_a_serial_is_text(
    console: Console, owner: Browser, name: str
) -> None:
    entered = {"mint_batch_id": await brought(console), "format": name}
    answer = await owner.post(f"{HOME}exports/preview", entered)
    assert answer.status_code == 200
    assert 'role="alert"' not in answer.text
    assert TAG.search(answer.text) is None


async def test_a_lot_code_that_is_markup_stays_text(console: Console, owner: Browser) -> None:
    submitted = await console.world.submit(
        await console.world.product(),
        3,
        identity_mode="batch",
        lots=[{"lot_code": LOT, "qty": 3}],
    )
    await console.world.run(submitted["mint_job_id"])
    batch_id = submitted["mint_batch_id"]
    for page in (f"batches/{batch_id}", f"units?mint_batch_id={batch_id}"):
        answer = await owner.get(HOME + page)
        assert LOT in html.unescape(answer.text), page
        assert TAG.search(answer.text) is None, page
    again = {"product_id": "x", "identity": "batch", "lots": f"{LOT} 1\n{LOT} many", "step": "mint"}
    refused = await owner.post(f"{HOME}mint", again)
    assert TAG.search(refused.text) is None
