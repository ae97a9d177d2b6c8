"""What was said, in traces: of teams that have opted in, as guardrails let it pass, and nothing else ever."""

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.support.answers import chat, chat_stream
from tests.support.collector import Collector, Got, collector
from tests.support.guarded import EMAIL, SECRET, Guarded, guarded_gateway
from tests.support.scripted import Play, Scripted, by_stream, scripted, streamed

CARD = "4012888888881881"
PLANTED = (EMAIL, SECRET, CARD)
SAID = f"I am {EMAIL}, pay {CARD} with {SECRET}"
OPTED = ["free", "masked", "refused", "answers", "pseudo"]
MOST = 2048


@pytest.fixture(scope="module")
def receiver() -> Iterator[Collector]:
    with collector() as state:
        yield state


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with scripted() as state:
        yield state
        assert state.failures == []


@pytest.fixture(scope="module")
def told(receiver: Collector, provider: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    telemetry = {"otlp": receiver.url, "sample": "100%", "content": {"teams": OPTED, "max_characters": MOST}}
    gateway = guarded_gateway(provider.url, tmp_path_factory.mktemp("told"), telemetry=telemetry)
    yield gateway
    assert gateway.stop() == 0


def ask(gateway: Guarded, team: str, said: str, **more: object) -> httpx.Response:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": said}], **more}
    return httpx.post(
        gateway.v1 + "/chat/completions", json=body, headers={"authorization": f"Bearer sk-{team}"}, timeout=60
    )


def usual(text: str, cut: int = 0) -> Play:
    return by_stream(chat(text), chat_stream(chat(text)), cut)


def root(receiver: Collector, answer: httpx.Response) -> Got:
    return receiver.trace_of(answer.headers["x-request-id"])[0]


def messages(got: Got, side: str) -> list[dict]:
    return json.loads(got.attributes[f"gen_ai.{side}.messages"])


def clean(receiver: Collector) -> bool:
    return not any(value.encode() in body for body in receiver.bodies for value in PLANTED)


@pytest.mark.parametrize("stream", [False, True])
def test_a_team_that_opted_in(told: Guarded, provider: Scripted, receiver: Collector, stream: bool) -> None:
    provider.says(usual("hello there", 40))
    got = root(receiver, ask(told, "free", "what is up?", stream=stream))
    assert messages(got, "input") == [{"role": "user", "parts": [{"type": "text", "content": "what is up?"}]}]
    assert messages(got, "output") == [
        {"role": "assistant", "parts": [{"type": "text", "content": "hello there"}], "finish_reason": "stop"}
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_masked_both_ways(told: Guarded, provider: Scripted, receiver: Collector, stream: bool) -> None:
    """The canary: planted values go in and come out of the provider, and are in no span."""
    provider.says(usual(f"so you are {EMAIL} with {CARD} and {SECRET}, then", 30))
    got = root(receiver, ask(told, "masked", SAID, stream=stream))
    (asked,), (answered,) = messages(got, "input"), messages(got, "output")
    assert asked["parts"][0]["content"] == "I am <EMAIL_ADDRESS>, pay <CREDIT_CARD> with <SECRET>"
    assert answered["parts"][0]["content"] == "so you are <EMAIL_ADDRESS> with <CREDIT_CARD> and <SECRET>, then"
    assert clean(receiver)


@pytest.mark.parametrize("stream", [False, True])
def test_pseudonyms_stay_pseudonyms(told: Guarded, provider: Scripted, receiver: Collector, stream: bool) -> None:
    def echo(wire, seen) -> None:
        usual("you said: " + seen.json["messages"][0]["content"], 25)(wire, seen)

    provider.says(echo)
    answer = ask(told, "pseudo", f"I am {EMAIL}", stream=stream)
    assert EMAIL in answer.text.replace('"}}]}', ""), "the client gets the value back"
    got = root(receiver, answer)
    asked, answered = (messages(got, side)[0]["parts"][0]["content"] for side in ("input", "output"))
    assert re.fullmatch(r"I am PSN\w{13}", asked)
    assert answered == f"you said: {asked}"
    assert clean(receiver)


def test_what_is_blocked_is_not_told(told: Guarded, provider: Scripted, receiver: Collector) -> None:
    answer = ask(told, "refused", f"I am {EMAIL}")
    assert answer.status_code == 400
    got = root(receiver, answer)
    assert not [name for name in got.attributes if "messages" in name]
    provider.says(usual("the forbidden fruit is sweet"))
    got = root(receiver, ask(told, "answers", "which?"))
    assert got.attributes["tollway.content.omitted"] == "blocked"
    assert not [name for name in got.attributes if "messages" in name]


def test_who_did_not_opt_in_is_not_told(told: Guarded, provider: Scripted, receiver: Collector) -> None:
    provider.says(usual("hello there"))
    got = root(receiver, ask(told, "warn", "hi"))
    assert not [name for name in got.attributes if "messages" in name or "content" in name]


@pytest.mark.parametrize("stream", [False, True])
def test_too_much_is_cut_where_one_can_see_it(
    told: Guarded, provider: Scripted, receiver: Collector, stream: bool
) -> None:
    provider.says(usual("a" * 5000))
    got = root(receiver, ask(told, "free", "b" * 5000, stream=stream))
    assert got.attributes["tollway.content.truncated"] is True
    for side, letter in (("input", "b"), ("output", "a")):
        text = messages(got, side)[0]["parts"][0]["content"]
        assert "cut]" in text
        assert MOST - 100 < text.count(letter) <= MOST


def test_a_stream_that_breaks_tells_what_left(told: Guarded, provider: Scripted, receiver: Collector) -> None:
    events = chat_stream(chat("hello there"))
    provider.says(streamed(events[: events.index(b"the")], ends=False))
    got = root(receiver, ask(told, "free", "hi", stream=True))
    assert messages(got, "input")[0]["parts"][0]["content"] == "hi"
    (answered,) = messages(got, "output")
    assert "hello there".startswith(answered["parts"][0]["content"])
    assert "finish_reason" not in answered
