"""A Llama-Guard-like model over chat completions: `safe`, or `unsafe` and a line of category codes.

Meta's models carry the policy in their chat template and judge the last turn, a user's or the assistant's; others are
given it as `prompt`. The conversation's texts of one role in a row are one turn, because templates want turns to
alternate. What it costs is in `Reply.spent`.
"""

import re
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
    bearer,
    decoded,
    encoded,
    upper,
)
from gateway.inspection.report import Spent
from guardrails.detector import Match

_CATEGORIES = {
    "S1": "VIOLENT_CRIMES",
    "S2": "NON_VIOLENT_CRIMES",
    "S3": "SEX_RELATED_CRIMES",
    "S4": "CHILD_SEXUAL_EXPLOITATION",
    "S5": "DEFAMATION",
    "S6": "SPECIALIZED_ADVICE",
    "S7": "PRIVACY",
    "S8": "INTELLECTUAL_PROPERTY",
    "S9": "INDISCRIMINATE_WEAPONS",
    "S10": "HATE",
    "S11": "SELF_HARM",
    "S12": "SEXUAL_CONTENT",
    "S13": "ELECTIONS",
    "S14": "CODE_INTERPRETER_ABUSE",
}
"""The MLCommons hazards as Llama Guard 3 numbers them (its model card)."""
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_ /-]{0,39}")
_MOST_TOKENS = 64


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None
    model: str | None = None


class LlamaGuard:
    """Implements `Shape`."""

    alone = False
    batch = 0
    window = 0

    def __init__(self, config: ExternalConfig) -> None:
        self._config = config
        self.charged = config.model

    def request(self, texts: Sequence[Text], context: Context, stamp: Stamp) -> Outgoing:
        policy = [{"role": "system", "content": self._config.prompt}] if self._config.prompt else []
        body = {
            "model": self._config.model,
            "messages": [*policy, *_turns(texts, context)],
            "max_tokens": _MOST_TOKENS,
            "temperature": 0,
        }
        return Outgoing("POST", "/chat/completions", [JSON, *bearer(self._config.api_key)], encoded(body))

    def reply(self, texts: Sequence[Text], status: int, body: bytes) -> Reply:
        answer = decoded(status, body, _Answer)
        said = ((answer.choices[0].message.content or "") if answer.choices else "").strip()
        verdict, _, rest = said.partition("\n")
        # Prices know it by the name it gives itself; so does a call that is cut off, as soon as one was answered.
        self.charged = model = answer.model or self._config.model
        if answer.usage is None:
            spent = Spent(model, 0, len(said) // 4 + 1, told=False)
        else:
            spent = Spent(model, max(answer.usage.prompt_tokens, 0), max(answer.usage.completion_tokens, 0))
        if verdict.strip().lower() == "safe":
            return Reply(spent=spent)
        if verdict.strip().lower() != "unsafe":
            raise WrongAnswer("answered neither safe nor unsafe", spent=spent)
        codes = [code.strip() for code in re.split(r"[,\n]", rest)]
        named = [code for code in codes if _CODE.fullmatch(code)] or ["unsafe"]
        found = tuple((TOGETHER, self._match(code)) for code in dict.fromkeys(named))
        return Reply(True, found, spent=spent)

    def _match(self, code: str) -> Match:
        kind = _CATEGORIES.get(code.upper()) or upper(code)
        return Match(kind, 0, 0, 1.0, f"{self._config.name}/{code}", "external")


def _turns(texts: Sequence[Text], context: Context) -> list[dict[str, str]]:
    """User's and assistant's turns in turn. A template judges the last one, so an answer ends with the assistant's and
    a request with the user's: system texts and tool results are judged as what the user put before the model."""
    turns: list[dict[str, str]] = []
    for text in texts:
        role = "assistant" if text.role in ("assistant", "output") else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{text.text}"
        else:
            turns.append({"role": role, "content": text.text})
    if turns and turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": ""})
    return turns
