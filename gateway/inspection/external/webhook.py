"""A service of one's own, called with a signed request: the generic webhook.

The signature is Standard Webhooks 1.0 (standardwebhooks.com), so that its libraries verify it:

    webhook-id: 018bcfe5-…            unique for each request
    webhook-timestamp: 1674087231     seconds since the epoch
    webhook-signature: v1,BASE64 …    HMAC-SHA256 of `{id}.{timestamp}.{body}`, one for each secret

A receiver rejects timestamps more than five minutes away from its clock and ids it has seen: nothing can be replayed.
Secrets are `whsec_` and base64; what is written otherwise is taken as the key's bytes.

Request: `{"version": 1, "direction", "request_id", "team", "key_id", "model", "operation", "texts": [{"index", "role",
"path", "text"}], "params"}`. Answer: `{"action": "allow" | "flag" | "block" | "rewrite", "findings": [{"index",
"type", "start", "end", "score", "rule"}], "texts": [{"index", "text"}], "message"}`. Offsets are code points, end
exclusive; a finding without an index is about all texts together. A text that is rewritten and has no finding has one
of type `REWRITTEN`.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from gateway.inspection.external.config import ExternalConfig
from gateway.inspection.external.shape import (
    JSON,
    TOGETHER,
    Context,
    Outgoing,
    Reply,
    Stamp,
    Text,
    WrongAnswer,
    decoded,
    encoded,
)
from gateway.inspection.external.spans import inside
from guardrails.detector import Match

_PREFIX = "whsec_"


class _Found(msgspec.Struct):
    type: str
    index: int | None = None
    start: int = 0
    end: int | None = None
    score: float = 1.0
    rule: str = ""


class _Text(msgspec.Struct):
    index: int
    text: str


class _Answer(msgspec.Struct):
    action: str
    findings: list[_Found] = []
    texts: list[_Text] = []
    message: str = ""


class Webhook:
    """Implements `Shape`."""

    alone = False
    batch = 0
    window = 0
    charged = ""

    def __init__(self, config: ExternalConfig) -> None:
        self._config = config
        self._keys = [_key(secret) for secret in config.api_key.split()]

    def request(self, texts: Sequence[Text], context: Context, stamp: Stamp) -> Outgoing:
        body = encoded(
            {
                "version": 1,
                **{name: getattr(context, name) for name in Context.__struct_fields__},
                "texts": [
                    {"index": index, "role": text.role, "path": text.path, "text": text.text}
                    for index, text in enumerate(texts)
                ],
                "params": self._config.params,
            }
        )
        seconds = str(stamp.now_ns // 1_000_000_000)
        headers = [JSON, ("webhook-id", stamp.id), ("webhook-timestamp", seconds)]
        if self._keys:
            headers.append(
                ("webhook-signature", " ".join(signature(key, stamp.id, seconds, body) for key in self._keys))
            )
        return Outgoing("POST", "", headers, body)

    def reply(self, texts: Sequence[Text], status: int, body: bytes) -> Reply:
        answer = decoded(status, body, _Answer)
        if answer.action not in ("allow", "flag", "block", "rewrite"):
            raise WrongAnswer("answered an action that is none of allow, flag, block, rewrite")
        if any(not 0 <= item.index < len(texts) for item in answer.texts):
            raise WrongAnswer("answered an index that no text has")
        found = tuple(self._match(item, texts) for item in answer.findings)
        if answer.action == "rewrite":
            return self._rewritten(answer, found, texts)
        flagged = answer.action != "allow"
        if flagged and not found:
            rule = f"{self._config.name}/{answer.action}"
            found = ((TOGETHER, Match("FLAGGED", 0, 0, 1.0, rule, "external")),)
        return Reply(flagged, found, message=answer.message)

    def _rewritten(self, answer: _Answer, found: tuple[tuple[int, Match], ...], texts: Sequence[Text]) -> Reply:
        """Other wordings are findings in the texts they are for: a rule acts on those. What was found in all texts
        together was found in the ones that are rewritten."""
        wordings = {item.index: item.text for item in answer.texts if item.text != texts[item.index].text}
        together = [match for index, match in found if index == TOGETHER] if wordings else []
        apart = [each for each in found if each[0] != TOGETHER or not wordings]
        known = {index for index, _ in apart}
        default = Match("REWRITTEN", 0, 0, 1.0, f"{self._config.name}/rewrite", "external")
        for index in wordings:
            if together or index not in known:
                end = len(texts[index].text)
                apart += [(index, msgspec.structs.replace(each, end=end)) for each in together or [default]]
        return Reply(bool(apart), tuple(apart), tuple(wordings.items()), answer.message)

    def _match(self, item: _Found, texts: Sequence[Text]) -> tuple[int, Match]:
        rule = f"{self._config.name}/{item.rule or item.type}"
        score = min(max(item.score, 0.0), 1.0)
        if item.index is None:
            return TOGETHER, Match(item.type, 0, 0, score, rule, "external")
        if not 0 <= item.index < len(texts):
            raise WrongAnswer("answered an index that no text has")
        text = texts[item.index].text
        start, end = inside(text, item.start, len(text) if item.end is None else item.end)
        return item.index, Match(item.type, start, end, score, rule, "external")


def signature(key: bytes, identifier: str, seconds: str, body: bytes) -> str:
    """One `v1,` entry of a `webhook-signature` header."""
    mac = hmac.new(key, f"{identifier}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(mac).decode()}"


def _key(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            return secret.encode()
    return secret.encode()
