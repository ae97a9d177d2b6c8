"""What detectors outside found, as the engine takes it: texts as they are asked about, reports as matches in them, and
the verdicts of two inspections of one body as one."""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.inspection.report import Report
from gateway.inspection.rewrite import Edit, encoded, splice
from gateway.inspection.scan import scan, text_of
from guardrails.detector import Match
from guardrails.engine import JSON_PATHS
from guardrails.interface import ALLOWED, Given, Segment, Verdict
from guardrails.policy import SEVERITY

_MARK = "#"
"""Between the path of a JSON document and the number of a string in it."""


class _Document:
    """A segment that is JSON, and where its strings are."""

    __slots__ = ("data", "edits", "segment")

    def __init__(self, segment: Segment, data: bytes) -> None:
        self.segment = segment
        self.data = data
        self.edits: list[Edit] = []


class Pieces:
    """The texts of a body as detectors outside are asked about them: tool-call arguments that are JSON as their string
    values, so that what is found in one can be rewritten and the JSON stays valid. Names of members are not asked
    about. A document that cannot be taken apart stays one text."""

    __slots__ = ("_places", "segments")

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments: list[Segment] = []
        self._places: dict[str, tuple[_Document, int, int]] = {}
        for segment in segments:
            if not (segment.path.endswith(JSON_PATHS) and self._opened(segment)):
                self.segments.append(segment)

    def whole(self, rewrites: Sequence[Segment]) -> tuple[Segment, ...]:
        """Rewrites of pieces as rewrites of the segments they came from. Called once."""
        out: list[Segment] = []
        changed: dict[int, _Document] = {}
        for rewrite in rewrites:
            place = self._places.get(rewrite.path)
            if place is None:
                out.append(rewrite)
            else:
                document, start, end = place
                document.edits.append((start, end, encoded(rewrite.text)))
                changed[id(document)] = document
        for document in changed.values():
            text = splice(document.data, sorted(document.edits)).decode()
            out.append(Segment(document.segment.path, document.segment.role, text))
        return tuple(out)

    def _opened(self, segment: Segment) -> bool:
        """Put a document's strings in its place; False: it is none, or cannot be read."""
        if segment.text.lstrip(" \t\r\n")[:1] not in ("{", "[") or f"{segment.path}{_MARK}0" in self._places:
            return False
        try:
            data = segment.text.encode()
            spans = [(leaf.start, leaf.end) for leaf in scan(data, ()).leaves if data[leaf.start] == 0x22]
            texts = [text_of(data[start:end]) for start, end in spans]
        except ValueError:
            return False
        document = _Document(segment, data)
        for number, ((start, end), text) in enumerate(zip(spans, texts, strict=True)):
            path = f"{segment.path}{_MARK}{number}"
            self._places[path] = document, start, end
            if text:
                self.segments.append(Segment(path, segment.role, text))
        return True


def given(segments: Sequence[Segment], asked: Mapping[str, Sequence[int]], reports: Mapping[str, Report]) -> Given:
    """What the engine is told. By the name of each detector: `asked`, the indices of the segments it was asked about,
    and its report. What a report says of all texts together stands for the last text that was asked about."""
    matches = {name: _matches(segments, asked[name], report) for name, report in reports.items()}
    failures = {name: report.outcome for name, report in reports.items() if report.outcome != "ok"}
    return Given(matches, failures)


def _matches(segments: Sequence[Segment], asked: Sequence[int], report: Report) -> list[list[Match]]:
    found: list[list[Match]] = [[] for _ in segments]
    places: dict[str, list[int]] = {}
    for index in asked:
        places.setdefault(segments[index].path, []).append(index)
    last = [index for index in asked if segments[index].text][-1:]
    for finding in report.findings:
        for index in places.get(finding.path) or last:
            length = len(segments[index].text)
            start, end = finding.start, min(finding.end, length)
            if start >= end or finding.path not in places:
                start, end = 0, length
            found[index].append(Match(finding.type, start, end, finding.score, finding.rule, finding.evidence))
    if report.flagged and not report.findings:
        for index in last:
            rule = f"{report.detector}/flagged"
            found[index].append(Match("FLAGGED", 0, len(segments[index].text), 1.0, rule, "external"))
    return found


def merged(one: Verdict, other: Verdict) -> Verdict:
    """The verdict of two inspections of one body by different rules: the action that lets less through wins."""
    if one is ALLOWED:
        return other
    if other is ALLOWED:
        return one
    action = other if SEVERITY[other.action] > SEVERITY[one.action] else one
    acting = max(one, other, key=lambda each: (SEVERITY[each.enforced], not each.failed))
    return msgspec.structs.replace(
        acting,
        action=action.action,
        findings=(*one.findings, *other.findings),
        policy=acting.policy or action.policy,
        rewrites=(),
        results=(*one.results, *other.results),
        failures=(*one.failures, *other.failures),
        dropped=one.dropped + other.dropped,
        spent=(*one.spent, *other.spent),
    )
