"""Presidio's analyzer service: `POST /analyze`. Offsets are code points, as Python counts."""

from collections.abc import Sequence

import msgspec

from gateway.inspection.external.config import ExternalConfig
from gateway.inspection.external.shape import (
    JSON,
    Context,
    Outgoing,
    Reply,
    Stamp,
    Text,
    WrongAnswer,
    bearer,
    decoded,
    encoded,
)
from gateway.inspection.external.spans import inside
from guardrails.detector import Match


class _Result(msgspec.Struct):
    entity_type: str
    start: int
    end: int
    score: float


class Presidio:
    """Implements `Shape`."""

    alone = True
    batch = 16
    window = 100_000
    charged = ""
    """spaCy refuses more than a million characters, and a batch shares one deadline."""

    def __init__(self, config: ExternalConfig) -> None:
        self._config = config

    def request(self, texts: Sequence[Text], context: Context, stamp: Stamp) -> Outgoing:
        body: dict[str, object] = {"text": [text.text for text in texts], "language": self._config.language}
        if self._config.threshold is not None:
            body["score_threshold"] = self._config.threshold
        if self._config.entities:
            body["entities"] = self._config.entities
        return Outgoing("POST", "/analyze", [JSON, *bearer(self._config.api_key)], encoded(body))

    def reply(self, texts: Sequence[Text], status: int, body: bytes) -> Reply:
        results = decoded(status, body, list[list[_Result]])
        if len(results) != len(texts):
            raise WrongAnswer(f"answered {len(results)} results to {len(texts)} texts")
        found: list[tuple[int, Match]] = []
        for index, result in enumerate(results):
            for item in sorted(result, key=lambda item: (item.start, item.end, item.entity_type)):
                start, end = inside(texts[index].text, item.start, item.end)
                if start >= end:
                    raise WrongAnswer("answered a span that is not in the text")
                score = min(max(item.score, 0.0), 1.0)
                if score >= (self._config.threshold or 0.0):
                    rule = f"{self._config.name}/{item.entity_type}"
                    found.append((index, Match(item.entity_type, start, end, score, rule, "external")))
        return Reply(bool(found), tuple(found))
