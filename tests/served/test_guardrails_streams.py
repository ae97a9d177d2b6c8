"""Guardrails on streams, with the real SDKs: what they put together is what they get of the masked whole answer."""

import contextlib
import json
import socket
from collections.abc import Callable

import anthropic
import httpx
import openai
import pytest

from tests.support.answers import (
    chat,
    chat_stream,
    completion,
    completion_stream,
    message,
    message_stream,
    response,
    response_stream,
    sse,
)
from tests.support.guarded import CARD, CLAUDE, EMAIL, Guarded
from tests.support.scripted import Scripted, Seen, Wire, by_stream, streamed
from tests.support.served import wait_for

HI = [{"role": "user", "content": "hi"}]
TEXT = f"Dear Jane,\nwe have {EMAIL} (or x+{EMAIL}) and the card {CARD}. ☃ Yours: a.b@c, x@example.co.uk"
ARGUMENTS = json.dumps({"to": EMAIL, "say": f'"{EMAIL}"\n☃', "n": [1, {"card": CARD}]})
ESCAPED = json.dumps({"to": EMAIL}).replace("@", "\\u0040")


def raw(guarded: Guarded, team: str, **more: object) -> httpx.Response:
    body = {"model": "gpt-4o-mini", "messages": HI, "stream": True, **more}
    headers = {"authorization": f"Bearer sk-{team}"}
    return httpx.post(guarded.v1 + "/chat/completions", json=body, headers=headers, timeout=60)


def events(body: bytes) -> list:
    found = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(data) if data != b"[DONE]" else "[DONE]" for data in found]


# -- put together ------------------------------------------------------------------------------------------------------


def chats(guarded: Guarded, stream: bool, team: str = "masked") -> object:
    client = guarded.openai(team)
    if not stream:
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=HI, n=2)
    else:
        with client.chat.completions.stream(
            model="gpt-4o-mini", messages=HI, n=2, stream_options={"include_usage": True}
        ) as events:
            answer = events.get_final_completion()
    return [
        (
            choice.index,
            choice.message.content,
            [(call.id, call.function.arguments) for call in choice.message.tool_calls or []],
            choice.finish_reason,
            answer.usage.completion_tokens,
        )
        for choice in answer.choices
    ]


def completions(guarded: Guarded, stream: bool, team: str = "masked") -> object:
    answer = guarded.openai(team).completions.create(model="gpt-3.5-turbo-instruct", prompt="x", n=2, stream=stream)
    texts: dict[int, str] = {}
    for part in answer if stream else [answer]:
        for choice in part.choices:
            texts[choice.index] = texts.get(choice.index, "") + choice.text
    return texts


def responses(guarded: Guarded, stream: bool, team: str = "masked") -> object:
    client = guarded.openai(team)
    if not stream:
        answer = client.responses.create(model="gpt-4o-mini", input="x")
        return [answer.output_text, answer.output_text, answer.output[1].arguments, answer.output[1].arguments]
    said = {"response.output_text.delta": "", "response.function_call_arguments.delta": ""}
    numbers: list[int] = []
    with client.responses.stream(model="gpt-4o-mini", input="x") as events:
        for event in events:
            numbers.append(event.sequence_number)
            if event.type in said:
                said[event.type] += event.delta
        answer = events.get_final_response()
    assert numbers == list(range(len(numbers)))
    text, arguments = said.values()
    return [text, answer.output_text, arguments, answer.output[1].arguments]


def messages(guarded: Guarded, stream: bool, team: str = "masked") -> object:
    client = guarded.anthropic(team)
    ask = {"model": CLAUDE, "max_tokens": 9, "messages": HI}
    if stream:
        with client.messages.stream(**ask) as events:
            answer = events.get_final_message()
    else:
        answer = client.messages.create(**ask)
    return [answer.content[0].text, answer.content[1].input, answer.stop_reason, answer.usage.output_tokens]


CHAT = chat(TEXT, f"{CARD} {EMAIL}", calls=(ARGUMENTS, ESCAPED))
DIALECTS: dict[str, tuple[Callable, dict, Callable]] = {
    "chat": (chats, CHAT, chat_stream),
    "completions": (completions, completion(TEXT, EMAIL), completion_stream),
    "responses": (responses, response(TEXT, ARGUMENTS), response_stream),
    "messages": (messages, message(TEXT, json.loads(ARGUMENTS)), message_stream),
}


@pytest.mark.parametrize("cut", [0, 1, 61])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_adds_up_to_the_masked_answer(guarded: Guarded, provider: Scripted, dialect: str, cut: int) -> None:
    """ "A masked stream is, byte for byte, what masking the whole answer would give, however the provider cut it.\""""
    ask, answer, stream = DIALECTS[dialect]
    provider.says(by_stream(answer, stream(answer), cut))
    whole = ask(guarded, stream=False)
    assert "<EMAIL_ADDRESS>" in str(whole)
    assert EMAIL not in str(whole)
    assert ask(guarded, stream=True) == whole


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_the_size_of_deltas_does_not_matter(guarded: Guarded, provider: Scripted, size: int) -> None:
    for ask, answer, stream in DIALECTS.values():
        provider.says(by_stream(answer, stream(answer, size)))
        assert ask(guarded, stream=True) == ask(guarded, stream=False)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_of_nothing_found_is_untouched(guarded: Guarded, provider: Scripted, dialect: str) -> None:
    ask, answer, stream = DIALECTS[dialect]
    provider.says(by_stream(answer, stream(answer)))
    assert ask(guarded, stream=True, team="shadow") == ask(guarded, stream=False, team="free")


@pytest.mark.parametrize("wanted", [True, False])
def test_the_usage_event_is_kept_or_stripped_as_asked(guarded: Guarded, provider: Scripted, wanted: bool) -> None:
    provider.says(streamed(chat_stream(CHAT), 50))
    more = {"stream_options": {"include_usage": True}} if wanted else {}
    answer = raw(guarded, "masked", **more)
    assert provider.last.json["stream_options"] == {"include_usage": True}
    assert (b'"usage"' in answer.content) is wanted
    assert events(answer.content)[-1] == "[DONE]"
    row = guarded.row(answer.headers["x-request-id"])
    assert (row["input_tokens"], row["output_tokens"], row["estimated"], row["outcome"]) == (100, 20, 0, "ok")


def test_pseudonyms_come_back_in_streams(guarded: Guarded, provider: Scripted) -> None:
    """However the placeholder is cut, and inside of tool arguments."""

    def echo(wire: Wire, seen: Seen) -> None:
        said = seen.json["messages"][0]["content"]
        answer = chat(f"So {said}!", said.lower(), calls=(json.dumps({"said": said}),))
        streamed(chat_stream(answer, 4), 40)(wire, seen)

    provider.says(echo)
    text = f"{EMAIL} or o'neil@example.org"
    with guarded.openai("pseudo").chat.completions.stream(
        model="gpt-4o-mini", messages=[{"role": "user", "content": text}]
    ) as parts:
        first, second = parts.get_final_completion().choices
    assert b"example" not in provider.last.body
    assert first.message.content == f"So {text}!"
    assert second.message.content == text
    assert json.loads(first.message.tool_calls[0].function.arguments) == {"said": text}


def test_pseudonyms_come_back_as_names_of_members(guarded: Guarded, provider: Scripted) -> None:
    """A tool's input is an object whose members may be named by a value."""

    def echo(wire: Wire, seen: Seen) -> None:
        said = seen.json["messages"][0]["content"]
        answer = message("Done.", {said: {"note": said, said.lower(): 1}})
        by_stream(answer, message_stream(answer), 40)(wire, seen)

    provider.says(echo)
    client = guarded.anthropic("pseudo")
    ask = {"model": CLAUDE, "max_tokens": 9, "messages": [{"role": "user", "content": EMAIL}]}
    assert client.messages.create(**ask).content[1].input == {EMAIL: {"note": EMAIL, EMAIL: 1}}
    with client.messages.stream(**ask) as parts:
        assert parts.get_final_message().content[1].input == {EMAIL: {"note": EMAIL, EMAIL: 1}}


# -- blocked -----------------------------------------------------------------------------------------------------------

FRUIT = "All of this is safe to say. But eat the forbidden fruit and you will see what comes of it."


def stalls(data: bytes, until: bytes) -> Callable[[Wire, Seen], None]:
    """A stream that says nothing more, and does not end, behind `until`."""

    def play(wire: Wire, _: Seen) -> None:
        wire.open_stream()
        wire.chunk(data[: data.index(until)] + until)
        wire.wait_until_left()

    return play


def blocked_once(guarded: Guarded, provider: Scripted, request_id: str) -> None:
    assert provider.left.wait(60)
    row = guarded.row(request_id)
    assert (row["outcome"], row["stream"]) == ("blocked", 1)
    assert row["input_tokens"] > 0
    assert row["output_tokens"] > 0
    assert json.loads(row["guardrails"])[0]["enforced"] == "block"


def test_a_chat_stream_blocked_in_the_middle_ends_with_content_filter(guarded: Guarded, provider: Scripted) -> None:
    data = chat_stream(chat(FRUIT, "Second choice."), 6)
    provider.says(stalls(data, b"comes"))
    answer = raw(guarded, "answers")
    blocked_once(guarded, provider, answer.headers["x-request-id"])
    told = events(answer.content)
    assert told.pop() == "[DONE]"
    ends = {c["index"]: c["finish_reason"] for event in told for c in event["choices"] if c["finish_reason"]}
    assert ends[0] == "content_filter"
    text = "".join(c["delta"].get("content") or "" for event in told for c in event["choices"] if c["index"] == 0)
    assert text == "All of this is safe to say. But eat the "
    provider.says(stalls(data, b"comes"))
    with (
        contextlib.suppress(openai.ContentFilterFinishReasonError),
        guarded.openai("answers").chat.completions.stream(model="gpt-4o-mini", messages=HI) as parts,
    ):
        assert parts.get_final_completion().choices[0].finish_reason == "content_filter"


def test_a_chat_blocked_in_the_middle_says_by_which_rule(guarded: Guarded, provider: Scripted) -> None:
    provider.says(stalls(chat_stream(chat(FRUIT), 6), b"comes"))
    chunks = list(guarded.openai("answers").chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True))
    said = "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks if chunk.choices)
    assert said == "The answer was blocked by this team's guardrails (rule no-fruit: TERM)."


def test_a_response_blocked_in_the_middle_is_incomplete(guarded: Guarded, provider: Scripted) -> None:
    provider.says(stalls(response_stream(response(FRUIT), 6), b"comes"))
    with guarded.openai("answers").responses.with_streaming_response.create(
        model="gpt-4o-mini", input="x", stream=True
    ) as answer:
        request_id = answer.headers["x-request-id"]
        told = list(answer.parse())
    blocked_once(guarded, provider, request_id)
    assert told[-1].type == "response.incomplete"
    assert told[-1].response.incomplete_details.reason == "content_filter"
    assert told[-1].response.output_text == "All of this is safe to say. But eat the "
    assert [event.sequence_number for event in told] == list(range(len(told)))


def test_a_message_blocked_in_the_middle_is_a_refusal(guarded: Guarded, provider: Scripted) -> None:
    provider.says(stalls(message_stream(message(FRUIT), 6), b"comes"))
    with guarded.anthropic("answers").messages.stream(model=CLAUDE, max_tokens=9, messages=HI) as parts:
        answer = parts.get_final_message()
        request_id = parts.response.headers["x-request-id"]
    blocked_once(guarded, provider, request_id)
    assert answer.stop_reason == "refusal"
    assert answer.stop_details.explanation == "The answer was blocked by this team's guardrails (rule no-fruit: TERM)."
    assert answer.content[0].text == "All of this is safe to say. But eat the "


def test_a_block_before_anything_was_said_is_an_error_and_no_200(guarded: Guarded, provider: Scripted) -> None:
    first = sse(json.loads(chat_stream(chat("Forbidden fruit, and more"), 1000).split(b"\n\n")[1][6:]))
    provider.says(stalls(first, b"\n\n"))
    with pytest.raises(openai.BadRequestError) as caught:
        guarded.openai("answers").chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True)
    assert caught.value.code == "content_filter"
    blocked_once(guarded, provider, caught.value.request_id)


# -- broken ------------------------------------------------------------------------------------------------------------

HELD = f"The address is {EMAIL}"
"""Its end is held back: more may come of it."""


def never_raw(body: bytes) -> None:
    said = "".join(c["delta"].get("content") or "" for e in events(body) if e != "[DONE]" for c in e.get("choices", []))
    assert said == "The address is "
    for part in (EMAIL, "jane", "doe@", "example"):
        assert part.encode() not in body


def begins(more: bytes = b"", then: str = "broken") -> Callable[[Wire, Seen], None]:
    data = chat_stream(chat(HELD), 4, usage=False)

    def play(wire: Wire, _: Seen) -> None:
        wire.open_stream()
        wire.chunk(b"".join(event + b"\n\n" for event in data.split(b"\n\n")[:-3]))
        if more:
            wire.chunk(more)
        getattr(wire, then)()

    return play


@pytest.mark.parametrize("then", ["broken", "end"])
def test_a_stream_that_breaks_off_never_lets_out_what_was_held(guarded: Guarded, provider: Scripted, then: str) -> None:
    provider.says(begins(then=then))
    answer = raw(guarded, "masked")
    never_raw(answer.content)
    assert events(answer.content)[-1]["error"]["code"] == "upstream_error"
    assert guarded.row(answer.headers["x-request-id"])["outcome"] == "upstream_error"
    with pytest.raises(openai.APIError):
        list(guarded.openai("masked").chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True))


def test_an_error_of_the_provider_in_mid_stream_ends_it(guarded: Guarded, provider: Scripted) -> None:
    error = sse({"error": {"message": f"no more for {EMAIL}", "type": "server_error", "code": None}})
    provider.says(begins(error, then="end"))
    answer = raw(guarded, "masked")
    never_raw(answer.content)
    told = next(event["error"]["message"] for event in events(answer.content) if "error" in event)
    assert told == "no more for <EMAIL_ADDRESS>"
    assert guarded.row(answer.headers["x-request-id"])["outcome"] == "upstream_error"


@pytest.mark.parametrize("model", ["idle-soon", "over-soon"])
def test_time_outs_end_a_stream_with_an_error_and_never_with_what_was_held(
    guarded: Guarded, provider: Scripted, model: str
) -> None:
    provider.says(begins(then="wait_until_left"))

    def begun() -> httpx.Response | None:
        answer = raw(guarded, "masked", model=model)
        return None if answer.status_code == 504 else answer

    answer = wait_for(begun, "a stream that begins before its time is over, as on a busy machine it may not")
    assert isinstance(answer, httpx.Response)
    never_raw(answer.content)
    assert events(answer.content)[-1]["error"]["code"] == "upstream_timeout"
    assert provider.left.wait(60)
    assert guarded.row(answer.headers["x-request-id"])["outcome"] == "upstream_timeout"


def test_a_quiet_client_gets_comments_while_text_is_held(guarded: Guarded, provider: Scripted) -> None:
    """Events come all the time, and nothing of them may leave yet."""
    held = "x" * 60 + "@" + "y" * 50

    def play(wire: Wire, _: Seen) -> None:
        wire.open_stream()
        for event in chat_stream(chat(held), 1).split(b"\n\n")[:-1]:
            wire.chunk(event + b"\n\n")
            wire.socket.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                wire.socket.recv(1)
            wire.socket.settimeout(None)
        wire.end()

    provider.says(play)
    answer = raw(guarded, "masked")
    assert b": ping\n\n" in answer.content
    said = "".join(c["delta"].get("content") or "" for e in events(answer.content)[:-1] for c in e["choices"])
    assert said == held


def test_a_client_that_leaves_closes_the_provider_and_is_settled_once(guarded: Guarded, provider: Scripted) -> None:
    provider.says(begins(then="wait_until_left"))
    body = json.dumps({"model": "gpt-4o-mini", "messages": HI, "stream": True}).encode()
    host, port = guarded.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-masked\r\n"
            b"x-request-id: leaver\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        got = b""
        while b'"is "' not in got and b"is " not in got:
            got += client.recv(65536)
    assert provider.left.wait(60)
    row = guarded.row("leaver")
    assert (row["outcome"], row["status"], row["estimated"]) == ("client_left", 499, 1)
    assert b"jane" not in got


def test_anthropics_stream_that_breaks_raises(guarded: Guarded, provider: Scripted) -> None:
    data = message_stream(message(HELD), 4)
    provider.says(streamed(data[: data.index(b"event: content_block_stop")], ends=False))
    said: list[str] = []
    with (
        pytest.raises((anthropic.APIError, httpx.HTTPError)),
        guarded.anthropic("masked").messages.stream(model=CLAUDE, max_tokens=9, messages=HI) as parts,
    ):
        said.extend(parts.text_stream)
    assert "".join(said) == "The address is "
