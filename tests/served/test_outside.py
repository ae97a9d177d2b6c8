"""Detectors outside of the process, through a served gateway: every service's wire shape, before and alongside, held
streams, failures, and what is booked and counted."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.support.answers import chat, chat_stream
from tests.support.detector_services import WORD
from tests.support.guarded import CLAUDE, EMAIL, Guarded
from tests.support.outside import SERVICES, Services, external, outside_gateway, services
from tests.support.scripted import Scripted, Seen, Wire, by_stream, scripted, unary
from tests.support.served import wait_for

SAID = f"my {WORD} is fine"
_SECOND = {"deadline": "1s", "cache": "0"}


def policies(url: str) -> dict[str, list[dict]]:
    every = {service.replace("_", "-"): [external(service, url)] for service in SERVICES}
    both = {"on": ["request", "response"], "streams": "hold"}
    return every | {
        "mask": [external("presidio", url, action="mask", **both)],
        "answers": [external("webhook", url, id="zoo", on=["response"], streams="hold", message="Not that animal.")],
        "passing": [external("webhook", url, on=["response"], streams="pass")],
        "alongside": [external("webhook", url, when="alongside")],
        "shadow": [external("presidio", url, action="mask", mode="shadow", **both)],
        "warn": [external("webhook", url, mode="warn")],
        "late": [external("webhook", url, deadline="200ms", cache="0")],
        "late-open": [external("webhook", url, deadline="200ms", cache="0", on_failure="open")],
        "breaking": [external("webhook", url, failures=2, back_off="1m", cache="0")],
        "layered": [
            {"detect": "pii", "entities": ["EMAIL_ADDRESS"], "action": "mask", "mode": "enforce"},
            external("webhook", url, name="layered"),
        ],
        "pseudo": [
            {"detect": "pii", "entities": ["EMAIL_ADDRESS"], "action": "pseudonymize", "on": ["request"],
             "mode": "enforce"},
            external("presidio", url, action="mask", **both),
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def zoo() -> Iterator[Services]:
    with services() as state:
        yield state


@pytest.fixture(scope="module")
def model() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(zoo: Services, model: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    started = outside_gateway(model.url, tmp_path_factory.mktemp("outside"), policies(zoo.scripted.url))
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def fresh(zoo: Services, model: Scripted) -> Iterator[None]:
    zoo.gate.set()
    zoo.status = 200
    zoo.scripted.seen.clear()
    model.says(by_stream(chat("fine"), chat_stream(chat("fine"))))
    yield
    assert model.failures == []
    assert zoo.scripted.failures == []


def post(gateway: Guarded, team: str, said: str = "hello", **more: Any) -> httpx.Response:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": said}], **more}
    headers = {"authorization": f"Bearer sk-{team}"}
    return httpx.post(gateway.v1 + "/chat/completions", json=body, headers=headers, timeout=30)


def content(answer: httpx.Response) -> str:
    """The text of a chat answer, whole or streamed."""
    if "event-stream" not in answer.headers["content-type"]:
        return answer.json()["choices"][0]["message"]["content"]
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    return "".join(each["choices"][0]["delta"].get("content") or "" for each in events if each["choices"])


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_blocks_what_it_finds_and_passes_the_rest(gateway: Guarded, model: Scripted, service: str) -> None:
    team = service.replace("_", "-")
    assert post(gateway, team).status_code == 200
    model.seen.clear()
    answer = post(gateway, team, SAID)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
    assert WORD not in answer.text or service == "litellm"
    assert model.seen == []
    row = gateway.row(answer.headers["x-request-id"]) if service != "llama_guard" else {"outcome": "blocked"}
    assert row["outcome"] == "blocked"


def test_a_block_has_the_dialects_own_envelope(gateway: Guarded) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        said = [{"role": "user", "content": SAID}]
        gateway.anthropic("webhook").messages.create(model=CLAUDE, max_tokens=9, messages=said)
    assert caught.value.body["type"] == "error"
    with pytest.raises(openai.BadRequestError) as refused:
        gateway.openai("webhook").responses.create(model="gpt-4o-mini", input=SAID)
    assert refused.value.code == "content_filter"


def test_findings_are_masked_in_requests_and_whole_answers(gateway: Guarded, model: Scripted) -> None:
    """Tool-call arguments too: the JSON stays valid."""
    arguments = json.dumps({"pet": f'a "{WORD}"', "n": 1})
    call = {"id": "c", "type": "function", "function": {"name": "feed", "arguments": arguments}}
    model.says(chat(f"Your {WORD}!", calls=(arguments,)))
    messages = [
        {"role": "user", "content": SAID},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "fed"},
    ]
    answer = post(gateway, "mask", messages=messages)
    sent = model.last.json["messages"]
    assert sent[0]["content"] == "my <ANIMAL> is fine"
    masked = {"pet": 'a "<ANIMAL>"', "n": 1}
    assert json.loads(sent[1]["tool_calls"][0]["function"]["arguments"]) == masked
    got = answer.json()["choices"][0]["message"]
    assert got["content"] == "Your <ANIMAL>!"
    assert json.loads(got["tool_calls"][0]["function"]["arguments"]) == masked
    assert answer.headers["x-tollway-guardrails"] == "request=mask:ANIMAL, response=mask:ANIMAL"


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


def test_a_held_stream_that_breaks_is_a_bad_gateway(gateway: Guarded, model: Scripted) -> None:
    events = chat_stream(chat("all is well"))

    def broken(wire: Wire, _: Seen) -> None:
        wire.open_stream()
        wire.chunk(events[: len(events) // 2])
        wire.broken()

    model.says(broken)
    answer = post(gateway, "mask", stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")


def test_streams_pass_where_the_rule_says_so(gateway: Guarded, model: Scripted, zoo: Services) -> None:
    model.says(by_stream(chat(SAID), chat_stream(chat(SAID))))
    assert content(post(gateway, "passing", stream=True)) == SAID
    assert zoo.asked == 0
    assert post(gateway, "passing").status_code == 400


@pytest.mark.parametrize("stream", [False, True])
def test_alongside_asks_while_the_model_works_and_holds_the_answer(
    gateway: Guarded, model: Scripted, zoo: Services, stream: bool
) -> None:
    zoo.gate.clear()
    answered: list[httpx.Response] = []
    said = f"alongside {stream}"
    asking = threading.Thread(target=lambda: answered.append(post(gateway, "alongside", said, stream=stream)))
    asking.start()
    wait_for(lambda: model.seen and zoo.scripted.seen, "both to be asked")
    asking.join(0.3)
    assert answered == [], "the answer did not wait for the verdict"
    zoo.gate.set()
    asking.join(20)
    assert content(answered[0]) == "fine"
    refused = post(gateway, "alongside", f"{SAID} {stream}", stream=stream)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "content_filter")
    assert len(model.seen) == 2
    row = gateway.row(refused.headers["x-request-id"])
    assert (row["outcome"], row["input_tokens"] > 0) == ("blocked", True)


def test_shadow_is_measured_and_does_not_act(gateway: Guarded, model: Scripted) -> None:
    model.says(by_stream(chat(SAID), chat_stream(chat(SAID))))
    answer = post(gateway, "shadow", SAID)
    assert model.last.json["messages"][0]["content"] == SAID
    assert content(answer) == SAID
    assert "x-tollway-guardrails" not in answer.headers
    assert "ANIMAL" in gateway.row(answer.headers["x-request-id"])["guardrails"]
    assert content(post(gateway, "shadow", SAID, stream=True)) == SAID
    warned = post(gateway, "warn", SAID)
    assert warned.headers["x-tollway-guardrails"] == "request=warn-block:ANIMAL"


def test_a_shadow_rule_makes_no_request_wait(gateway: Guarded, model: Scripted, zoo: Services) -> None:
    zoo.gate.clear()
    asking = threading.Thread(target=post, args=(gateway, "shadow", "unhurried"))
    asking.start()
    wait_for(lambda: model.seen, "the model to be asked meanwhile")
    zoo.gate.set()
    asking.join(20)


def test_a_slow_detector_meets_its_deadline(gateway: Guarded, model: Scripted, zoo: Services) -> None:
    zoo.gate.clear()
    closed, opened = post(gateway, "late", "slow"), post(gateway, "late-open", "slow")
    zoo.gate.set()
    assert (closed.status_code, closed.json()["error"]["code"]) == (400, "content_filter")
    assert "could not be judged" in closed.json()["error"]["message"]
    assert opened.status_code == 200
    assert len(model.seen) == 1
    assert 'outcome="timeout"' in httpx.get(gateway.url + "/metrics").text


def test_a_broken_detector_opens_its_circuit(gateway: Guarded, zoo: Services) -> None:
    zoo.status = 500
    for at in range(5):
        assert post(gateway, "breaking", f"no {at}").status_code == 400
    assert zoo.asked == 2
    metrics = httpx.get(gateway.url + "/metrics").text
    assert 'tollway_guardrail_detector_seconds_count{detector="external:breaking.external.1",outcome="open"} 3' in metrics
    log = gateway.data / "gateway.log"
    wait_for(lambda: "guardrail_detector_open" in log.read_text(), "the line that tells of it")


def test_verdicts_are_remembered(gateway: Guarded, zoo: Services) -> None:
    for _ in range(3):
        assert post(gateway, "webhook", f"{SAID} again").status_code == 400
    assert zoo.asked == 1


def test_a_masked_value_does_not_leave_the_house(gateway: Guarded, zoo: Services) -> None:
    assert post(gateway, "layered", f"I am {EMAIL}").status_code == 200
    assert zoo.scripted.last.json["texts"][0]["text"] == "I am <EMAIL_ADDRESS>"
    assert zoo.scripted.last.json["team"] == "layered"


def test_pseudonyms_are_restored_after_the_answer_was_judged(gateway: Guarded, model: Scripted, zoo: Services) -> None:
    """Whole and streamed: the service never sees the value."""

    def echo(wire: Wire, seen: Seen) -> None:
        said = chat(f"{seen.json['messages'][0]['content']} {WORD}")
        by_stream(said, chat_stream(said), 9)(wire, seen)

    model.says(echo)
    for stream in (False, True):
        assert content(post(gateway, "pseudo", f"I am {EMAIL}", stream=stream)) == f"I am {EMAIL} <ANIMAL>"
    assert all(EMAIL.encode() not in seen.body for seen in zoo.scripted.seen)
    assert all(EMAIL.encode() not in seen.body for seen in model.seen)


def test_a_models_judgement_is_booked_to_the_team_under_the_guardrail(gateway: Guarded) -> None:
    answer = post(gateway, "llama-guard", "price me")
    assert answer.status_code == 200

    def booked() -> dict | None:
        report = gateway.spend("--by", "operation,provider,model", "--team", "llama-guard")
        return next((row for row in report["rows"] if row["operation"] == "guardrail"), None)

    row = wait_for(booked, "the guardrail's row")
    assert row["provider"] == "llama-guard.external.1"
    assert row["model"] == "judge-8b"
    assert (row["input_tokens"] % 210, row["output_tokens"] % 5, row["input_tokens"] > 0) == (0, 0, True)


def test_nobody_pays_without_such_rules(gateway: Guarded, zoo: Services) -> None:
    assert post(gateway, "free", SAID).status_code == 200
    assert zoo.asked == 0


def test_what_was_found_is_in_no_log_metric_or_database(gateway: Guarded) -> None:
    written = [path for path in gateway.data.rglob("*") if path.is_file() and path.name != "gateway.yaml"]
    assert len(written) > 2
    for path in written:
        data = path.read_bytes()
        assert WORD.encode() not in data, path
        assert EMAIL.encode() not in data, path
    assert WORD not in httpx.get(gateway.url + "/metrics").text
