"""Streams that a detector outside must judge, through a served gateway: held back, masked, blocked, broken."""

import json

import pytest

from tests.support.answers import chat, chat_stream, message, message_stream, response, response_stream
from tests.support.detector_services import WORD
from tests.support.guarded import CLAUDE, Guarded
from tests.support.outside import SAID, Services, content, post
from tests.support.scripted import Scripted, Seen, Wire, by_stream

pytestmark = pytest.mark.usefixtures("zoo", "model")


@pytest.mark.parametrize("cut", [0, 7, 33])
def test_a_held_stream_is_masked_and_stays_a_stream(gateway: Guarded, model: Scripted, cut: int) -> None:
    whole = chat(f"Your {WORD} and your {WORD} are", calls=(json.dumps({"pet": WORD}),))
    model.says(by_stream(whole, chat_stream(whole), cut))
    answer = post(gateway, "mask", stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert content(answer) == f"Your <ANIMAL> and your {WORD} are", "the fake finds the first one only"
    assert answer.text.rstrip().endswith("data: [DONE]")
    client = gateway.openai("mask").chat.completions
    said = [{"role": "user", "content": "hello"}]
    calls: list[str] = []
    for chunk in client.create(model="gpt-4o-mini", messages=said, stream=True):
        for choice in chunk.choices:
            calls += [each.function.arguments or "" for each in choice.delta.tool_calls or () if each.function]
    assert json.loads("".join(calls)) == {"pet": "<ANIMAL>"}


def test_a_held_stream_that_is_clean_leaves_as_it_came(gateway: Guarded, model: Scripted) -> None:
    events = chat_stream(chat("all is well"))
    model.says(by_stream({}, events, 11))
    assert post(gateway, "mask", stream=True, stream_options={"include_usage": True}).content == events


def test_a_held_stream_that_is_blocked_is_an_envelope_with_the_rules_words(gateway: Guarded, model: Scripted) -> None:
    model.says(by_stream(chat(SAID), chat_stream(chat(SAID)), 20))
    for more in ({}, {"stream": True}):
        answer = post(gateway, "answers", **more)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
        assert answer.json()["error"]["message"] == "Not that animal."
        row = gateway.row(answer.headers["x-request-id"])
        assert (row["outcome"], row["output_tokens"] > 0) == ("blocked", True)


def test_a_held_stream_whose_detector_fails_is_an_envelope_that_says_try_again(
    gateway: Guarded, model: Scripted, zoo: Services
) -> None:
    model.says(by_stream({}, chat_stream(chat("all is well, but who knows"))))
    zoo.status = 500
    answer = post(gateway, "answers", stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "guardrail_unavailable")
    assert "who knows" not in answer.text


def test_a_held_stream_that_breaks_is_a_bad_gateway(gateway: Guarded, model: Scripted) -> None:
    events = chat_stream(chat("all is well"))

    def broken(wire: Wire, _: Seen) -> None:
        wire.open_stream()
        wire.chunk(events[: len(events) // 2])
        wire.broken()

    model.says(broken)
    answer = post(gateway, "mask", stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")


def test_an_event_that_nobody_can_be_asked_about_is_not_passed_under_closed(gateway: Guarded, model: Scripted) -> None:
    """Issue 3 section 6: "An internal failure of the guardrail never lets raw text through under `closed`"."""
    unread = b'data: {"choices":[{"delta":{"content":"' + WORD.encode() + b'"\n\n'
    events = chat_stream(chat("all is well"))
    model.says(by_stream({}, events.replace(b"data: [DONE]", unread + b"data: [DONE]")))
    for team, status in (("mask", 502), ("late-open-held", 200)):
        answer = post(gateway, team, stream=True)
        assert (answer.status_code, WORD in answer.text) == (status, status == 200)


def test_streams_pass_where_the_rule_says_so(gateway: Guarded, model: Scripted, zoo: Services) -> None:
    model.says(by_stream(chat(SAID), chat_stream(chat(SAID))))
    assert content(post(gateway, "passing", stream=True)) == SAID
    assert zoo.asked == 0
    assert post(gateway, "passing").status_code == 400


@pytest.mark.parametrize("operation", ["responses", "messages"])
def test_a_held_stream_is_masked_in_every_dialect(gateway: Guarded, model: Scripted, operation: str) -> None:
    """With the dialects' own SDKs, which take offence at events that do not fit together."""
    if operation == "responses":
        answer = response(f"Your {WORD}!")
        model.says(by_stream(answer, response_stream(answer), 13))
        client = gateway.openai("mask").responses
        with client.stream(model="gpt-4o-mini", input="hello") as responses:
            assert responses.get_final_response().output_text == "Your <ANIMAL>!"
    else:
        said = message(f"Your {WORD}!")
        model.says(by_stream(said, message_stream(said), 13))
        asked = [{"role": "user", "content": "hello"}]
        with gateway.anthropic("mask").messages.stream(model=CLAUDE, max_tokens=9, messages=asked) as messages:
            assert messages.get_final_text() == "Your <ANIMAL>!"
