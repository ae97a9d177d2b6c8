"""Guardrails tuned while traffic flows: streams held in the middle of a match, and rules that went to shadow."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.answers import chat, chat_stream, message, message_stream, response, response_stream
from tests.support.guarded import CLAUDE, EMAIL, Guarded, guarded_gateway
from tests.support.scripted import Scripted, Seen, Wire, scripted
from tests.support.served import get_json, key_hash, wait_for

ADMIN = {"authorization": "Bearer sk-admin"}
MAIL = {"detect": "pii", "id": "mail", "entities": ["EMAIL_ADDRESS"], "action": "mask", "mode": "enforce"}
BOUNDS = {"match_rate": "20%", "at_least": 5, "window": "10m", "cooling": "10m"}
EAGER = {**MAIL, "id": "eager", "bounds": BOUNDS}
WATCHER = {**MAIL, "id": "watcher", "mode": "shadow", "bounds": BOUNDS}
TEAMS = {"tuned": "mails", "eager": "bounded"}
SAID = f"Write to {EMAIL} today."
MASKED = "Write to <EMAIL_ADDRESS> today."
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider
        assert provider.failures == []


@pytest.fixture(scope="module")
def gateway(provider: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    teams = {
        team: {"guardrails": policy, "keys": [{"id": team, "hash": key_hash(f"sk-{team}")}]}
        for team, policy in TEAMS.items()
    }
    policies = {"mails": [MAIL], "bounded": [EAGER, WATCHER]}
    incidents = {"interval": "1s"}
    directory = tmp_path_factory.mktemp("tuned")
    started = guarded_gateway(provider.url, directory, guardrails=policies, teams=teams, incidents=incidents)
    yield started
    assert started.stop() == 0


def edited(gateway: Guarded, change: Callable[[dict], object]) -> int:
    """Save a changed configuration, and wait until it is in force or refused. The status of a reload."""
    written = yaml.safe_load(gateway.config.read_text())
    change(written)
    gateway.config.write_text(yaml.safe_dump(written, sort_keys=False))
    return httpx.post(gateway.url + "/admin/v1/reload", headers=ADMIN, timeout=60).status_code


def rule(**changes: object) -> Callable[[dict], object]:
    return lambda written: written["guardrails"].update(mails=[{**MAIL, **changes}])


def without_a_rule(written: dict) -> None:
    written["guardrails"]["mails"] = [{"detect": "terms", "terms": ["x"]}]


def without_a_policy(written: dict) -> None:
    del written["teams"]["tuned"]["guardrails"]


def broken(written: dict) -> None:
    written["guardrails"]["mails"].append({"detect": "patterns", "patterns": [{"name": "x", "regex": "(?=a)b["}]})


# -- streams -----------------------------------------------------------------------------------------------------------


def pausing(data: bytes, held: threading.Event, go_on: threading.Event) -> Callable[[Wire, Seen], None]:
    """A stream that waits for `go_on` in the middle of the address."""
    before, after = data[: (at := data.index(b'"e.doe@"'))], data[at:]
    end = after.index(b"\n\n") + 2

    def play(wire: Wire, _: Seen) -> None:
        wire.open_stream()
        wire.chunk(before + after[:end])
        held.set()
        assert go_on.wait(60)
        wire.chunk(after[end:])
        wire.end()

    return play


def say_chat(gateway: Guarded) -> str:
    parts = gateway.openai("tuned").chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True)
    return "".join(part.choices[0].delta.content or "" for part in parts if part.choices)


def say_response(gateway: Guarded) -> str:
    with gateway.openai("tuned").responses.stream(model="gpt-4o-mini", input="hi") as parts:
        return parts.get_final_response().output_text


def say_message(gateway: Guarded) -> str:
    with gateway.anthropic("tuned").messages.stream(model=CLAUDE, max_tokens=99, messages=HI) as parts:
        return "".join(parts.text_stream)


DIALECTS: dict[str, tuple[Callable[[Guarded], str], bytes]] = {
    "chat": (say_chat, chat_stream(chat(SAID), 6)),
    "responses": (say_response, response_stream(response(SAID), 6)),
    "messages": (say_message, message_stream(message(SAID), 6)),
}
CHANGES: dict[str, tuple[Callable[[dict], object], int]] = {
    "shadow": (rule(mode="shadow"), 200),
    "warn": (rule(mode="warn"), 200),
    "block": (rule(action="block"), 200),
    "other action": (rule(action="redact"), 200),
    "rule removed": (without_a_rule, 200),
    "policy removed": (without_a_policy, 200),
    "broken pattern": (broken, 409),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_stream_in_the_middle_of_a_match_keeps_the_rules_it_began_with(
    gateway: Guarded, provider: Scripted, dialect: str, change: str
) -> None:
    """docs/operations.md: "Requests under way keep the configuration they began with"."""
    good = gateway.config.read_text()
    ask, data = DIALECTS[dialect]
    held, go_on = threading.Event(), threading.Event()
    provider.says(pausing(data, held, go_on))
    edit, status = CHANGES[change]
    with ThreadPoolExecutor(1) as pool:
        try:
            answer = pool.submit(ask, gateway)
            assert held.wait(60)
            assert edited(gateway, edit) == status
        finally:
            go_on.set()
        assert answer.result(60) == MASKED
    gateway.config.write_text(good)
    assert httpx.post(gateway.url + "/admin/v1/reload", headers=ADMIN, timeout=60).status_code == 200


def test_a_stream_that_began_before_a_rule_was_enforced_passes_and_the_next_is_masked(
    gateway: Guarded, provider: Scripted
) -> None:
    assert edited(gateway, rule(mode="shadow")) == 200
    held, go_on = threading.Event(), threading.Event()
    provider.says(pausing(DIALECTS["chat"][1], held, go_on))
    with ThreadPoolExecutor(1) as pool:
        try:
            first = pool.submit(say_chat, gateway)
            assert held.wait(60)
            assert edited(gateway, rule()) == 200
        finally:
            go_on.set()
        assert first.result(60) == SAID
    assert say_chat(gateway) == MASKED


# -- rules that went to shadow -----------------------------------------------------------------------------------------


def events(gateway: Guarded, name: str) -> list[str]:
    """Rules that this event tells of."""
    lines = (Path(gateway.data) / "gateway.log").read_text().splitlines()
    told = [yaml.safe_load(line) for line in lines if f'"{name}"' in line and line.endswith("}")]
    return [each["rule"] for each in told]


def is_masked(gateway: Guarded, provider: Scripted) -> bool:
    said: Any = [{"role": "user", "content": f"I am {EMAIL}"}]
    gateway.openai("eager").chat.completions.create(model="gpt-4o-mini", messages=said)
    return EMAIL.encode() not in provider.last.body


def test_a_demoted_rule_stays_in_shadow_over_a_reload_that_does_not_change_it(
    gateway: Guarded, provider: Scripted
) -> None:
    """docs/guardrails.md: "After `cooling`, 10 minutes, or a change of the rule it is enforced again:
    `guardrail_restored`. Another change of the configuration leaves it in shadow. Bounds hold for rules that are
    enforced.\""""
    provider.says(chat("hi"))
    wait_for(lambda: not is_masked(gateway, provider), "the rule to act too often")
    wait_for(lambda: events(gateway, "guardrail_demoted") == ["eager"], "the event")

    def another_model(written: dict) -> None:
        written["models"]["another"] = {"targets": [{"provider": "mock"}]}

    assert edited(gateway, another_model) == 200
    assert not is_masked(gateway, provider)
    assert 'tollway_guardrail_demoted{rule="eager"} 1.0' in httpx.get(gateway.url + "/metrics").text

    def told() -> list[dict]:
        found = get_json(gateway.url + "/admin/v1/incidents", ADMIN)["incidents"]
        return [each for each in found if each["signal"] == "guardrail_demoted"]

    wait_for(told, "the incident")
    assert [(each["subject"], each["state"]) for each in told()] == [("eager", "open")]
    assert events(gateway, "guardrail_restored") == []

    def more_may_match(written: dict) -> None:
        written["guardrails"]["bounded"][0]["bounds"]["match_rate"] = "90%"

    assert edited(gateway, more_may_match) == 200
    assert is_masked(gateway, provider)
    wait_for(lambda: events(gateway, "guardrail_restored") == ["eager"], "the other event")
    assert events(gateway, "guardrail_demoted") == ["eager"], "and never the rule that only watches"
