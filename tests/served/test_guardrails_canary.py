"""Canary: what guardrails found, and what they kept back, appears nowhere but where it was sent.

Planted values go through masks, blocks, pseudonyms, broken streams, provider errors and defects of a guardrail; then
everything the gateway wrote or tells is searched for them.
"""

import json
from pathlib import Path

import httpx
import pytest

from tests.support.answers import chat, chat_stream
from tests.support.collector import collector
from tests.support.guarded import EMAIL, SECRET, guarded_gateway
from tests.support.scripted import Scripted, scripted, streamed, unary
from tests.support.served import wait_for

CARD = "4012888888881881"
COLLECTOR_KEY = "collector-canary-7f3a"
PLANTED = (EMAIL, SECRET, CARD, "forbidden fruit", COLLECTOR_KEY, "sk-upstream-canary", "sk-masked")
ADMIN = {"authorization": "Bearer sk-admin"}
SAID = f"I am {EMAIL}, pay {CARD} with {SECRET}"
BROKEN = "boom-detector"
"""In a text, this makes the guardrail raise with the text in its words."""
DEFECT = """
import guardrails.engine, gateway.guard
inspect, request = guardrails.engine.PolicyEngine._judged, gateway.guard.Guard.request
def judged(self, program, tally, segment, *rest):
    if "boom-detector" in segment.text:
        raise ValueError(segment.text)
    return inspect(self, program, tally, segment, *rest)
def asked(self, dialect, body):
    if b"boom-road" in body:
        raise RuntimeError(body.decode())
    return request(self, dialect, body)
guardrails.engine.PolicyEngine._judged, gateway.guard.Guard.request = judged, asked
"""


@pytest.fixture
def plant(tmp_path: Path):
    """A gateway at log level debug that logs and traces everything, and whose engine fails on demand."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "sitecustomize.py").write_text(DEFECT)
    with scripted() as provider, collector() as receiver:
        traced = {"otlp": receiver.url, "headers": {"api-key": COLLECTOR_KEY}, "sample": "100%", "semconv": "both"}
        telemetry = {"log_level": "debug", "access_log": "on", **traced}
        books = {"url": f"sqlite:///{tmp_path}/tollway.db", "journal": str(tmp_path / "journal"), "findings": {}}
        gateway = guarded_gateway(
            provider.url, tmp_path, env={"PYTHONPATH": str(code)}, telemetry=telemetry, ledger=books
        )
        yield gateway, provider, receiver
        gateway.stop()


def ask(gateway, team: str, said: str = SAID, **more: object) -> httpx.Response:
    call = {"id": "c", "type": "function", "function": {"name": "pay", "arguments": json.dumps({"card": CARD})}}
    messages = [
        {"role": "user", "content": said},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": SAID},
    ]
    headers = {"authorization": f"Bearer sk-{team}", "x-customer": EMAIL, "cookie": f"k={SECRET}"}
    body = {"model": "gpt-4o-mini", "messages": messages, **more}
    return httpx.post(gateway.v1 + "/chat/completions", json=body, headers=headers, timeout=60)


def traffic(gateway, provider: Scripted) -> tuple[list[httpx.Response], list[httpx.Response]]:
    """Answers in which nothing planted may stand (errors of ours, and masked ones), and others."""
    answer = chat(f"You are {EMAIL}", calls=(json.dumps({"key": SECRET, "card": CARD}),))
    ours, others = [], []
    provider.says(answer)
    ours += [ask(gateway, team) for team in ("masked", "refused", "canned")]
    others += [ask(gateway, team) for team in ("shadow", "warn", "pseudo", "capped", "rerouted", "free")]
    ours += [ask(gateway, "masked", f"{SAID} {BROKEN}"), ask(gateway, "masked", f"{SAID} boom-road")]
    ours += [ask(gateway, "masked", SAID, model="no-such-model")]
    ours += [
        ask(gateway, "masked", **{EMAIL: 1}),
        ask(gateway, "masked", context_management={"edits": [{EMAIL: CARD}]}),
    ]
    provider.says({**answer, EMAIL: SECRET})
    ours.append(ask(gateway, "masked"))
    provider.says(chat("Eat the forbidden fruit"))
    ours.append(ask(gateway, "answers"))
    provider.says(chat(f"{BROKEN} {SAID}"))
    ours.append(ask(gateway, "answers"))
    data = chat_stream(answer)
    provider.says(streamed(data, 40))
    ours.append(ask(gateway, "masked", stream=True))
    provider.says(streamed(data[: len(data) // 2], 40, ends=False))
    ours.append(ask(gateway, "masked", stream=True))
    provider.says(streamed(chat_stream(chat("Eat the forbidden fruit")), 40))
    ours.append(ask(gateway, "answers", stream=True))
    provider.says(unary(f"not JSON {SAID}".encode()))
    ours.append(ask(gateway, "masked"))
    provider.says(unary({"error": {"message": SAID, "type": "x"}}, 400, x_told=EMAIL, x_request_id=SECRET))
    ours.append(ask(gateway, "masked"))
    provider.says(unary({"error": {"message": SAID, "type": "x"}}, 401))
    ours.append(ask(gateway, "masked"))
    return ours, others


def clean(what: str, data: bytes) -> None:
    for value in PLANTED:
        for spelt in {value, value.replace("@", "\\u0040"), value.replace("@", "%40")}:
            assert spelt.encode() not in data, f"{value[:4]}… in {what}"


def test_nothing_planted_is_written_or_told(plant) -> None:
    gateway, provider, receiver = plant
    ours, others = traffic(gateway, provider)
    for answer in ours:
        clean(f"an answer with {answer.status_code}", answer.content)
    for answer in [*ours, *others]:
        clean("headers", repr(answer.headers.raw).encode())
    outcomes = {answer.status_code for answer in ours}
    assert outcomes == {200, 400, 404, 500, 502, 503}
    for answer in [*ours, *others]:
        if "stream" not in answer.headers.get("content-type", "") or answer.status_code == 200:
            gateway.row(answer.headers["x-request-id"])
    metrics = httpx.get(gateway.url + "/metrics").content
    assert b"tollway_guardrail_failures_total{" in metrics
    clean("/metrics", metrics)
    assert b"tollway_guardrail_findings_logged_total 0" not in metrics
    logged = httpx.get(f"{gateway.url}/admin/v1/guardrails/findings", params={"state": "all"}, headers=ADMIN)
    kinds = {(value["type"], value["role"]) for value in logged.json()["values"]}
    assert {("EMAIL_ADDRESS", "user"), ("CREDIT_CARD", "assistant"), ("SECRET", "tool")} <= kinds
    clean("the findings log", logged.content)
    with httpx.Client(base_url=gateway.url) as visitor:
        assert visitor.post("/console/login", data={"key": "sk-admin"}).status_code == 303
        page = visitor.get("/console/guardrails?state=all")
        assert "Findings to review" in page.text
        assert page.text.count("<code>") > 3
        clean("the guardrails page", page.content)
    document = httpx.get(gateway.url + "/admin/v1/openapi.json", headers=ADMIN)
    for path in ("config", "providers", "keys", "spend"):
        shown = httpx.get(f"{gateway.url}/admin/v1/{path}", headers=ADMIN)
        assert shown.status_code == 200
        clean(path, shown.content)
    clean("the OpenAPI document", document.content)
    roots = [receiver.trace_of(answer.headers["x-request-id"])[0] for answer in [*ours, *others]]
    assert {"ok", "blocked", "refused", "error", "upstream_error", "upstream_status"} == {
        root.attributes["tollway.outcome"] for root in roots
    }
    for number, body in enumerate(receiver.bodies):
        clean(f"export {number}", body)
    written = [path for path in gateway.data.rglob("*") if path.is_file() and path.name != "gateway.yaml"]
    assert {"gateway.log", "tollway.db"} <= {path.name for path in written}
    assert any("journal" in path.parts for path in written)
    wait_for(lambda: b"defect" in (gateway.data / "gateway.log").read_bytes(), "the line that tells of the defect")
    log = (gateway.data / "gateway.log").read_bytes()
    assert log.count(b'"access"') == len(roots)
    assert all(root.trace_id.encode() in log for root in roots)
    defects = [json.loads(line) for line in log.splitlines() if b'"event": "defect"' in line]
    assert {line["trace_id"] for line in defects} <= {root.trace_id for root in roots}
    assert defects
    for path in written:
        clean(path.name, path.read_bytes())
