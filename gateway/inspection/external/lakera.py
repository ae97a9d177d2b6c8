"""Lakera Guard v2: `POST /v2/guard`.

The whole conversation is sent, and the service judges its last interaction in the light of the rest. `breakdown` says
which detectors saw something, `payload` where: spans in the message `message_id`, with the text they cover, which
decides the unit the offsets are in.
"""

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
    bearer,
    decoded,
    encoded,
    upper,
)
from gateway.inspection.external.spans import located
from guardrails.detector import Match

_TYPES = {
    "prompt_attack": "PROMPT_INJECTION",
    "pii/name": "PERSON",
    "pii/email": "EMAIL_ADDRESS",
    "pii/phone_number": "PHONE_NUMBER",
    "pii/credit_card": "CREDIT_CARD",
    "pii/iban_code": "IBAN_CODE",
    "pii/ip_address": "IP_ADDRESS",
    "pii/us_social_security_number": "US_SSN",
}
_ROLES = {"system": "system", "assistant": "assistant", "output": "assistant"}
_LEVELS = {"l1": 0.95, "l2": 0.85, "l3": 0.7, "l4": 0.5, "l5": 0.1}
"""Confidence of Lakera's five levels (`l1_confident` to `l5_unlikely`), where the answer names one."""


class _Found(msgspec.Struct):
    detector_type: str
    start: int
    end: int
    text: str = ""
    message_id: int | None = None


class _Detector(msgspec.Struct):
    detector_type: str
    detected: bool
    result: str = ""
    confidence: str = ""
    message_id: int | None = None


class _Answer(msgspec.Struct):
    flagged: bool
    payload: list[_Found] | None = None
    breakdown: list[_Detector] | None = None


class Lakera:
    """Implements `Shape`."""

    alone = False
    batch = 0
    window = 0
    charged = ""

    def __init__(self, config: ExternalConfig) -> None:
        self._config = config

    def request(self, texts: Sequence[Text], context: Context, stamp: Stamp) -> Outgoing:
        """Its roles are those of chat; a tool's output goes as the user's, because that is where attacks hide."""
        messages = [{"role": _ROLES.get(text.role, "user"), "content": text.text} for text in texts]
        body: dict[str, object] = {"messages": messages, "payload": True, "breakdown": True}
        if self._config.guardrail:
            body["project_id"] = self._config.guardrail
        return Outgoing("POST", "/v2/guard", [JSON, *bearer(self._config.api_key)], encoded(body))

    def reply(self, texts: Sequence[Text], status: int, body: bytes) -> Reply:
        answer = decoded(status, body, _Answer)
        found: list[tuple[int, Match]] = []
        for item in answer.payload or ():
            index = (len(texts) - 1) if item.message_id is None else item.message_id
            if 0 <= index < len(texts):
                start, end = located(texts[index].text, item.start, item.end, item.text)
                if start < end:
                    found.append((index, self._match(item.detector_type, start, end, 1.0)))
        seen = {match.rule for _, match in found}
        for item in answer.breakdown or ():
            match = self._match(
                item.detector_type, 0, 0, _LEVELS.get((item.result or item.confidence)[:2].lower(), 1.0)
            )
            if item.detected and match.rule not in seen and match.score >= (self._config.threshold or 0.0):
                found.append((TOGETHER, match))
        if answer.flagged and not found and self._config.threshold is None:
            found.append((TOGETHER, Match("FLAGGED", 0, 0, 1.0, f"{self._config.name}/flagged", "external")))
        return Reply(answer.flagged, tuple(found))

    def _match(self, detector: str, start: int, end: int, score: float) -> Match:
        kind = _TYPES.get(detector) or upper(detector.rpartition("/")[2])
        return Match(kind, start, end, score, f"{self._config.name}/{detector}", "external")
