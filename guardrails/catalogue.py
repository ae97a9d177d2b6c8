"""What is built in: the names that `detect:` knows, what each reports, its rules, and the score from which it counts.

Where a threshold is not written, the one from here holds. It is chosen where the detector's scores say "more likely
than not": below it are patterns that only count with a context word beside them, such as a bare row of nine digits.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from guardrails.detector import Classifier, Detector
from guardrails.reader import Reader

Kind = Literal["spans", "texts"]


class Builtin(msgspec.Struct, frozen=True):
    """One name of `detect:`."""

    name: str
    kind: Kind
    """`spans`: a `Detector`, whose matches can be rewritten. `texts`: a `Classifier`, which judges texts as a whole."""
    threshold: float
    about: str
    detector: str = ""
    """Name of what does the work, where that is another's."""
    types: tuple[str, ...] = ()
    """What a rule without `entities` looks for; empty: everything."""

    @property
    def source(self) -> str:
        """Name of the detector or classifier that rules of this name are compiled to."""
        return self.detector or self.name


IMPERSONAL = frozenset(("DATE_TIME", "URL"))
"""Found by the personal data detector when asked for by name; by themselves they name nobody, and answers are full of
them."""
USER_MADE = ("patterns", "terms", "topics")
"""Names of `detect:` whose detectors are made of what the rule itself says."""
_BUILTINS = (
    Builtin("pii", "spans", 0.4, "personal data: numbers with check digits, addresses, phone numbers"),
    Builtin("secrets", "spans", 0.5, "credentials of some 270 services, private keys, passwords"),
    Builtin("prompt_injection", "texts", 0.75, "orders that override the application's, and jailbreaks"),
    Builtin("jailbreak", "texts", 0.75, "jailbreaks alone", "prompt_injection", ("JAILBREAK",)),
    Builtin("moderation", "texts", 0.5, "unsafe content by category"),
    Builtin("exfiltration", "spans", 0.5, "images and links that carry data to a stranger's host"),
)
BUILTINS: Mapping[str, Builtin] = MappingProxyType({each.name: each for each in _BUILTINS})
_PII_RULES = (
    "pii.email_address.1", "pii.email_address.separator", "pii.iban_code.1", "pii.iban_code.length",
    "pii.phone_number.1", "pii.phone_number.bracketed", "pii.phone_number.context", "pii.phone_number.grouped",
    "pii.phone_number.international", "pii.phone_number.local", "pii.phone_number.trunk", "pii.url.1",
    "pii.url.1.quoted", "pii.url.2", "pii.url.2.quoted",
)  # fmt: skip
"""Of recognizers that are code and no row of a table."""


def types(name: str) -> Mapping[str, str]:
    """Every type a built-in detector can report, with a line about it (perhaps empty). Reads the package's tables."""
    if name == "pii":
        from guardrails.pii import described

        return described()
    if name == "secrets":
        return {"SECRET": "a credential"}
    if name == "exfiltration":
        from guardrails.injection.links import TYPE

        return {TYPE: "data in an address"}
    if name == "moderation":
        from guardrails.injection.weights import packaged

        return dict.fromkeys(packaged("moderation").heads, "")
    from guardrails.injection.heuristics import INJECTION, JAILBREAK

    return {JAILBREAK: ""} if name == "jailbreak" else {INJECTION: "", JAILBREAK: ""}


def usual_types(name: str) -> frozenset[str]:
    """What a rule of a built-in detector looks for when it names no `entities`; empty: everything it knows."""
    if name == "pii":
        from guardrails.pii import DEFAULT

        return frozenset(DEFAULT) - IMPERSONAL
    return frozenset(BUILTINS[name].types)


def rule_ids(name: str) -> frozenset[str]:
    """Ids of every rule of a built-in detector: what `without` may name. Reads the package's tables."""
    if name == "pii":
        from guardrails.pii.rules import read

        return frozenset((*_PII_RULES, *(row.id for table in ("presidio", "own") for row in read(table).rules)))
    if name == "secrets":
        from guardrails.secrets import detector

        return frozenset(detector.rule_ids())
    if name == "moderation":
        return frozenset(f"safety.{category}" for category in types(name))
    if name == "exfiltration":
        from guardrails.injection import links

        return frozenset(links.RULES)
    from guardrails.injection.heuristics import RULES

    models = ("injection.model", "jailbreak.model", "injection.indirect", "injection.encoded", "injection.obfuscation")
    return frozenset((*models, *(rule.id for rule in RULES)))


def detector(
    kind: str, name: str = "", entities: frozenset[str] | None = None, trusted: Collection[str] = ()
) -> Detector:
    """A built-in detector of spans, exfiltration under another `name` if one is given. `entities`: of personal data,
    None for the usual ones with dates and URLs. `trusted`: hosts, for exfiltration. Personal data and secrets are found
    in texts as they are read, too. Raises ValueError for entities that are not known."""
    if kind == "exfiltration":
        from guardrails.injection.links import LinkDetector

        return LinkDetector(name or kind, trusted)
    if kind == "pii":
        from guardrails.pii import PiiDetector

        written = PiiDetector(entities)
        # Addresses of pages are the longest that is found, and would be waited for four times as long.
        read = PiiDetector(written.entities - {"URL"})
        return Reader(written, read) if read.entities else written
    from guardrails.secrets import detector as secrets

    return Reader(secrets.SecretDetector(), secrets.SecretDetector(secrets.short_ids()), runs=True)


def classifier(kind: str, name: str = "") -> Classifier:
    """A built-in classifier, under another `name` if one is given. Reads its weights. Raises WeightsError when they are
    damaged."""
    from guardrails.injection import InjectionClassifier, SafetyClassifier

    return InjectionClassifier(name or kind) if kind == "prompt_injection" else SafetyClassifier(name or kind)
