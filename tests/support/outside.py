"""A gateway whose teams ask detectors outside: the services' fakes on one socket, slow or dead when a test says so."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.detector_services import FAKES, KEY, WORD
from tests.support.guarded import Guarded, guarded_configuration
from tests.support.scripted import Scripted, Seen, Wire, scripted
from tests.support.served import key_hash

SERVICES: dict[str, dict[str, Any]] = {
    "openai_moderations": {"url": "/v1", "model": "judge"},
    "presidio": {"url": ""},
    "lakera": {"url": "", "guardrail": "guard-1"},
    "azure": {"url": ""},
    "bedrock": {
        "url": "",
        "guardrail": "guard-1",
        "key_id": "key-id",
        "region": "us-east-1",
        "session_token": "session",
    },
    "llama_guard": {"url": "/v1", "model": "judge"},
    "litellm": {"url": ""},
    "webhook": {"url": "/hook"},
}
_PATHS = {
    "/v1/moderations": "openai-moderations",
    "/analyze": "presidio",
    "/v2/guard": "lakera",
    "/contentsafety": "azure-content-safety",
    "/guardrail/": "bedrock",
    "/v1/chat/completions": "llama-guard",
    "/beta/": "litellm",
    "/hook": "webhook",
}


JUDGE = {
    "model": "judge-8b",
    "provider": "judges",
    "usd_per_million_tokens": {"input": "1.00", "output": "10.00"},
}
"""What the fake Llama Guard costs: 210 tokens in and 5 out are 260,000 nano-dollars."""
BUDGETED = {"judged"}
"""Teams with a budget."""
SAID = f"my {WORD} is fine"


@dataclass
class Services:
    """All fakes on one socket. `gate` cleared: nobody answers before it is set."""

    scripted: Scripted
    gate: threading.Event = field(default_factory=threading.Event)
    status: int = 200
    delay: float = 0.0
    """Seconds every answer takes."""

    def play(self, wire: Wire, seen: Seen) -> None:
        if not self.gate.wait(120):
            raise AssertionError("the test forgot the gate")
        if self.delay:
            threading.Event().wait(self.delay)
        kind = next(kind for path, kind in _PATHS.items() if seen.path.startswith(path))
        answer = FAKES[kind](seen.path, seen.headers, seen.body)
        if answer is None:
            return wire.whole(b"{}", 418)
        wire.whole(json.dumps(answer).encode(), self.status)

    @property
    def asked(self) -> int:
        return len(self.scripted.seen)


@contextmanager
def services() -> Iterator[Services]:
    with scripted() as provider:
        state = Services(provider)
        state.gate.set()
        provider.play = state.play
        yield state
        state.gate.set()


def external(service: str, url: str, **more: Any) -> dict[str, Any]:
    """A rule that asks the fake of a service at `url`."""
    options = {**SERVICES[service], "api_key": KEY}
    options["url"] = url + options["url"]
    return {
        "detect": "external",
        "service": service,
        "action": "block",
        "mode": "enforce",
        "deadline": "10s",
        **options,
        **more,
    }


def outside_configuration(provider: str, data: Path, policies: dict[str, list[dict]], **changes: Any) -> dict:
    """Teams named like their policy, with the key `sk-TEAM`; `free` has none."""
    teams: dict[str, dict] = {
        name: {"guardrails": name, "keys": [{"id": name, "hash": key_hash(f"sk-{name}")}]} for name in policies
    }
    teams["free"] = {"keys": [{"id": "free", "hash": key_hash("sk-free")}]}
    for name in BUDGETED & teams.keys():
        teams[name]["budget"] = {"amount": "1 USD", "per": "month"}
    sections = {"guardrails": policies, "teams": teams, "prices": {"version": 1, "models": [JUDGE]}, **changes}
    return guarded_configuration(provider, data, **sections)


def outside_gateway(provider: str, data: Path, policies: dict[str, list[dict]]) -> Guarded:
    config = data / "gateway.yaml"
    config.write_text(yaml.safe_dump(outside_configuration(provider, data, policies), sort_keys=False))
    return Guarded(config)


def policies(url: str) -> dict[str, list[dict]]:
    every = {service.replace("_", "-"): [external(service, url)] for service in SERVICES}
    every["llama-guard"] = [external("llama_guard", url, prices="judges")]
    every["judged"] = [external("llama_guard", url, prices="judges", cache="0", when="alongside")]
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
        "late-open-held": [
            external("webhook", url, name="held", on=["response"], streams="hold", on_failure="open")
        ],
        "reworded": [
            external("litellm", url, name="words", entities=["REWRITTEN"], action="mask", **both),
            external("litellm", url, name="words", entities=["BLOCKED"], on=["request"]),
        ],
        "anonymous": [external("bedrock", url, action="mask")],
        "partly": [external("bedrock", url, action="mask", allow={"values": [WORD]})],
        "rerouted": [external("webhook", url, action="reroute", reroute="gpt-4o")],
        "bounded": [
            external("webhook", url, cache="0", bounds={"latency": "100ms", "at_least": 2, "cooling": "1h"})
        ],
        "short": [external("webhook", url, max_text=20, **both)],
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


def post(gateway: Guarded, team: str, said: str = "hello", **more: Any) -> httpx.Response:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": said}], **more}
    headers = {"authorization": f"Bearer sk-{team}"}
    return httpx.post(gateway.v1 + "/chat/completions", json=body, headers=headers, timeout=60)


def content(answer: httpx.Response) -> str:
    """The text of a chat answer, whole or streamed."""
    if "event-stream" not in answer.headers["content-type"]:
        return answer.json()["choices"][0]["message"]["content"]
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    return "".join(each["choices"][0]["delta"].get("content") or "" for each in events if each["choices"])
