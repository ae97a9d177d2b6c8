"""Small fakes of the services external detectors ask: each speaks one wire shape on a real socket and finds one word.

A fake answers 418 to a request its service would not accept, so that a wrong request shows as a wrong answer.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from gateway.inspection.external import ExternalConfig
from gateway.inspection.external.sigv4 import Credentials, signed

WORD = "zebra"
PUZZLE, UNTOLD = "okapi", "quagga"
"""To texts with these, the fake Llama Guard gives no verdict, or tells no usage."""
KEY = "test-key-" + "k" * 8

Answer = Any
Fake = Callable[[str, dict[str, str], bytes], Answer]
"""Target, headers and body of a request → what is answered in JSON; None: not a request of this interface."""


def moderations(target: str, headers: dict[str, str], body: bytes) -> Answer:
    sent = json.loads(body)
    if target != "/v1/moderations" or headers.get("authorization") != f"Bearer {KEY}" or sent["model"] != "judge":
        return None
    results = [
        {"flagged": WORD in text, "categories": {"hate/threatening": WORD in text, "violence": False},
         "category_scores": {"hate/threatening": 0.9 if WORD in text else 0.001, "violence": 0.02}}
        for text in sent["input"]
    ]  # fmt: skip
    return {"id": "modr-1", "model": "judge", "results": results}


def presidio(target: str, headers: dict[str, str], body: bytes) -> Answer:
    sent = json.loads(body)
    if target != "/analyze" or sent["language"] != "en":
        return None
    return [
        [{"entity_type": "ANIMAL", "start": text.index(WORD), "end": text.index(WORD) + len(WORD), "score": 0.85}]
        if WORD in text
        else []
        for text in sent["text"]
    ]


def lakera(target: str, headers: dict[str, str], body: bytes) -> Answer:
    sent = json.loads(body)
    if target != "/v2/guard" or headers.get("authorization") != f"Bearer {KEY}" or sent["project_id"] != "guard-1":
        return None
    found = [(index, m["content"].index(WORD)) for index, m in enumerate(sent["messages"]) if WORD in m["content"]]
    return {
        "flagged": bool(found),
        "payload": [
            {"start": at, "end": at + len(WORD), "text": WORD, "detector_type": "pii/name", "labels": [],
             "message_id": index}
            for index, at in found
        ],
        "breakdown": [{"detector_type": "pii/name", "detected": bool(found)}, {"detector_type": "prompt_attack",
                      "detected": False}],
        "metadata": {"request_uuid": "1"},
    }  # fmt: skip


def azure(target: str, headers: dict[str, str], body: bytes) -> Answer:
    sent = json.loads(body)
    if (
        target != "/contentsafety/text:analyze?api-version=2024-09-01"
        or headers.get("ocp-apim-subscription-key") != KEY
    ):
        return None
    if len(sent["text"]) > 10_000:
        return None
    severity = 6 if WORD in sent["text"] else 0
    categories = [{"category": "SelfHarm", "severity": severity}, {"category": "Hate", "severity": 0}]
    return {"blocklistsMatch": [], "categoriesAnalysis": categories}


def bedrock(target: str, headers: dict[str, str], body: bytes) -> Answer:
    sent = json.loads(body)
    credentials = Credentials("key-id", KEY, "us-east-1", "bedrock", "session")
    rest = [("content-type", "application/json")]
    stamp = headers["x-amz-date"]
    now_ns = _seconds(stamp) * 1_000_000_000
    expected = signed(credentials, "POST", headers["host"], target, rest, body, now_ns)
    if target != "/guardrail/guard-1/version/DRAFT/apply" or headers.get("authorization") != expected[-1][1]:
        return None
    text = sent["content"][0]["text"]["text"]
    if WORD not in text:
        return {"action": "NONE", "outputs": [], "assessments": [{}], "usage": {"topicPolicyUnits": 1}}
    entity = {"type": "NAME", "match": WORD, "action": "ANONYMIZED"}
    return {
        "action": "GUARDRAIL_INTERVENED",
        "outputs": [{"text": text.replace(WORD, "{NAME}")}],
        "assessments": [{"sensitiveInformationPolicy": {"piiEntities": [entity], "regexes": []}}],
        "usage": {"sensitiveInformationPolicyUnits": 1},
    }


def llama_guard(target: str, headers: dict[str, str], body: bytes) -> Answer:
    sent = json.loads(body)
    if target != "/v1/chat/completions" or sent["model"] != "judge" or sent["temperature"] != 0:
        return None
    said = "\n\nunsafe\nS10,S1" if WORD in str(sent["messages"]) else "\n\nsafe"
    said = "Let me think." if PUZZLE in str(sent["messages"]) else said
    choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 210, "completion_tokens": 5, "total_tokens": 215}
    told = {} if UNTOLD in str(sent["messages"]) else {"usage": usage}
    return {"id": "c", "object": "chat.completion", "model": "judge-8b", "choices": [choice], **told}


def litellm(target: str, headers: dict[str, str], body: bytes) -> Answer:
    sent = json.loads(body)
    if target != "/beta/litellm_basic_guardrail_api" or headers.get("x-api-key") != KEY:
        return None
    if sent["input_type"] not in ("request", "response") or len(sent["texts"]) != len(sent["structured_messages"]):
        return None
    if not any(WORD in text for text in sent["texts"]):
        return {"action": "NONE"}
    return {"action": "GUARDRAIL_INTERVENED", "texts": [text.replace(WORD, "[animal]") for text in sent["texts"]]}


def webhook(target: str, headers: dict[str, str], body: bytes) -> Answer:
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = "v1," + base64.b64encode(hmac.new(KEY.encode(), content, hashlib.sha256).digest()).decode()
    if target != "/hook" or headers.get("webhook-signature") != mac:
        return None
    sent = json.loads(body)
    found = [
        {"index": item["index"], "type": "ANIMAL", "start": item["text"].index(WORD),
         "end": item["text"].index(WORD) + len(WORD), "score": 0.7, "rule": "zoo"}
        for item in sent["texts"]
        if WORD in item["text"]
    ]  # fmt: skip
    return {"action": "block" if found else "allow", "findings": found}


FAKES: dict[str, Fake] = {
    "openai-moderations": moderations,
    "presidio": presidio,
    "lakera": lakera,
    "azure-content-safety": azure,
    "bedrock": bedrock,
    "llama-guard": llama_guard,
    "litellm": litellm,
    "webhook": webhook,
}
_PATHS = {"openai-moderations": "/v1", "llama-guard": "/v1", "webhook": "/hook"}


def config_of(kind: str, url: str, **changes: Any) -> ExternalConfig:
    """A configuration that reaches the fake of `kind` at `url`."""
    fields: dict[str, Any] = {
        "name": "zoo",
        "kind": kind,
        "base_url": url + _PATHS.get(kind, ""),
        "api_key": KEY,
        "model": "judge",
        "guardrail": "guard-1",
        "deadline": 5.0,
    }
    if kind == "bedrock":
        fields |= {"key_id": "key-id", "region": "us-east-1", "session_token": "session"}
    return ExternalConfig(**fields | changes)


def _seconds(stamp: str) -> int:
    from datetime import UTC, datetime

    return int(datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp())
