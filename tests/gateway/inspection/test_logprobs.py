"""Log-probabilities taken apart and written again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.logprobs import Told, read, read_usual

TEXTS = st.lists(st.text(alphabet='ab ☃"\\\ud83d', min_size=1, max_size=3), max_size=4)


def ways(tokens: list[str]) -> list[Any]:
    full = [{"token": each, "bytes": list(each.encode("utf-8", "surrogatepass"))} for each in tokens]
    bare = [{"token": each, "bytes": None, "logprob": -0.5, "top_logprobs": []} for each in tokens]
    columns = {"tokens": tokens, "token_logprobs": [-1.5] * len(tokens), "text_offset": [*range(len(tokens))]}
    return [{"content": full, "refusal": None}, {"content": None, "refusal": bare}, columns, full, bare]


@given(TEXTS, st.data())
def test_what_is_read_is_written(tokens: list[str], data: st.DataObject):
    """The tokens are those of the text, and what is left of them is written as they were."""
    for way in ways(tokens):
        told = read(json.dumps(way).encode())
        assert told is not None
        assert told.whole
        ((name, found),) = told.lists.items()
        assert [each.said for each in found] == [each.encode("utf-8", "surrogatepass") for each in tokens]
        some = [at for at in range(len(found)) if data.draw(st.booleans())]
        written = json.loads(told.written({name: [found[at] for at in some]}))
        if not some:
            assert written == ([] if isinstance(way, list) else None)
        elif "tokens" in way:
            assert written == {member: [column[at] for at in some] for member, column in way.items()}
        else:
            chosen = [(way[name] if name else way)[at] for at in some]
            assert written == (chosen if isinstance(way, list) else {**dict.fromkeys(way), name: chosen})


def test_alternatives_and_what_is_no_number_are_left_out_where_rules_may_change_a_text():
    """ "The alternatives to it are words of the model's that nobody judged: of those only the token itself stays.\""""
    own = {"token": "a", "logprob": -1, "bytes": [97]}
    entry = {**own, "id": 7, "top_logprobs": [own, {"token": "4111", "logprob": -2, "bytes": None}]}
    more = {**entry, "note": "4111", "4111": 1, "seen": 4111222233334444}
    told = read(json.dumps([more]).encode())
    assert told is not None
    assert not told.whole
    assert told.lists[""][0].told == {**own, "id": 7, "top_logprobs": [own]}
    assert read(json.dumps([more]).encode(), judged=False).lists[""][0].told == more  # type: ignore[union-attr]
    columns = {"tokens": ["a", "b"], "top_logprobs": [{"a": -1, "4111": -2}, None], "4111": [1, 2], "said": ["x", 1]}
    told = read(json.dumps(columns).encode())
    assert told is not None
    assert not told.whole
    kept = {"tokens": ["a", "b"], "top_logprobs": [{"a": -1}, None], "said": [None, 1]}
    assert json.loads(told.written(told.lists)) == kept


def parts(told: Told | None) -> Any:
    """Of what was read, all that may go on."""
    if told is None:
        return None
    lists = {name: [(each.said, each.told) for each in tokens] for name, tokens in told.lists.items()}
    return lists, told.names, told.columns, told.whole, told.written(told.lists)


@given(
    st.text(alphabet='ab ☃"\\\x00\ud83d', max_size=3),
    st.sampled_from(
        [
            "-0.5",
            "0",
            "-1",
            "-9999999",
            "-99999999",
            "1e-7",
            "1e7",
            "-01",
            ".5",
            "-1.25E-300",
            "null",
            "-1.",
            "1e",
            "2e-",
            "-",
        ]
    ),
    st.sampled_from([None, [], [97], [256], [98, 32], ["a"]]),
    st.sampled_from(["[]", "[{}]", "null", "[1]"]),
    st.booleans(),
    st.sampled_from(["", ',"refusal":null', ',"refusal":[]', ',"content":[]', " "]),
)
def test_the_usual_way_says_what_any_way_says(
    token: str, number: str, listed: list[Any] | None, others: str, ascii_only: bool, behind: str
):
    """ "Nothing of it can be given twice, or say more": what is read by one expression is what a parser reads."""
    said = list(token.encode("utf-8", "surrogatepass")) if listed is None else listed
    written = json.dumps(token, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    told = b'"token":%b,"logprob":%b,"bytes":%b,"top_logprobs":%b' % (
        written,
        number.encode(),
        json.dumps(said, separators=(",", ":")).encode(),
        others.encode(),
    )
    raw = b'{"content":[{%b}]%b}' % (told, behind.encode())
    apart = b" " + raw
    try:
        usual = read_usual(raw)
    except ValueError:
        usual = None
    if usual is not None:
        assert parts(usual) == parts(read(apart)) == parts(read(apart, judged=False))
    assert parts(read(raw)) == parts(read(apart))


def test_most_are_told_the_usual_way():
    entry = {"token": " so", "logprob": -0.25, "bytes": [32, 115, 111], "top_logprobs": list[Any]()}
    for way in ({"content": [entry]}, {"content": [entry], "refusal": None}):
        assert read_usual(json.dumps(way, separators=(",", ":")).encode()) is not None


@pytest.mark.parametrize("token", ["\\xe2\\x98", "bytes:\\xe2\\x98", "\ufffd"])
def test_a_part_of_a_character_is_told_in_bytes(token: str):
    told = read(json.dumps([{"token": token, "bytes": [0xE2, 0x98]}]).encode())
    assert told is not None
    assert told.lists[""][0].said == b"\xe2\x98"


@pytest.mark.parametrize(
    "raw",
    [b"[1,2]", b'{"ids":[]}', b'{"content":[{"logprob":1}]}', b'{"content":"a"}', b'[{"token":"a","bytes":[256]}]',
     b'[{"token":"a","bytes":["a"]}]', b"[" * 9999 + b"]" * 9999, b"{", b'[{"bytes":null,"token":{}}]', b"1",
     b'[{"token":"4111","bytes":[97]}]', b'[{"token":"a","token":"4111"}]', b'{"tokens":["a"],"text_offset":[]}',
     b'{"tokens":[1]}', b'{"tokens":["a"],"tokens":["4111"]}'],
)  # fmt: skip
def test_what_is_written_otherwise_is_not_read(raw: bytes):
    """ "It is not written in one of these ways, or says anything twice or differently.\""""
    assert read(raw) is None
