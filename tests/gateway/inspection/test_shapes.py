"""Shapes: an event that matches one has, token for token, the same structure."""

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.inspection.scan import scan
from gateway.inspection.shapes import MAX_KINDS, MAX_LEAVES, MAX_SHAPES, Shapes
from tests.gateway.inspection.test_scan import VALUES


def learned(data: bytes, wanted: list[int], literal: set[int] | None = None) -> Shapes[str]:
    shapes: Shapes[str] = Shapes()
    for _ in range(2):
        shapes.learn(b"k", data, scan(data).leaves, literal or set(), wanted, "plan")
    return shapes


@given(st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4), st.data())
def test_only_events_of_the_same_structure_match(value: dict[str, Any], data: st.DataObject):
    """ "what was found out about the first one holds for it, and the groups of the match say where"."""
    first = json.dumps(value).encode()
    found = scan(first)
    shapes = learned(first, list(range(len(found.leaves))))
    at = data.draw(st.integers(0, len(first)))
    insert = data.draw(st.sampled_from([b"", b'"', b",", b'"a":1,', b"\\", b"x", b"{", b"[]", b"0", b'\\"', b'","']))
    other = first[:at] + insert + first[at + data.draw(st.integers(0, 3)) :]
    match = shapes.find(b"k", other)
    assume(match is not None)
    try:
        same = scan(other)
    except ValueError:
        return  # nobody can read it, so it is nobody's text
    assert [leaf.path for leaf in same.leaves] == [leaf.path for leaf in found.leaves]
    assert same.names == found.names
    assert match is not None
    assert list(match[1]) == [(leaf.start, leaf.end) for leaf in same.leaves]


def test_values_that_decide_must_be_the_same():
    data = b'{"type":"a","n":1,"t":"x"}'
    shapes = learned(data, [2], {0})
    assert shapes.find(b"k", b'{"type":"a","n":-2.5e3,"t":"y\\"z"}') == ("plan", ((27, 33),))
    assert shapes.find(b"k", b'{"type":"b","n":1,"t":"x"}') is None
    assert learned(data, [0, 2], {0}).find(b"k", data) == ("plan", ((8, 11), (22, 25)))
    assert shapes.find(b"other", data) is None


def test_a_shape_is_made_when_it_is_seen_twice():
    shapes: Shapes[str] = Shapes()
    data = b'{"a":"b"}'
    shapes.learn(b"k", data, scan(data).leaves, set(), [0], "plan")
    assert shapes.find(b"k", data) is None


def test_what_is_kept_is_bounded():
    shapes: Shapes[int] = Shapes()
    for kind in range(MAX_KINDS + 5):
        for number in range(MAX_SHAPES + 5 if kind == 0 else 1):
            data = b'{"n%d":"b"}' % number
            for _ in range(2):
                shapes.learn(b"%d" % kind, data, scan(data).leaves, set(), [0], number)
    assert shapes.find(b"0", b'{"n0":"b"}') is None
    assert shapes.find(b"0", b'{"n16":"b"}') is not None
    assert shapes.find(b"%d" % (MAX_KINDS + 1), b'{"n0":"b"}') is None
    large = json.dumps(["x"] * (MAX_LEAVES + 1)).encode()
    assert learned(large, [0]).find(b"k", large) is None


def test_alternatives_to_tokens_are_within_a_shape():
    """A list of tokens, of alternatives to each, of bytes of each of those: six deep."""
    own = {"token": "a", "logprob": -1.5, "bytes": [97]}
    event = {"logprobs": {"content": [{**own, "top_logprobs": [own]}], "refusal": None}, "t": "x"}
    data = json.dumps(event).encode()
    match = learned(data, [0, 1]).find(b"k", data.replace(b"97", b"97, 98"))
    assert match is not None


def test_matching_is_linear_on_bait():
    """Text made to backtrack costs what its length costs."""
    data = b'{"logprobs":{"a":[]},"t":"x"}'
    shapes = learned(data, [1])
    bait = b'{"logprobs":' + b'{"a":[' * 50_000 + b'"\\"' * 50_000
    assert shapes.find(b"k", bait) is None
