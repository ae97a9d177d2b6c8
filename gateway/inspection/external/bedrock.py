"""Amazon Bedrock's ApplyGuardrail: `POST /guardrail/{id}/version/{version}/apply`.

One text a call: the answer does not say which of several texts a finding is about, and what it would have instead
comes as one output. At most 25 text units of 1,000 characters. Sensitive information is quoted and looked up in the
text (no offsets are given). With a `BLOCKED` assessment the output is the guardrail's canned answer, with none but
`ANONYMIZED` ones it is the masked text.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import quote, urlsplit

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
from gateway.inspection.external.sigv4 import Credentials, signed
from gateway.inspection.external.spans import occurrences
from guardrails.detector import Match

_TYPES = {
    "PROMPT_ATTACK": "PROMPT_INJECTION",
    "NAME": "PERSON",
    "EMAIL": "EMAIL_ADDRESS",
    "PHONE": "PHONE_NUMBER",
    "CREDIT_DEBIT_CARD_NUMBER": "CREDIT_CARD",
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER": "IBAN_CODE",
    "US_SOCIAL_SECURITY_NUMBER": "US_SSN",
    "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER": "US_ITIN",
    "US_PASSPORT_NUMBER": "US_PASSPORT",
    "US_BANK_ACCOUNT_NUMBER": "US_BANK_NUMBER",
    "DRIVER_ID": "US_DRIVER_LICENSE",
    "UK_NATIONAL_HEALTH_SERVICE_NUMBER": "UK_NHS",
}
_CONFIDENCE = {"HIGH": 0.9, "MEDIUM": 0.6, "LOW": 0.3, "NONE": 0.0}


class _Item(msgspec.Struct):
    """An entry of any policy's list; each policy fills some of the fields."""

    action: str = ""
    type: str = ""
    name: str = ""
    match: str = ""
    confidence: str = ""


class _Policy(msgspec.Struct, rename="camel"):
    topics: list[_Item] | None = None
    filters: list[_Item] | None = None
    custom_words: list[_Item] | None = None
    managed_word_lists: list[_Item] | None = None
    pii_entities: list[_Item] | None = None
    regexes: list[_Item] | None = None


class _Assessment(msgspec.Struct, rename="camel"):
    topic_policy: _Policy | None = None
    content_policy: _Policy | None = None
    word_policy: _Policy | None = None
    sensitive_information_policy: _Policy | None = None
    contextual_grounding_policy: _Policy | None = None


class _Output(msgspec.Struct):
    text: str = ""


class _Answer(msgspec.Struct):
    action: str
    outputs: list[_Output] | None = None
    assessments: list[_Assessment] | None = None


class Bedrock:
    """Implements `Shape`."""

    alone = True
    batch = 1
    window = 25_000
    charged = ""

    def __init__(self, config: ExternalConfig) -> None:
        self._config = config
        url = urlsplit(config.base_url)
        name = url.hostname or ""
        is_default = url.port in (None, {"https": 443, "http": 80}.get(url.scheme))
        self._host = name if is_default else f"{name}:{url.port}"
        self._base_path = url.path.rstrip("/")
        region = config.region or next(iter(name.split(".")[1:2]), "")
        self._credentials = Credentials(config.key_id, config.api_key, region, "bedrock", config.session_token)

    def request(self, texts: Sequence[Text], context: Context, stamp: Stamp) -> Outgoing:
        config = self._config
        identifier, version = quote(config.guardrail, safe=""), quote(config.version or "DRAFT", safe="")
        path = f"/guardrail/{identifier}/version/{version}/apply"
        source = "INPUT" if context.direction == "request" else "OUTPUT"
        body = encoded({"source": source, "content": [{"text": {"text": text.text}} for text in texts]})
        if config.key_id:
            target = self._base_path + path
            added = signed(self._credentials, "POST", self._host, target, [JSON], body, stamp.now_ns)
        else:
            added = bearer(config.api_key)
        return Outgoing("POST", path, [JSON, *added], body)

    def reply(self, texts: Sequence[Text], status: int, body: bytes) -> Reply:
        answer = decoded(status, body, _Answer)
        if answer.action not in ("NONE", "GUARDRAIL_INTERVENED"):
            raise WrongAnswer("answered an action that is neither NONE nor GUARDRAIL_INTERVENED")
        intervened = answer.action == "GUARDRAIL_INTERVENED"
        text = texts[0].text
        items = [entry for each in answer.assessments or () for entry in _items(each)]
        found = [match for label, item in items for match in self._matches(label, item, text)]
        if intervened and not found and self._config.threshold is None:
            found.append(Match("FLAGGED", 0, len(text), 1.0, f"{self._config.name}/flagged", "external"))
        output = "".join(each.text for each in answer.outputs or ())
        acted = {item.action for _, item in items}
        if intervened and output and "BLOCKED" not in acted and "ANONYMIZED" in acted:
            return Reply(True, tuple((0, match) for match in found), ((0, output),))
        return Reply(intervened, tuple((0, match) for match in found), message=output if intervened else "")

    def _matches(self, label: str, item: _Item, text: str) -> Iterator[Match]:
        score = _CONFIDENCE.get(item.confidence, 1.0)
        threshold = self._config.threshold
        if score < (threshold or 0.0) or (threshold is None and item.action not in ("BLOCKED", "ANONYMIZED")):
            return
        kind = _TYPES.get(item.type) or upper(item.type or item.name or label)
        rule = f"{self._config.name}/{label}/{item.type or item.name or 'word'}"
        for start, end in list(occurrences(text, item.match)) or [(0, len(text))]:
            yield Match(kind, start, end, score, rule, "external")


def _items(assessment: _Assessment) -> Iterator[tuple[str, _Item]]:
    policies = {
        "topic": assessment.topic_policy,
        "content": assessment.content_policy,
        "word": assessment.word_policy,
        "sensitive": assessment.sensitive_information_policy,
        "grounding": assessment.contextual_grounding_policy,
    }
    for label, policy in policies.items():
        if policy is not None:
            lists = (policy.topics, policy.filters, policy.custom_words, policy.managed_word_lists,
                     policy.pii_entities, policy.regexes)  # fmt: skip
            yield from ((label, item) for items in lists for item in items or ())
