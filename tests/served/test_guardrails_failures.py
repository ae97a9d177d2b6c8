"""A detector that raises: `closed` keeps the text back, `open` passes it and counts, on requests, answers and in the
middle of streams. And demotions, which an event tells of."""

import json
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx
import openai
import pytest

from tests.support.answers import chat, chat_stream, message, message_stream, response, response_stream
from tests.support.guarded import CLAUDE, EMAIL, Guarded, guarded_gateway
from tests.support.scripted import Scripted, by_stream, scripted
from tests.support.served import key_hash, wait_for

DEFECT = """
from guardrails.pii import detector
confirm = detector.PiiDetector.confirm_paused
def broken(self, text, hits, breathe):
    if "boom@" in text:
        raise LookupError(text)
    return confirm(self, text, hits, breathe)
detector.PiiDetector.confirm_paused = broken
"""
"""A bug in a detector, met by texts with `boom@` in them."""
BOOM = "boom@example.org"
_RULE = {"detect": "pii", "entities": ["EMAIL_ADDRESS"], "action": "mask", "mode": "enforce"}
_BOUNDS = {"match_rate": "20%", "at_least": 5, "window": "10m", "cooling": "10m"}
POLICIES = {
    "closed": [_RULE],
    "open": [{**_RULE, "on_failure": "open"}],
    "warned": [{**_RULE, "mode": "warn"}],
    "canned": [{**_RULE, "action": "block", "answer": "No addresses."}],
    "eager": [{**_RULE, "id": "eager-rule", "bounds": _BOUNDS}],
    "brief": [{**_RULE, "id": "brief-rule", "bounds": {**_BOUNDS, "cooling": "1s"}}],
    "slow": [{**_RULE, "id": "slow-rule", "bounds": {"latency": "0.0001ms", "at_least": 5}}],
}
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider
        assert provider.failures == []


@pytest.fixture(scope="module")
def gateway(provider: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    directory = tmp_path_factory.mktemp("failures")
    (directory / "sitecustomize.py").write_text(DEFECT)
    teams = {name: {"guardrails": name, "keys": [{"id": name, "hash": key_hash(f"sk-{name}")}]} for name in POLICIES}
    changes = {"guardrails": POLICIES, "teams": teams}
    started = guarded_gateway(provider.url, directory, env={"PYTHONPATH": str(directory)}, **changes)
    yield started
    started.stop()


def ask(gateway: Guarded, team: str, said: str = "hi", **more: object) -> httpx.Response:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": said}], **more}
    headers = {"authorization": f"Bearer sk-{team}"}
    return httpx.post(gateway.v1 + "/chat/completions", json=body, headers=headers, timeout=60)


def failures(gateway: Guarded, outcome: str) -> float:
    wanted = f'tollway_guardrail_failures_total{{detector="pii",outcome="{outcome}"}} '
    lines = httpx.get(gateway.url + "/metrics").text.splitlines()
    return next((float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0.0)


def counted(gateway: Guarded, outcome: str, before: float, more: int = 1) -> None:
    wait_for(lambda: failures(gateway, outcome) == before + more, "the failure to be counted")


def test_a_request_is_kept_back_when_closed(gateway: Guarded, provider: Scripted) -> None:
    before = failures(gateway, "closed")
    provider.says(chat("hi"))
    answer = ask(gateway, "closed", f"I am {BOOM}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "guardrail_unavailable")
    assert "could not be judged" in answer.json()["error"]["message"]
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["x-tollway-guardrails"] == "request=block:GUARDRAIL_FAILURE"
    assert provider.seen == []
    assert (row_of(gateway, answer)["outcome"], row_of(gateway, answer)["status"]) == ("blocked", 503)
    counted(gateway, "closed", before)


def test_a_canned_answer_is_not_given_for_a_failure(gateway: Guarded, provider: Scripted) -> None:
    """`message` and `answer` are for what was found: a failure must not look as an answer, nor as a verdict."""
    assert ask(gateway, "canned", f"I am {EMAIL}").json()["choices"][0]["message"]["content"] == "No addresses."
    for stream in (False, True):
        answer = ask(gateway, "canned", f"I am {BOOM}", stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "guardrail_unavailable")
    assert provider.seen == []


@pytest.mark.parametrize("team", ["open", "warned"])
def test_a_request_passes_when_open_or_not_enforced(gateway: Guarded, provider: Scripted, team: str) -> None:
    before = failures(gateway, "open")
    provider.says(chat("hi"))
    assert ask(gateway, team, f"I am {BOOM}").status_code == 200
    assert provider.last.json["messages"][0]["content"] == f"I am {BOOM}"
    counted(gateway, "open", before)


def test_an_answer_is_kept_back_when_closed_and_passes_when_open(gateway: Guarded, provider: Scripted) -> None:
    provider.says(chat(f"Write to {BOOM}"))
    before = failures(gateway, "closed")
    answer = ask(gateway, "closed")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "guardrail_unavailable")
    assert BOOM not in answer.text
    counted(gateway, "closed", before)
    before = failures(gateway, "open")
    assert ask(gateway, "open").json()["choices"][0]["message"]["content"] == f"Write to {BOOM}"
    counted(gateway, "open", before)


SAID = f"First comes {EMAIL}, and then {BOOM}, and then the rest."
SAFE = "First comes <EMAIL_ADDRESS>, and then "


@pytest.mark.parametrize("cut", [0, 7])
def test_in_the_middle_of_a_stream_closed_ends_it(gateway: Guarded, provider: Scripted, cut: int) -> None:
    before = failures(gateway, "closed")
    provider.says(by_stream(chat(SAID), chat_stream(chat(SAID), 4), cut))
    parts: list[str] = []
    chunks = gateway.openai("closed").chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True)
    with pytest.raises(openai.APIError, match="could not be judged") as caught:
        parts += (choice.delta.content or "" for part in chunks for choice in part.choices)
    assert SAFE.startswith("".join(parts))
    assert caught.value.code == "guardrail_unavailable"
    provider.says(by_stream(message(SAID), message_stream(message(SAID), 4), cut))
    parts = []
    with (
        pytest.raises(anthropic.APIStatusError, match="could not be judged") as told,
        gateway.anthropic("closed").messages.stream(model=CLAUDE, max_tokens=9, messages=HI) as events,
    ):
        parts += events.text_stream
    assert told.value.body["error"]["type"] == "overloaded_error"
    assert SAFE.startswith("".join(parts))
    provider.says(by_stream(response(SAID), response_stream(response(SAID), 4), cut))
    said: list[str] = []
    happened = gateway.openai("closed").responses.create(model="gpt-4o-mini", input="x", stream=True)
    with pytest.raises(openai.APIError, match="could not be judged"):
        said += (each.model_dump_json() for each in happened)
    assert BOOM not in "".join(said)
    counted(gateway, "closed", before, 3)


def test_in_the_middle_of_a_stream_open_lets_the_rest_pass(gateway: Guarded, provider: Scripted) -> None:
    before = failures(gateway, "open")
    provider.says(by_stream(chat(SAID), chat_stream(chat(SAID), 4), 0))
    parts = list(gateway.openai("open").chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True))
    text = "".join(choice.delta.content or "" for part in parts for choice in part.choices)
    assert text.endswith(f"{BOOM}, and then the rest.")
    counted(gateway, "open", before)


BEFORE = "First comes this. "
SECRET = "4111111111111111"
NOT_JSON = b'data: {"choices":[{"delta":{"content":"my card is 4111111111111111"\n\n'


def unread_stream(events: bytes, ahead: int) -> bytes:
    """A stream in which an event that is no JSON stands behind the first `ahead` events."""
    parts = events.split(b"\n\n")
    return b"\n\n".join(parts[:ahead]) + b"\n\n" + NOT_JSON + b"\n\n".join(parts[ahead:])


def upstream_failures(gateway: Guarded, error: str) -> float:
    wanted = f'error="{error}"'
    lines = httpx.get(gateway.url + "/metrics").text.splitlines()
    found = [line for line in lines if line.startswith("tollway_upstream_failures_total{") and wanted in line]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def unread_counted(gateway: Guarded, outcome: str) -> float:
    wanted = f'tollway_guardrail_failures_total{{detector="engine",outcome="{outcome}"}} '
    lines = httpx.get(gateway.url + "/metrics").text.splitlines()
    return next((float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0.0)


def row_of(gateway: Guarded, answer: httpx.Response) -> dict:
    return gateway.row(answer.headers["x-request-id"])


def test_an_event_that_cannot_be_read_ends_a_stream_with_an_error_when_closed(
    gateway: Guarded, provider: Scripted
) -> None:
    """Issue 3 section 6: "An internal failure of the guardrail never lets raw text through under `closed`"; and the
    client is told, in its dialect's shape, that its answer is not whole."""
    before, closed = upstream_failures(gateway, "UnreadableAnswer"), unread_counted(gateway, "closed")
    provider.says(by_stream({}, unread_stream(chat_stream(chat(BEFORE), 6), 3), 9))
    answer = ask(gateway, "closed", stream=True)
    *_, last = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    error = json.loads(last.removeprefix("data: "))["error"]
    assert (answer.status_code, error["code"]) == (200, "upstream_error")
    assert "cannot be read by this team's guardrails" in error["message"]
    assert SECRET not in answer.text
    assert "[DONE]" not in answer.text
    assert row_of(gateway, answer)["outcome"] == "upstream_error"
    provider.says(by_stream({}, unread_stream(message_stream(message(BEFORE), 6), 4)))
    with (
        pytest.raises(anthropic.APIStatusError, match="cannot be read"),
        gateway.anthropic("closed").messages.stream(model=CLAUDE, max_tokens=9, messages=HI) as events,
    ):
        events.get_final_message()
    provider.says(by_stream({}, unread_stream(response_stream(response(BEFORE), 6), 6)))
    with pytest.raises(openai.APIError, match="cannot be read"):
        list(gateway.openai("closed").responses.create(model="gpt-4o-mini", input="x", stream=True))
    wait_for(lambda: upstream_failures(gateway, "UnreadableAnswer") == before + 3, "all three to be counted")
    wait_for(lambda: unread_counted(gateway, "closed") == closed + 3, "the guardrails' failures to be counted")
    log = Path(gateway.data) / "gateway.log"
    wait_for(lambda: '"UnreadableAnswer"' in log.read_text(), "the log to tell")
    told_of = [json.loads(line) for line in log.read_text().splitlines() if '"UnreadableAnswer"' in line]
    assert (told_of[0]["event"], told_of[0]["level"]) == ("upstream_failed", "warning")
    assert SECRET not in log.read_text()


def test_an_event_that_cannot_be_read_before_all_others_is_a_bad_gateway(gateway: Guarded, provider: Scripted) -> None:
    provider.says(by_stream({}, NOT_JSON + chat_stream(chat(BEFORE))))
    answer = ask(gateway, "closed", stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert SECRET not in answer.text


@pytest.mark.parametrize("team", ["open", "warned"])
def test_an_event_that_cannot_be_read_passes_when_open_or_not_enforced_and_is_told(
    gateway: Guarded, provider: Scripted, team: str
) -> None:
    before, passed = upstream_failures(gateway, "UnreadableAnswer"), unread_counted(gateway, "open")
    provider.says(by_stream({}, unread_stream(chat_stream(chat(BEFORE), 6), 3), 9))
    answer = ask(gateway, team, stream=True)
    assert NOT_JSON.decode() in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")
    assert row_of(gateway, answer)["outcome"] == "ok"
    wait_for(lambda: upstream_failures(gateway, "UnreadableAnswer") == before + 1, "it to be counted")
    wait_for(lambda: unread_counted(gateway, "open") == passed + 1, "the guardrail's failure to be counted")


def alerts(gateway: Guarded, rule: str, event: str = "guardrail_demoted") -> list[dict]:
    """What the log says of this rule; lines are written beside the requests."""

    def said() -> list[dict]:
        lines = (Path(gateway.data) / "gateway.log").read_text().splitlines()
        told = [json.loads(line) for line in lines if f'"{event}"' in line and line.endswith("}")]
        return [each for each in told if each["rule"] == rule]

    wait_for(said, f"the log to tell of {rule}")
    return said()


def test_a_rule_that_acts_too_often_goes_to_shadow_with_an_event(gateway: Guarded, provider: Scripted) -> None:
    provider.says(chat("hi"))
    for _ in range(8):
        ask(gateway, "eager", f"I am {EMAIL}")
    assert provider.seen[0].json["messages"][0]["content"] == "I am <EMAIL_ADDRESS>"
    assert provider.last.json["messages"][0]["content"] == f"I am {EMAIL}"
    told = alerts(gateway, "eager-rule")
    assert [(each["reason"], each["bound"]) for each in told] == [("match_rate", 0.2)]
    page = httpx.get(gateway.url + "/metrics").text
    assert 'tollway_guardrail_demoted{rule="eager-rule"} 1.0' in page
    assert 'tollway_guardrail_demotions_total{reason="match_rate",rule="eager-rule"} 1.0' in page


def test_a_rule_that_is_too_slow_goes_to_shadow_with_an_event(gateway: Guarded, provider: Scripted) -> None:
    provider.says(chat("hi"))
    for _ in range(8):
        ask(gateway, "slow", f"I am {EMAIL}")
    assert provider.last.json["messages"][0]["content"] == f"I am {EMAIL}"
    assert {each["reason"] for each in alerts(gateway, "slow-rule")} == {"latency"}


def test_a_rule_that_is_enforced_again_is_told_though_nobody_asks(gateway: Guarded, provider: Scripted) -> None:
    """docs/guardrails.md: "After `cooling` … it is enforced again: `guardrail_restored`", without another request."""
    provider.says(chat("hi"))
    for _ in range(5):
        ask(gateway, "brief", f"I am {EMAIL}")
    assert len(alerts(gateway, "brief-rule")) == 1
    assert len(alerts(gateway, "brief-rule", "guardrail_restored")) == 1
    ask(gateway, "brief", f"I am {EMAIL}")
    assert provider.last.json["messages"][0]["content"] == "I am <EMAIL_ADDRESS>"
    assert len(alerts(gateway, "brief-rule", "guardrail_restored")) == 1
