"""A channel knows how to write a piece of its text where the provider writes it."""

import json

from gateway.inspection.channels import Channel, ids_of
from gateway.inspection.plans import Slot

DATA = b'{"index":3,"id":"call_1"}'
SPANS = [(9, 10), (16, 24)]
WAY = (("tool_calls", -1, b""), (0, 0, b'"function"'), ("function", -1, b""), ("arguments", -1, b""))
SLOT = Slot(0, "arguments", ids=(0, b"x"), json=True, call=1, way=WAY)


def test_its_ids_are_bytes_of_the_event_or_of_the_slot() -> None:
    assert ids_of(SLOT, DATA, SPANS) == (b"3", b"x")


def test_it_writes_a_text_with_its_index_and_type() -> None:
    channel = Channel("arguments.3", SLOT, DATA, SPANS)
    assert channel.call == b'"call_1"'
    assert json.loads(channel.value('a "b"')) == [{"index": 3, "type": "function", "function": {"arguments": 'a "b"'}}]
