"""A file of results tells the same in whatever pieces it comes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.results import LONGEST, Line, Results, added, batch_of
from gateway.facts import Usage

USAGE = {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 3, "service_tier": "batch"}
TOLD = {"custom_id": "a", "result": {"type": "succeeded", "message": {"model": "claude", "usage": USAGE}}}
LINE = Line("claude", Usage(input_tokens=7, cache_read_tokens=2, output_tokens=3), "batch")
TEXTS = {
    json.dumps(TOLD).encode(): [LINE],
    b'{"custom_id":"b","result":{"type":"errored","error":{"type":"x"}}}': [],
    b"no JSON": [],
    b"": [],
}


@given(st.lists(st.sampled_from(list(TEXTS))), st.data())
def test_any_chunking_gives_the_same_lines(texts: list[bytes], data: st.DataObject) -> None:
    whole, at = b"\n".join(texts), 0
    found: list[Line] = []
    results = Results()
    while at < len(whole):
        size = data.draw(st.integers(1, 300))
        found += results.feed(whole[at : at + size])
        at += size
    found += results.feed(b"")
    assert found == [line for text in texts for line in TEXTS[text]]


def test_a_line_that_is_too_long_is_passed_over() -> None:
    results = Results()
    assert list(results.feed(b"{" * (LONGEST + 1))) == []
    assert list(results.feed(b"rest\n" + json.dumps(TOLD).encode() + b"\n")) == [LINE]


def test_usages_are_added_meter_by_meter() -> None:
    assert added(LINE.usage, LINE.usage) == Usage(input_tokens=14, cache_read_tokens=4, output_tokens=6, requests=2)


def test_paths_of_results() -> None:
    assert batch_of("/v1/messages/batches/msgbatch_1/results") == "msgbatch_1"
    assert batch_of("/v1/messages/batches/msgbatch_1") is None
