"""OpenAI's moderations interface: `POST /v1/moderations`, also spoken by others and by our own routes.

An array of texts gives one result for each; spans are not given, so a finding covers its whole text.
"""

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
    upper,
)
from guardrails.detector import Match

_LEAST = 0.01
"""Scores below are noise: thirteen categories a text would fill every verdict."""


class _Result(msgspec.Struct):
    flagged: bool
    categories: dict[str, bool | None] = {}
    category_scores: dict[str, float | None] = {}


class _Answer(msgspec.Struct):
    results: list[_Result]


class Moderations:
    """Implements `Shape`."""

    alone = True
    batch = 32
    window = 0
    charged = ""

    def __init__(self, config: ExternalConfig) -> None:
        self._config = config

    def request(self, texts: Sequence[Text], context: Context, stamp: Stamp) -> Outgoing:
        body: dict[str, object] = {"input": [text.text for text in texts]}
        if self._config.model:
            body["model"] = self._config.model
        return Outgoing("POST", "/moderations", [JSON, *bearer(self._config.api_key)], encoded(body))

    def reply(self, texts: Sequence[Text], status: int, body: bytes) -> Reply:
        results = decoded(status, body, _Answer).results
        if len(results) != len(texts):
            raise WrongAnswer(f"answered {len(results)} results to {len(texts)} texts")
        found = [
            (index, match) for index, result in enumerate(results) for match in self._matches(texts[index], result)
        ]
        return Reply(any(result.flagged for result in results), tuple(found))

    def _matches(self, text: Text, result: _Result) -> list[Match]:
        """Without a threshold what the service flagged, by its own thresholds, which differ by category."""
        threshold = self._config.threshold
        found: list[Match] = []
        for category in sorted(result.categories.keys() | result.category_scores.keys()):
            is_flagged = bool(result.categories.get(category))
            score = result.category_scores.get(category)
            score = float(is_flagged) if score is None else min(max(score, 0.0), 1.0)
            if is_flagged if threshold is None else score >= max(threshold, _LEAST):
                rule = f"{self._config.name}/{category}"
                found.append(Match(upper(category), 0, len(text.text), score, rule, "external"))
        if result.flagged and not found and threshold is None:
            found.append(Match("FLAGGED", 0, len(text.text), 1.0, f"{self._config.name}/flagged", "external"))
        return found
