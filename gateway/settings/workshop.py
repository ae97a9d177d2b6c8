"""Makes detectors and scanners, and keeps what a reload does not change: building costs a second, finding nothing.

One scanner, and so one gate, serves all policies of a configuration. What a rule asks for is a `Part`; equal parts are
made once.
"""

from collections.abc import Hashable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from secrets import token_bytes
from typing import NamedTuple, cast

from gateway.settings.gate_files import GateFiles
from guardrails import catalogue
from guardrails.detector import Classifier, Detector, Expression
from guardrails.matching.gate import Gate, GateError, open_gate
from guardrails.reader import Reader
from guardrails.scanner import Scanner
from guardrails.words.errors import WordsError
from guardrails.words.language import UserPattern
from guardrails.words.terms import TermList

OUTSIDE = "outside"
"""Kind of a part nothing is made of here."""


class Part(NamedTuple):
    """What one detector or classifier is made of."""

    kind: str
    """A name of `guardrails/catalogue.py`, patterns, terms, or outside: a detector that is asked by somebody else."""
    name: str
    """The detector's."""
    content: Hashable = None
    """Entities of pii, hosts of exfiltration, `UserPattern`s of patterns, `TermList`s of terms."""


class PartError(ValueError):
    """Parts that cannot be made. `problems`: what is wrong with which."""

    def __init__(self, problems: Sequence[tuple[Part, str]]) -> None:
        super().__init__("; ".join(problem for _, problem in problems))
        self.problems = tuple(problems)


class Workshop:
    """Lasts as long as a process's `Configuration`. Not for several threads at once."""

    def __init__(self, gates: GateFiles | None = None) -> None:
        """`gates`: where compiled gates are kept; None: nowhere."""
        self._gates = gates
        self._made: dict[Part, Detector | Classifier] = {}
        self._scanner: tuple[tuple[Part, ...], Scanner] | None = None
        self.gate: Gate | None = None
        """Of the scanner made last; None: it needs none."""
        self.random_key = token_bytes(32)
        """For digests where the installation has no key of its own: the same over reloads."""

    def scanner(self, parts: Sequence[Part]) -> Scanner:
        """The scanner of these parts. Raises PartError with everything that is wrong; what was made before stays."""
        wanted = tuple(sorted(set(parts), key=lambda part: (part.kind, part.name)))
        if self._scanner is not None and self._scanner[0] == wanted:
            return self._scanner[1]
        made: dict[Part, Detector | Classifier] = {}
        problems: list[tuple[Part, str]] = []
        for part in wanted:
            if part.kind == OUTSIDE:
                continue
            try:
                made[part] = self._made[part] if part in self._made else _make(part)
            except (WordsError, ImportError, ValueError, OSError) as error:
                problems.append((part, _spoken(error)))
        if problems:
            raise PartError(problems)
        scanner = self._assembled(made, [part.name for part in wanted if part.kind == OUTSIDE])
        self._made, self._scanner = made, (wanted, scanner)
        return scanner

    def made(self, part: Part) -> Detector | Classifier | None:
        """What was made of a part of the scanner made last."""
        return self._made.get(part)

    def _assembled(self, made: dict[Part, Detector | Classifier], outside: Sequence[str]) -> Scanner:
        detectors = _detectors(made)
        classifiers = [cast(Classifier, each) for part, each in made.items() if part not in detectors]
        opened: list[Gate] = []

        def gate(expressions: Sequence[Expression]) -> Gate:
            opened.append(open_gate(expressions) if self._gates is None else self._gates.open(expressions))
            return opened[0]

        try:
            scanner = Scanner(list(detectors.values()), classifiers, outside, gate=gate)
        except GateError as error:
            raise PartError(_guilty(detectors) or [(next(iter(made)), str(error))]) from None
        self.gate = opened[0] if opened else None
        return scanner


def _detectors(made: Mapping[Part, Detector | Classifier]) -> dict[Part, Detector]:
    return {part: cast(Detector, each) for part, each in made.items() if hasattr(each, "confirm")}


def _guilty(detectors: Mapping[Part, Detector]) -> list[tuple[Part, str]]:
    """Which parts no gate can be built of by themselves."""
    found: list[tuple[Part, str]] = []
    for part, each in detectors.items():
        try:
            open_gate(each.expressions)
        except GateError as error:
            found.append((part, str(error)))
    return found


def _make(part: Part) -> Detector | Classifier:
    if part.kind == "patterns":
        from guardrails.words.patterns import PatternDetector

        # It is needed at the first hit only, which is too late to say so.
        import_module("re2")
        return PatternDetector(cast("tuple[UserPattern, ...]", part.content), part.name)
    if part.kind == "terms":
        from guardrails.words.terms import TermDetector

        terms = TermDetector(cast("tuple[TermList, ...]", part.content), part.name)
        return Reader(terms, terms)
    if catalogue.BUILTINS[part.kind].kind == "texts":
        return catalogue.classifier(part.kind, part.name)
    if part.kind == "exfiltration":
        return catalogue.detector(part.kind, part.name, trusted=cast("tuple[str, ...]", part.content or ()))
    return catalogue.detector(part.kind, entities=cast("frozenset[str] | None", part.content))


def _spoken(error: Exception) -> str:
    if isinstance(error, ImportError):
        package = {"ahocorasick_rs": "ahocorasick-rs", "re2": "google-re2"}.get(error.name or "", error.name)
        return f"this needs the package {package}, which is not installed; install tollway[guardrails]"
    if isinstance(error, OSError):
        file = Path(str(error.filename)).name
        return f"this needs {file} of the installation, which cannot be read ({error.strerror}); install Tollway again"
    return str(error)
