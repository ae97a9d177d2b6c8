"""LiteLLM's generic guardrail interface: `POST /beta/litellm_basic_guardrail_api`, so that guardrail servers written
for it work with us unchanged.

`NONE`, `BLOCKED` with a reason, or `GUARDRAIL_INTERVENED` with texts in the place of those sent.
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
    WrongAnswer,
    decoded,
    encoded,
)
from guardrails.detector import Match

PATH = "/beta/litellm_basic_guardrail_api"
_ROLES = {"system": "system", "assistant": "assistant", "output": "assistant", "tool": "tool"}


class _Answer(msgspec.Struct):
    action: str
    blocked_reason: str | None = None
    texts: list[str] | None = None


class LiteLLM:
    """Implements `Shape`."""

    alone = False
    batch = 0
    window = 0
    charged = ""

    def __init__(self, config: ExternalConfig) -> None:
        self._config = config
        self._path = "" if config.base_url.rstrip("/").endswith(PATH) else PATH

    def request(self, texts: Sequence[Text], context: Context, stamp: Stamp) -> Outgoing:
        body = {
            "input_type": context.direction,
            "texts": [text.text for text in texts],
            "images": None,
            "tools": None,
            "tool_calls": None,
            "structured_messages": [
                {"role": _ROLES.get(text.role, "user"), "content": text.text} for text in texts
            ],
            "request_data": {
                "user_api_key_hash": context.key_id or None,
                "user_api_key_team_id": context.team or None,
                "user_api_key_team_alias": context.team or None,
            },
            "model": context.model or None,
            "litellm_call_id": context.request_id or stamp.id,
            "litellm_trace_id": context.request_id or stamp.id,
            "additional_provider_specific_params": self._config.params,
        }  # fmt: skip
        key = [("x-api-key", self._config.api_key)] if self._config.api_key else []
        return Outgoing("POST", self._path, [JSON, *key], encoded(body))

    def reply(self, texts: Sequence[Text], status: int, body: bytes) -> Reply:
        answer = decoded(status, body, _Answer)
        if answer.action == "NONE":
            return Reply()
        if answer.action == "BLOCKED":
            match = Match("BLOCKED", 0, 0, 1.0, f"{self._config.name}/blocked", "external")
            return Reply(True, ((TOGETHER, match),), message=answer.blocked_reason or "")
        if answer.action != "GUARDRAIL_INTERVENED":
            raise WrongAnswer("answered an action that is none of NONE, BLOCKED, GUARDRAIL_INTERVENED")
        if answer.texts is not None and len(answer.texts) != len(texts):
            raise WrongAnswer(f"answered {len(answer.texts)} texts to {len(texts)}")
        changed = [
            (index, new) for index, new in enumerate(answer.texts or ()) if new != texts[index].text
        ]  # fmt: skip
        rule = f"{self._config.name}/intervened"
        found = ((index, Match("REWRITTEN", 0, len(texts[index].text), 1.0, rule, "external")) for index, _ in changed)
        return Reply(bool(changed), tuple(found), tuple(changed))
