"""A held stream's texts, and the same events with other texts: as every dialect's rewriter asks for them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.held import Collected, Replaced
from gateway.inspection.rewriters import Rewriters
from gateway.wire.sse import SseParser
from tests.support.answers import chat, chat_stream


def run(events: bytes, inspector: Collected | Replaced, operation: str = "chat.completions") -> bytes:
    rewriter = Rewriters().open(operation, inspector)
    parser = SseParser(len(events) + 1)
    out = [rewriter.event(event) for event in (*parser.feed(events), *parser.close())]
    return b"".join([*out, rewriter.end()])


def said(events: bytes) -> str:
    chunks = [json.loads(line[6:]) for line in events.decode().split("\n") if line.startswith("data: {")]
    return "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks if each["choices"])


TEXT = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=60)


@given(TEXT, TEXT)
def test_what_is_collected_can_be_replaced(text: str, new: str) -> None:
    """The concatenated output is the new text where there is one, and else every event is its own bytes."""
    events = chat_stream(chat(text))
    collected = Collected()
    assert run(events, collected) == events
    content = [each for each in collected.segments if each.path.startswith("delta/content")]
    assert [(each.role, each.text) for each in content] == [("assistant", text)]
    assert run(events, Replaced({})) == events
    assert said(run(events, Replaced({content[0].path: new}))) == new


def test_arguments_are_documents() -> None:
    events = chat_stream(chat("x", calls=('{"a": "b"}',)))
    collected = Collected()
    run(events, collected)
    [arguments] = [each for each in collected.segments if each.path.endswith(".arguments")]
    assert arguments.text == '{"a": "b"}'
    out = run(events, Replaced({arguments.path: '{"a": "c"}'}))
    assert b'{\\"a\\": \\"c\\"}' in out


@pytest.mark.parametrize("inspector", [Collected(), Replaced({"a": "bc"})])
def test_nothing_is_concluded_here(inspector: Collected | Replaced) -> None:
    assert (inspector.blocked, inspector.verdict.enforced) == (False, "allow")
    assert inspector.held() == (2 if isinstance(inspector, Replaced) else 0)
