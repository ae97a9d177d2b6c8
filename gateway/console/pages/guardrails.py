"""Guardrails: what the rules found and did, what waits for a judgement (`findings.py`), a box to try a text in."""

import msgspec
from starlette.responses import Response

from gateway.console.figures import Figures, figures_of
from gateway.console.pages import findings
from gateway.console.visit import Visit
from gateway.errors import BadRequest, Overloaded
from gateway.settings.guardrail_programs import GuardrailPrograms
from gateway.settings.schema_guardrails import ROLES
from guardrails.explain import SPOKEN, Explained, explain

MOST = 20_000
"""Characters of a text to try: it is inspected on the event loop, as requests are."""
DIRECTIONS = ("request", "response")


class RuleLine(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of a policy as it is written, and what it did since the workers began."""

    policy: str
    rule: str
    detector: str
    action: str
    mode: str
    directions: list[str]
    exchanges: int
    """In which it found something."""
    enforced: int
    """In which it was in force: acted."""
    shadow: int
    """In which it would have acted (shadow and warn)."""
    findings: int
    demoted: int
    """Workers in which it only watches, because it was beyond its bounds."""


class Try(msgspec.Struct, frozen=True):
    """A text that was tried."""

    text: str
    policy: str
    direction: str
    role: str
    enforced: str
    """What would be done."""
    action: str
    """What would be, were every rule enforced."""
    passes: str | None
    """The text as it would pass on; None: it would not."""
    matches: list[tuple[Explained, str, str]]
    """With what was matched, and what became of it in words."""
    marked: list[tuple[str, bool]]
    """The text in pieces: matched or not."""
    failures: list[str]


async def show(visit: Visit) -> Response:
    return await visit.page("guardrails.html", await _context(visit, None))


async def try_text(visit: Visit) -> Response:
    """As `tollway guardrails test`, by the configuration in force. Nothing is stored, counted or logged."""
    fields = await visit.form()
    programs = visit.world.configuration.snapshot.guardrails
    if programs is None:
        raise BadRequest("This configuration has no guardrails to try.")
    return await visit.page("guardrails.html", await _context(visit, _tried(programs, fields)))


def _tried(programs: GuardrailPrograms, fields: dict[str, str]) -> Try:
    text, policy = fields.get("text", ""), fields.get("policy", "")
    direction, role = fields.get("direction", "request"), fields.get("role", "user")
    if policy not in programs.policies:
        raise BadRequest(f"policy: allowed are {', '.join(programs.policies)}.", param="policy")
    if direction not in DIRECTIONS:
        raise BadRequest(f"direction: allowed are {', '.join(DIRECTIONS)}.", param="direction")
    if role not in ROLES:
        raise BadRequest(f"role: allowed are {', '.join(ROLES)}.", param="role")
    if not text or len(text) > MOST:
        raise BadRequest(f"text: allowed are 1 to {MOST} characters.", param="text")
    engine = programs.engine(policy)
    found = explain(engine, text, direction, role=role, operation="chat.completions")
    telling = [match for match in found.matches if _telling(match)]
    verdict = found.verdict
    return Try(
        text,
        policy,
        direction,
        role,
        verdict.enforced,
        verdict.action,
        found.text,
        [(match, text[match.start : match.end], SPOKEN[match.outcome]) for match in telling],
        marked(text, [(m.start, m.end) for m in telling if m.outcome in ("acted", "recorded")]),
        [f"{failure.detector}: {failure.error}" for failure in verdict.failures],
    )


def _telling(match: Explained) -> bool:
    """As the command: what is far from being a finding is left out."""
    if match.outcome == "below_threshold":
        return 2 * match.score >= match.threshold
    return match.outcome != "other_type"


def marked(text: str, spans: list[tuple[int, int]]) -> list[tuple[str, bool]]:
    """The text in pieces, those within any span marked; joined they are the text."""
    pieces: list[tuple[str, bool]] = []
    at = 0
    for start, end in sorted(spans):
        start = max(start, at)
        if end <= start:
            continue
        if start > at:
            pieces.append((text[at:start], False))
        pieces.append((text[start:end], True))
        at = end
    if at < len(text):
        pieces.append((text[at:], False))
    return pieces


async def _context(visit: Visit, tried: Try | None) -> dict[str, object]:
    snapshot = visit.world.configuration.snapshot
    programs = snapshot.guardrails
    try:
        figures = await figures_of(visit.world.metrics)
    except OSError as error:
        raise Overloaded(f"The other workers' figures cannot be read now: {error.strerror}.") from error
    return {
        "rules": [] if programs is None else _rules(programs, figures),
        "policies": [] if programs is None else list(programs.policies),
        "counted": bool(figures),
        "failures": [
            (labels["detector"], labels["outcome"], int(value))
            for labels, value in figures.of("tollway_guardrail_failures_total")
        ],
        "roles": ROLES,
        "directions": DIRECTIONS,
        "tried": tried,
        "most": MOST,
        "review": await findings.review_of(visit),
        "ranges": findings.SINCE,
        "states": findings.WORDS,
        "verdicts": findings.VERDICTS,
    }


def _rules(programs: GuardrailPrograms, figures: Figures) -> list[RuleLine]:
    found: list[RuleLine] = []
    for name, policy in programs.policies.items():
        for rule in policy.rules:
            counts = figures.by("mode", "tollway_guardrail_matches_total", rule=rule.id)
            enforced = int(counts.get("enforce", 0))
            found.append(
                RuleLine(
                    policy=name,
                    rule=rule.id,
                    detector=rule.detector.removesuffix(f":{rule.id}"),
                    action=rule.action,
                    mode=rule.mode,
                    directions=sorted(rule.on),
                    exchanges=int(sum(counts.values())),
                    enforced=enforced,
                    shadow=int(sum(counts.values())) - enforced,
                    findings=int(figures.sum("tollway_guardrail_findings_total", rule=rule.id)),
                    demoted=int(figures.sum("tollway_guardrail_demoted", rule=rule.id)),
                )
            )
    return found
