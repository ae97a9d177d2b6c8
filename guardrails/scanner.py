"""All detectors of a configuration behind one gate, made once and shared by the engines of all teams."""

from collections.abc import Callable, Sequence
from typing import Protocol

from guardrails.detector import Classifier, Detector, Expression, Hit
from guardrails.matching.extent import Extent, extent
from guardrails.matching.lone import Lone
from guardrails.reader import Look, Reader

_new: Callable[[type[Hit], tuple[int, int]], Hit] = tuple.__new__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
"""Makes named tuples, of which there may be hundreds for a text, in half the time their own names take."""


class Gate(Protocol):
    """One pass over the bytes of a text for many expressions (`guardrails/matching/gate.py`)."""

    def scan(self, data: bytes, /) -> Sequence[tuple[int, int]]:
        """Index of an expression and end offset of its occurrence, in bytes. A superset of what the exact expressions
        would find in a text that is valid UTF-8."""
        ...


GateFactory = Callable[[Sequence[Expression]], Gate]


class Scanner:
    """Detectors, classifiers, and the names of external sources whose matches the caller brings along.

    `gate` is called once, with the expressions of all detectors in order; without any it is not called.
    Raises `ValueError` when two of them have one name.
    """

    def __init__(
        self,
        detectors: Sequence[Detector] = (),
        classifiers: Sequence[Classifier] = (),
        external: Sequence[str] = (),
        *,
        gate: GateFactory,
    ) -> None:
        self.detectors = tuple(detectors)
        self.classifiers = tuple(classifiers)
        self.external = frozenset(external)
        names = [*(d.name for d in detectors), *(c.name for c in classifiers), *external]
        if len(set(names)) != len(names):
            raise ValueError("two detectors have the same name")
        self._extents: dict[int, Extent] = {}
        self._lone: dict[tuple[int, ...], Lone] = {}
        self._owners: list[tuple[int, int]] = []
        """For each expression of the gate: its detector, and its index there."""
        expressions: list[Expression] = []
        for number, detector in enumerate(self.detectors):
            for local, expression in enumerate(detector.expressions):
                self._owners.append((number, local))
                expressions.append(expression)
        self.gate = gate(expressions) if expressions else None
        for number, detector in enumerate(self.detectors):
            if isinstance(detector, Reader) and self.gate is not None:
                detector.lend(self._look(self.gate, number))

    @property
    def owners(self) -> list[int]:
        """For each expression of the gate: whose it is, as an index into the detectors."""
        return [number for number, _ in self._owners]

    def _look(self, gate: Gate, number: int) -> Look:
        """How a detector is shown by the gate what it finds in a text of its own making."""

        def look(text: str) -> Sequence[Hit]:
            return self.by_detector(gate.scan(text.encode("utf-8", "surrogatepass"))).get(number, ())

        return look

    def extent(self, number: int) -> Extent:
        """How far the expressions of a detector reach. Worked out when it is first asked for."""
        known = self._extents.get(number)
        if known is None:
            known = self._extents[number] = extent(self.detectors[number].expressions)
        return known

    def lone(self, numbers: tuple[int, ...]) -> Lone:
        """The words in which the gate has seen nothing that is any of these detectors'."""
        known = self._lone.get(numbers)
        if known is None:
            expressions = [each for number in numbers for each in self.detectors[number].expressions]
            known = self._lone[numbers] = Lone(expressions)
        return known

    def by_detector(self, found: Sequence[tuple[int, int]]) -> dict[int, list[Hit]]:
        """What the gate saw, by the detector whose expression it was."""
        hits: dict[int, list[Hit]] = {}
        owners = self._owners
        for expression, end in found:
            number, local = owners[expression]
            own = hits.get(number)
            if own is None:
                own = hits[number] = []
            own.append(_new(Hit, (local, end)))
        return hits
