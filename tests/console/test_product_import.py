"""Products from a file: tried first, all rows or none, every problem by its row."""

from __future__ import annotations

import io
import re

import pytest
import xlsxwriter

from mintage.console.product_files import read_product_file, read_product_text, write_product_text
from mintage.errors import MintageError
from tests.console.conftest import HOME, Browser, Console

URL = f"{HOME}products/import"
GOOD = (
    "sku,name,gtin,commercial_status,mint_readiness_status\r\n"
    "A-1,Oak table,9506000134352,active,ready\r\n"
    'A-2,"Chair, ash",,,\r\n'
)


def workbook(rows: list[list[object]]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return buffer.getvalue()


async def skus(console: Console) -> list[str]:
    listed = await console.world.rpc("list_products", limit=200)
    return sorted(product["sku"] for product in listed["products"])


async def test_a_file_is_shown_before_anything_is_imported(
    console: Console, owner: Browser
) -> None:
    tried = await owner.upload(URL, {}, "file", GOOD.encode())
    assert tried.status_code == 200
    assert "All 2 rows can be imported." in tried.text
    assert await skus(console) == []
    table = re.search(r'<textarea name="table" hidden>\n?(.*?)</textarea>', tried.text, re.DOTALL)
    assert table is not None
    entered = {"table": table[1].replace("&#34;", '"'), "step": "import"}
    done = await owner.post(URL, entered)
    assert (done.status_code, done.headers["location"]) == (303, f"{HOME}products")
    assert await skus(console) == ["A-1", "A-2"]
    listed = (await console.world.rpc("list_products"))["products"]
    made = {product["sku"]: product for product in listed}
    assert (made["A-1"]["commercial_status"], made["A-1"]["mint_readiness_status"]) == (
        "ACTIVE",
        "READY",
    )
    assert (made["A-2"]["name"], made["A-2"]["gtin"]) == ("Chair, ash", None)


async def test_one_bad_row_keeps_all_rows_out_and_every_problem_is_named(
    console: Console, owner: Browser
) -> None:
    await console.world.rpc("create_product", sku="taken", name="Taken")
    text = (
        "sku;name;gtin;commercial_status\n"
        "B-1;Good;;\n"
        ";No SKU;;\n"
        "TAKEN;Taken already;;\n"
        "B-2;Wrong digit;9506000134353;\n"
        "b-1;Twice in the file;;\n"
        "B-3;Wrong status;;SOLD\n"
    )
    for step in ("try", "import"):
        answer = await owner.upload(URL, {"step": step}, "file", text.encode())
        assert answer.status_code == 400
        assert [int(row) for row in re.findall(r"<li>row (\d+)", answer.text)] == [2, 3, 4, 5, 6]
        assert "commercial_status" in answer.text
    assert await skus(console) == ["taken"]


async def test_a_spreadsheet_keeps_its_numbers_as_digits(console: Console, owner: Browser) -> None:
    content = workbook([["SKU", "Name", "GTIN"], [1001, "Oak table", 9506000134352], ["", "", ""]])
    assert read_product_file(content) == [
        {"sku": "1001", "name": "Oak table", "gtin": "9506000134352"}
    ]
    tried = await owner.upload(URL, {}, "file", content)
    assert "The row can be imported." in tried.text


async def test_an_editor_may_import_but_not_open_the_gates(console: Console) -> None:
    editor = await console.signed_in("editor")
    without_gates = await editor.upload(URL, {"step": "import"}, "file", b"sku,name\nC-1,C\n")
    assert without_gates.status_code == 303
    refused = await editor.upload(URL, {"step": "import"}, "file", GOOD.encode())
    assert refused.status_code == 403
    assert await skus(console) == ["C-1"]
    viewer = await console.signed_in("viewer")
    assert (await viewer.get(URL)).status_code == 403


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"sku,name\n", "no rows"),
        (b"sku,title\nA,B\n", "no column name"),
        (b"sku,name,colour\nA,B,red\n", "colour"),
        (b"sku,name,name\nA,B,C\n", "twice"),
        (b'sku,name\n"A,B\n', "is no CSV"),
        (b"\xff\xfe\x00", "neither a spreadsheet nor text"),
        (b"PK\x03\x04nonsense", "cannot be read as a spreadsheet"),
        (b"sku,name\n" + b"A,B\n" * 2001, "more than 2,000 rows"),
    ],
)
async def test_a_file_that_is_no_such_table_is_told_what_would_be_right(
    owner: Browser, content: bytes, said: str
) -> None:
    answer = await owner.upload(URL, {}, "file", content)
    assert answer.status_code == 400
    assert said in answer.text


def test_a_table_is_read_back_as_it_was_written() -> None:
    rows = [{"sku": 'A"1', "name": "a,\nb"}, {"sku": "B", "name": "ö", "gtin": "9506000134352"}]
    read = read_product_text(write_product_text(rows))
    assert [{name: value for name, value in row.items() if value} for row in read] == rows


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_usual_delimiter_is_understood(delimiter: str) -> None:
    text = f"\ufeffsku{delimiter}name\nA{delimiter}B\n"
    assert read_product_file(text.encode()) == [{"sku": "A", "name": "B"}]


def test_an_import_that_is_no_table_is_a_refusal_and_no_crash() -> None:
    with pytest.raises(MintageError):
        read_product_text("\x00")
