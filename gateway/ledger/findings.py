"""What the findings log takes of an exchange: each finding without any text, or nothing when its turn is not drawn.

It is written with the exchange's own end line, so that it costs no write of its own, is loaded exactly once, and exists
for nobody whose verdicts are clean. A finding has offsets, kinds and a keyed digest. Names that come from a body (the
members on the way to a text) or from a service outside are kept only where they are words we know, or look like ids.
"""

import re

import msgspec

from gateway.facts import ALLOWED, Exchange, FindingNote, Verdict
from guardrails.interface import RuleResult


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS = _words(
    "messages content text reasoning reasoning_content thinking refusal tool_calls function_call function name "
    "arguments input output system instructions prompt suffix choices message delta tools functions description "
    "parameters properties items enum title default examples input_schema json_schema schema response_format "
    "output_config format type query results summary annotations source data documents context metadata user "
    "partial_json response output_text output_item item part content_block function_call_arguments citations "
    "error code param logprobs whole completion"
)
"""Members of the dialects' own bodies and events. Everything else on the way to a text is `*`."""
_PART = re.compile(r"[^\[\]./{}#']+")
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,99}", re.ASCII)
MOST_PLACE = 100
"""Characters of a place."""


class FindingsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The findings log, where it is on."""

    sample: float = 1.0
    """Share of exchanges with findings that are logged, 0 to 1."""
    most: int = 50
    """Findings of one exchange; more are counted as dropped."""
    retention_days: float = 30.0


def take(x: Exchange, options: FindingsOptions) -> None:
    """Put into `x` what the log takes of it. Called once, when its verdicts are final."""
    if (x.request_verdict is ALLOWED and x.response_verdict is ALLOWED) or not drawn(x.id, options.sample):
        return
    notes: list[FindingNote] = []
    whole = 0
    for on, verdict in (("request", x.request_verdict), ("response", x.response_verdict)):
        if verdict is ALLOWED:
            continue
        results = {result.rule: result for result in verdict.results}
        whole += len(verdict.findings) + verdict.dropped
        room = options.most - len(notes)
        notes += _notes(on, verdict, results, room)
    x.findings = tuple(notes)
    x.findings_dropped = whole - len(notes)


def drawn(exchange_id: str, share: float) -> bool:
    """Whether this exchange is among `share` of all: by the random end of its id, so that all who ask agree, and a
    larger share keeps what a smaller one took."""
    if share >= 1.0:
        return True
    try:
        return int(exchange_id[-12:], 16) < share * 2**48
    except ValueError:
        return False


def place_of(path: str) -> str:
    """The kind of text surface a path leads to. `messages[2].content[0].text` is `messages[].content[].text`; a name
    that is none of the dialects' words is `*`. A stream's channel, such as `text.0`, has its name."""
    return _PART.sub(_shown, path[:1_000]).rstrip(".")[:MOST_PLACE]


def _shown(found: re.Match[str]) -> str:
    part = found.group()
    if part in _WORDS:
        return part
    return "" if part.isdecimal() else "*"


def _notes(on: str, verdict: Verdict, results: dict[str, RuleResult], room: int) -> list[FindingNote]:
    notes: list[FindingNote] = []
    for finding in verdict.findings[: max(room, 0)]:
        result = results.get(finding.policy_rule)
        notes.append(
            FindingNote(
                on,
                result.policy if result is not None else "",
                finding.policy_rule,
                finding.detector,
                _id(finding.type),
                _id(finding.rule),
                place_of(finding.path),
                _id(finding.role),
                finding.start,
                finding.end,
                round(finding.score, 4),
                _id(finding.evidence),
                result.mode if result is not None else "shadow",
                result.action if result is not None else "flag",
                finding.digest,
            )
        )
    return notes


def _id(name: str) -> str:
    """A name that may come from a service outside, if it looks like an id."""
    return name if not name or _ID.fullmatch(name) else "other"
