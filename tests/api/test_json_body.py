"""Bodies that are no JSON object as it must be: 400, naming the argument where there is one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.api.json_body import parse_arguments_json
from mintage.errors import MintageError
from tests.api.conftest import Api, problems


def parsed(body: bytes) -> dict[str, object]:
    return parse_arguments_json(bytearray(body), depth_max=16)


def refused(body: bytes) -> MintageError:
    with pytest.raises(MintageError) as raised:
        parsed(body)
    assert raised.value.kind.status == 400
    assert raised.value.hint
    return raised.value


def nested(levels: int) -> bytes:
    """An object of that many levels, the outermost counted."""
    return b'{"_a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


NO_OBJECT = {
    "nothing": b"",
    "blank": b" \n",
    "a list": b"[]",
    "a text": b'"text"',
    "a number": b"1",
    "null": b"null",
    "unfinished": b'{"_a":1',
    "two values": b"{}{}",
    "a comma too many": b'{"_a":1,}',
    "single quotes": b"{'_a':1}",
    "a comment": b'{"_a":1 /* one */}',
    "a number with a leading zero": b'{"_a":01}',
    "a control character": b'{"_a":"\x01"}',
    "a raw NUL": b'{"_a":"\x00"}',
    "a raw newline in a text": b'{"_a":"\n"}',
    "invalid UTF-8": b'{"_a":"\xff"}',
    "UTF-8 of a surrogate": b'{"_a":"\xed\xa0\x80"}',
    "overlong UTF-8": b'{"_a":"\xc0\xaf"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"_a":1}'.encode("utf-16"),
    "a hundred thousand levels": b"[" * 100_000,
    "twenty thousand levels": nested(20_000),
    "a million empty objects": b'{"_a":[' + b"{}," * 1_000_000 + b"{}]}",
}
NAMED = {
    "NaN": (b'{"_a":NaN}', ["_a"]),
    "Infinity": (b'{"_a":1,"_b":-Infinity}', ["_b"]),
    "a number beyond a float": (b'{"_a":[1e400]}', ["_a[0]"]),
    "65 bits": (b'{"_a":9223372036854775808}', ["_a"]),
    "65 bits below zero": (b'{"_a":-9223372036854775809}', ["_a"]),
    "ten thousand digits": (b'{"_a":{"x":' + b"9" * 10_000 + b"}}", ["_a.x"]),
    "a name twice": (b'{"_a":1,"_b":2,"_a":1}', ["_a"]),
    "a name twice by an escape": (b'{"_a":1,"_\\u0061":1}', ["_a"]),
    "a name twice inside": (b'{"_a":{"x":1,"x":2}}', ["_a.x"]),
    "a name twice in a list": (b'{"_lots":[{"qty":1},{"qty":1,"qty":1}]}', ["_lots[1].qty"]),
    "NUL": (b'{"_a":"x\\u0000"}', ["_a"]),
    "NUL deep inside": (b'{"_a":[{"x":["\\u0000"]}]}', ["_a[0].x[0]"]),
    "NUL in a name inside": (b'{"_a":{"\\u0000":1}}', ["_a.\\x00"]),
    "a lone high surrogate": (b'{"_a":"\\ud800"}', ["_a"]),
    "a lone low surrogate": (b'{"_a":"\\uDFFF tail"}', ["_a"]),
    "surrogates in the wrong order": (b'{"_a":"\\udc00\\ud800"}', ["_a"]),
    "a surrogate in a name": (b'{"\\ud800":1}', ["\\ud800"]),
    "17 levels": (nested(17), ["_a" + "[0]" * 15]),
    "17 levels of objects": (b'{"_a":' * 17 + b"1" + b"}" * 17, ["_a" + "._a" * 15]),
    "several": (b'{"_a":NaN,"_b":"\\u0000","_c":1}', ["_a", "_b"]),
}


@pytest.mark.parametrize("body", NO_OBJECT.values(), ids=NO_OBJECT)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    error = refused(body)
    assert error.message.startswith("Invalid input: the body ")
    assert error.problems == ()


@pytest.mark.parametrize(("body", "named"), NAMED.values(), ids=NAMED)
def test_a_bad_value_is_refused_by_the_name_of_its_argument(body: bytes, named: list[str]) -> None:
    error = refused(body)
    assert [problem.argument for problem in error.problems] == named
    assert all(problem.problem and problem.hint for problem in error.problems)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b' {"_a" : [ ] } \n',
        nested(16),
        b'{"_a":' * 16 + b"1" + b"}" * 16,
        b'{"_a":9223372036854775807,"_b":-9223372036854775808,"_c":1e308,"_d":-0.5,"_e":0}',
        b'{"_a":"\\ud83e\\ude91 \\u00e9 \\\\u0000 \\"[[[[[[[[[[[[[[[[[[[["}',
        '{"_a":"\U0001fa91 é "}'.encode(),
        b'{"":1,"_a":null,"_b":true}',
        b'{"_a":[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]}',
    ],
)
def test_what_is_right_is_read_as_json_reads_it(body: bytes) -> None:
    assert parsed(body) == json.loads(body)


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["_a", "_b", "_c"]), json_values), st.booleans())
def test_every_good_value_is_read_back(content: dict[str, Any], is_ascii: bool) -> None:
    body = json.dumps(content, ensure_ascii=is_ascii).encode()
    depth = _depth(content)
    if depth <= 16:
        assert parsed(body) == content
    else:
        refused(body)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(inner) for inner in value), default=0)
    return 0


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    try:
        content = parsed(body)
    except MintageError:
        return
    assert content == json.loads(body)


@pytest.mark.parametrize(("body", "named"), NAMED.values(), ids=NAMED)
async def test_a_bad_value_is_answered_400_and_named(
    api: Api, body: bytes, named: list[str]
) -> None:
    response = await api.post("/rest/v1/rpc/create_product", "owner", body)
    assert response.status_code == 400
    assert response.json()["code"] == "22023"
    assert list(problems(response)) == named
