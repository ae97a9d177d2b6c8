"""Which strings of an event are text, and whose."""

import json
from typing import Any

import pytest

from gateway.inspection.plans import Plan, Reader, Slot, last_name
from gateway.inspection.scan import is_free, scan


def reader(event: Any) -> Reader:
    data = json.dumps(event).encode()
    return Reader(data, scan(data))


@pytest.mark.parametrize(
    ("event", "path", "is_text", "payload"),
    [
        ({"delta": {"content": "x"}}, ("delta", "content"), True, False),
        ({"delta": {"content": "data: x"}}, ("delta", "content"), True, False),
        ({"delta": {"id": "x"}}, ("delta", "id"), False, False),
        ({"delta": {"audio": {"data": "x"}}}, ("delta", "audio", "data"), True, True),
        ({"content_block": {"type": "redacted_thinking", "data": "x"}}, ("content_block", "data"), True, True),
        ({"content_block": {"type": "text", "data": "x"}}, ("content_block", "data"), True, False),
        ({"item": {"type": "image_generation_call", "result": "x"}}, ("item", "result"), True, True),
        ({"item": {"type": "mcp_call", "result": "x"}}, ("item", "result"), True, False),
        ({"content_block": {"input": {"id": "x"}}}, ("content_block", "input", "id"), True, False),
        ({"item": {"action": {"type": "x"}}}, ("item", "action", "type"), True, False),
        ({"item": {"input": "x"}}, ("item", "input"), True, False),
    ],
)
def test_text_is_what_it_is_in_whole_answers(event: Any, path: tuple[Any, ...], is_text: bool, payload: bool):
    """In known containers all strings but ids, discriminators and payloads that are encoded; in everything else all."""
    assert reader(event).is_text(path) is is_text
    assert reader(event).whole(path).payload is payload
    assert path in reader(event).strings()


def test_numbers_are_text_where_objects_are_not_known():
    found = reader({"index": 1, "item": {"input": {"n": [-1.5e3, True]}, "index": 2}, "usage": {"n": 7}})
    assert found.strings("item") == [("item", "input", "n", 0)]


def test_discriminators_decide_only_where_objects_are_known():
    found = reader({"type": "a", "item": {"role": "user", "action": {"type": "mail"}}})
    assert found.strings() == [("item", "action", "type")]
    assert found.value("type") == "a"
    assert found.value("nothing") == ""


def test_whose_words():
    found = reader({"item": {"type": "web_search_result", "content": [{"role": "user", "text": "x"}, {"text": "y"}]}})
    assert found.role(("item", "content", 0, "text"), "assistant") == "user"
    assert found.role(("item", "content", 1, "text"), "assistant") == "tool"


def test_names_of_objects_that_are_not_known():
    found = reader({"delta": {"odd": {"a": 1, "b": {"a": 2}}, "text": "x"}, "usage": {"c": 1}})
    assert found.free_names(lambda path: path[0] == "delta") == "a\nb"
    assert is_free(("usage", "c"))
    assert not is_free(("choices", 0, "delta", "content"))


def test_groups_stand_in_the_order_of_the_event():
    found = reader({"a": "1", "index": 0, "delta": {"text": "2"}})
    last, first = found.group("delta", "text"), found.group("a")
    plan, leaves = found.settle(Plan((Slot(last, "f", ids=(first, b"x")), Slot(first, "")), sequence=-1))
    assert leaves == [0, 2]
    assert [(slot.group, slot.ids) for slot in plan.slots] == [(1, (0, b"x")), (0, ())]


def test_last_names():
    assert last_name(("a", 0, 1)) == "a"
    assert last_name((0,)) == ""
