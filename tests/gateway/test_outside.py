"""Detectors outside of the process, through a served gateway: every service's wire shape, before and alongside, whole
answers, failures, and what is booked and counted."""

import json
import socket
import threading
from decimal import Decimal

import anthropic
import httpx
import openai
import pytest

from tests.support.answers import chat, chat_stream
from tests.support.detector_services import WORD
from tests.support.guarded import CLAUDE, EMAIL, Guarded
from tests.support.outside import SAID, SERVICES, Services, content, post
from tests.support.scripted import Scripted, Seen, Wire, by_stream
from tests.support.served import wait_for

pytestmark = pytest.mark.usefixtures("zoo", "model")


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_blocks_what_it_finds_and_passes_the_rest(
    gateway: Guarded, model: Scripted, service: str
) -> None:
    team = service.replace("_", "-")
    assert post(gateway, team).status_code == 200
    model.seen.clear()
    answer = post(gateway, team, SAID)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
    assert WORD not in answer.text
    assert model.seen == []
    if service != "llama_guard":  # whose own call has an event under the same request id
        assert gateway.row(answer.headers["x-request-id"])["outcome"] == "blocked"


def test_a_block_has_the_dialects_own_envelope(gateway: Guarded) -> None:
    said = [{"role": "user", "content": SAID}]
    with pytest.raises(anthropic.BadRequestError) as caught:
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
    asking.join(60)
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


@pytest.mark.parametrize("stream", [False, True])
def test_a_shadow_rule_makes_nobody_wait_and_is_booked_all_the_same(
    gateway: Guarded, model: Scripted, zoo: Services, stream: bool
) -> None:
    """Neither the request nor the answer; the exchange is booked when the verdict is there."""
    zoo.gate.clear()
    answer = post(gateway, "shadow", f"{SAID} unhurried {stream}", stream=stream)
    assert content(answer) == "fine"
    zoo.gate.set()
    assert "ANIMAL" in gateway.row(answer.headers["x-request-id"])["guardrails"]


def test_a_service_may_say_what_it_would_have_instead(gateway: Guarded, model: Scripted) -> None:
    """With action mask, where all that it found counts: its own words; else a label for what does."""
    model.says(chat(f"a {WORD}"))
    answer = post(gateway, "reworded", SAID)
    assert model.last.json["messages"][0]["content"] == "my [animal] is fine"
    assert content(answer) == "a [animal]"
    post(gateway, "anonymous", SAID)
    assert model.last.json["messages"][0]["content"] == "my {NAME} is fine"
    post(gateway, "partly", SAID)
    assert model.last.json["messages"][0]["content"] == SAID


def test_a_finding_reroutes(gateway: Guarded, model: Scripted) -> None:
    assert post(gateway, "rerouted", SAID).headers["x-tollway-model"] == "gpt-4o"
    assert post(gateway, "rerouted").headers["x-tollway-model"] == "gpt-4o-mini"


def test_a_rule_that_takes_too_long_goes_to_shadow_and_makes_nobody_wait(gateway: Guarded, zoo: Services) -> None:
    zoo.delay = 0.2
    assert [post(gateway, "bounded", SAID).status_code for _ in range(2)] == [400, 400]
    zoo.gate.clear()
    assert post(gateway, "bounded", SAID).status_code == 200
    wait_for(lambda: "guardrail_demoted" in (gateway.data / "gateway.log").read_text(), "the line that tells of it")


def test_a_client_that_leaves_while_a_detector_is_asked_ends_both(
    gateway: Guarded, model: Scripted, zoo: Services
) -> None:
    zoo.gate.clear()
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "never mind"}]}
    headers = {"authorization": "Bearer sk-webhook", "x-request-id": "left-early"}
    url = httpx.URL(gateway.url)
    with socket.create_connection((url.host, url.port)) as client:
        sent = httpx.Request("POST", gateway.v1 + "/chat/completions", json=body, headers=headers)
        head = b"".join(b"%b: %b\r\n" % pair for pair in sent.headers.raw)
        client.sendall(b"POST %b HTTP/1.1\r\n%b\r\n%b" % (sent.url.raw_path, head, sent.content))
        wait_for(lambda: zoo.scripted.seen, "the detector to be asked")
    assert gateway.row("left-early")["outcome"] == "client_left"
    assert model.seen == []
    zoo.gate.set()
    assert post(gateway, "webhook", "still well").status_code == 200


def test_a_slow_detector_meets_its_deadline(gateway: Guarded, model: Scripted, zoo: Services) -> None:
    zoo.gate.clear()
    closed, opened = post(gateway, "late", "slow"), post(gateway, "late-open", "slow")
    zoo.gate.set()
    assert (closed.status_code, closed.json()["error"]["code"]) == (503, "guardrail_unavailable")
    assert closed.headers["retry-after"] == "2"
    assert "could not be judged" in closed.json()["error"]["message"]
    assert opened.status_code == 200
    assert len(model.seen) == 1
    wait_for(lambda: 'outcome="timeout"' in httpx.get(gateway.url + "/metrics").text, "it to be counted")


def test_sdks_try_again_when_a_detector_failed(gateway: Guarded, model: Scripted, zoo: Services) -> None:
    """503 with `retry-after`, for requests and for answers; the rule's own words are for what it found."""
    for team, said in (("webhook", "first it is away"), ("answers", "hello")):
        zoo.status = 500
        client = gateway.openai(team).with_options(max_retries=1)
        model.says(chat(f"not seen before by {team}"))
        client._client.event_hooks["response"].append(lambda _: setattr(zoo, "status", 200))
        whole = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": said}])
        assert whole.choices[0].message.content == f"not seen before by {team}"
        assert len(model.seen) == (2 if team == "answers" else 1)
        model.says(chat(f"nor this by {team}"))
        zoo.status = 500
        answer = post(gateway, team, f"{said} again")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "guardrail_unavailable")
        assert "could not be judged" in answer.json()["error"]["message"]
        assert gateway.row(answer.headers["x-request-id"])["outcome"] == "blocked"
        zoo.status = 200


def test_a_text_too_long_for_a_detector_is_not_to_be_tried_again(gateway: Guarded, model: Scripted) -> None:
    """It would be as long at the next try."""
    for said, told in (("hello", "hello " * 9), ("hello " * 9, "hello")):
        model.says(chat(told))
        answer = post(gateway, "short", said)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "guardrail_cannot_read")
        assert "longer than" in answer.json()["error"]["message"]


def test_a_broken_detector_opens_its_circuit(gateway: Guarded, zoo: Services) -> None:
    zoo.status = 500
    for at in range(5):
        assert post(gateway, "breaking", f"no {at}").status_code == 503
    assert zoo.asked == 2
    counted = 'tollway_guardrail_detector_seconds_count{detector="external:breaking.external.1",outcome="open"} 3'
    wait_for(lambda: counted in httpx.get(gateway.url + "/metrics").text, "three to be counted")
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
    assert (row["input_tokens"], row["output_tokens"]) == (210 * row["requests"], 5 * row["requests"])
    assert Decimal(row["cost_usd"]) == Decimal("0.00026") * row["requests"]


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
