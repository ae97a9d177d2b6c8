"""Azure AI Content Safety: `POST /contentsafety/text:analyze`.

One text a call, at most 10,000 characters. Severities are 0, 2, 4, 6 (of 7); the score is severity / 7, so that a
threshold of 0.5 means severity 4. Blocklist hits quote the term, which is looked up in the text; no offsets are given.
"""

from collections.abc import Sequence
from urllib.parse import quote

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
    decoded,
    encoded,
    upper,
)
from gateway.inspection.external.spans import occurrences
from guardrails.detector import Match

_SEVERITIES = 7
_FLAGGED = 4
"""Severity from which a category counts when no threshold is set: Azure's own default, "medium"."""


class _Category(msgspec.Struct):
    category: str
    severity: int | None = None


class _Blocked(msgspec.Struct, rename="camel"):
    blocklist_name: str
    blocklist_item_text: str = ""


class _Answer(msgspec.Struct, rename="camel"):
    blocklists_match: list[_Blocked] | None = None
    categories_analysis: list[_Category] | None = None


class AzureContentSafety:
    """Implements `Shape`."""

    alone = True
    batch = 1
    window = 10_000
    charged = ""

    def __init__(self, config: ExternalConfig) -> None:
        self._config = config

    def request(self, texts: Sequence[Text], context: Context, stamp: Stamp) -> Outgoing:
        config = self._config
        body: dict[str, object] = {"text": texts[0].text, "outputType": "FourSeverityLevels"}
        if config.entities:
            body["categories"] = config.entities
        if config.blocklists:
            body |= {"blocklistNames": config.blocklists, "haltOnBlocklistHit": False}
        path = f"/contentsafety/text:analyze?api-version={quote(config.version or '2024-09-01', safe='')}"
        key = [("ocp-apim-subscription-key", config.api_key)] if config.api_key else []
        return Outgoing("POST", path, [JSON, *key], encoded(body))

    def reply(self, texts: Sequence[Text], status: int, body: bytes) -> Reply:
        answer = decoded(status, body, _Answer)
        if answer.categories_analysis is None and answer.blocklists_match is None:
            raise WrongAnswer("answered neither categoriesAnalysis nor blocklistsMatch")
        name, text = self._config.name, texts[0].text
        found: list[tuple[int, Match]] = []
        for item in answer.categories_analysis or ():
            severity = min(max(item.severity or 0, 0), _SEVERITIES)
            score, threshold = severity / _SEVERITIES, self._config.threshold
            if severity and (severity >= _FLAGGED if threshold is None else score >= threshold):
                match = Match(upper(item.category), 0, len(text), score, f"{name}/{item.category}", "external")
                found.append((0, match))
        for item in answer.blocklists_match or ():
            rule = f"{name}/blocklist/{item.blocklist_name}"
            folded = text.lower()
            places = occurrences(folded, item.blocklist_item_text.lower()) if len(folded) == len(text) else ()
            spans = list(places) or [(0, len(text))]
            found += [(0, Match("BLOCKLIST", start, end, 1.0, rule, "external")) for start, end in spans]
        return Reply(bool(found), tuple(found))
