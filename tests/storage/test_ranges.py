"""Downloads in ranges (RFC 9110 §14): parts, sizes, versions."""

from __future__ import annotations

from typing import Any

import pytest

from mintage.api.storage_answers import RangeRefused, byte_range
from tests.packs.desk import Desk
from tests.storage.test_downloads import content_of
from tests.storage.window import BASE, OBJECT, Window


@pytest.fixture
async def pack(desk: Desk) -> dict[str, Any]:
    """A completed pack of five units."""
    return (await desk.exported(5))[0]


async def test_a_range_is_answered_with_that_part(
    window: Window, desk: Desk, pack: dict[str, Any]
) -> None:
    content, size = content_of(desk, pack), pack["byte_size"]
    url = BASE + await window.signed(pack["storage_path"])
    for header, start, stop in (
        ("bytes=0-9", 0, 10),
        ("bytes=10-", 10, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=5-{size + 100}", 5, size),
        (f"bytes=-{size + 100}", 0, size),
    ):
        part = await window.ask("GET", url, None, headers={"range": header})
        assert part.status_code == 206
        assert part.content == content[start:stop]
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert part.headers["content-length"] == str(stop - start)


async def test_a_range_behind_the_end_is_416_and_tells_the_size(
    window: Window, pack: dict[str, Any]
) -> None:
    size = pack["byte_size"]
    answer = await window.ask(
        "GET", f"{OBJECT}/{pack['storage_path']}", headers={"range": f"bytes={size}-"}
    )
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{size}"


async def test_a_range_of_another_version_is_answered_with_the_whole(
    window: Window, pack: dict[str, Any]
) -> None:
    url = f"{OBJECT}/{pack['storage_path']}"
    for etag, status in ((f'"{pack["sha256"]}"', 206), ('"other"', 200)):
        headers = {"range": "bytes=0-4", "if-range": etag}
        assert (await window.ask("GET", url, headers=headers)).status_code == status


@pytest.mark.parametrize(
    "header",
    ["", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1",
     "bytes=0-1;", "bytes=١-٢", "bytes=+1-2", "bytes=1--2", "bytes=" + "9" * 30 + "-"],
)  # fmt: skip
def test_a_range_header_that_is_none_or_many_is_ignored(header: str) -> None:
    assert byte_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_a_range_of_no_byte_is_refused(header: str) -> None:
    with pytest.raises(RangeRefused):
        byte_range(header, 10)
