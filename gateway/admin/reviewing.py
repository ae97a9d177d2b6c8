"""Reviewing what guardrails found, for the admin API, the console and the command line alike."""

import msgspec
from sqlalchemy import Engine

from gateway.admin.review_shapes import (
    DirectionVerdict,
    FindingView,
    JudgedExchange,
    Marked,
    MarkValue,
    Reasons,
    ReviewQueue,
    RulePrecision,
    ValueView,
)
from gateway.admin.shapes import iso, iso_or_none
from gateway.errors import BadRequest, LedgerError, NotFound
from gateway.ledger.exchanges import ExchangeView, called
from gateway.ledger.periods import moment_ns
from gateway.ledger.reviews import (
    FILTERS,
    STATES,
    Effect,
    FoundValue,
    Precision,
    effects,
    found_in,
    judged,
    mark,
    precision,
    queue,
)
from gateway.seams import Clock
from gateway.settings.guardrail_checks import default_id
from gateway.settings.load import Written
from gateway.settings.schema_guardrails import AllowSection
from guardrails.evaluation import wilson

SINCE = "7d"
MOST = 50
"""Values in one answer."""
MOST_NAMESAKES = 10
"""Exchanges of one request id in one answer."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which values are asked for."""

    since: str = SINCE
    state: str = "open"
    filters: dict[str, str] = {}
    most: int = MOST
    skip: int = 0


class Reviewing:
    """The findings log of one ledger, beside one written configuration. Methods block, and raise `LedgerError` when
    the database is away."""

    def __init__(self, engine: Engine, written: Written, clock: Clock, actor: str) -> None:
        self._engine = engine
        self._written = written
        self._clock = clock
        self._actor = actor

    def queue(self, asked: Asked) -> ReviewQueue:
        """Raises `BadRequest` saying what is allowed."""
        since_ns = since_of(asked, self._clock.now_ns())
        values = queue(self._engine, since_ns, asked.state, asked.filters, asked.most + 1, asked.skip)
        ledger = self._written.ledger
        options = None if ledger is None else ledger.findings
        return ReviewQueue(
            since=iso(since_ns),
            state=asked.state,
            logging=options is not None,
            sample=0.0 if options is None else options.sample,
            values=[view(each) for each in values[: asked.most]],
            more=len(values) > asked.most,
            rules=self._rules(since_ns, asked.filters.get("rule", "")),
        )

    def why(self, request_id: str, since: str) -> Reasons:
        """What guardrails did with the exchanges of a request id, or the exchange of this id. Raises `BadRequest` and
        `NotFound`."""
        asked = Asked(since=since, state="all")
        since_ns = since_of(asked, self._clock.now_ns())
        found = called(self._engine, request_id, since_ns, MOST_NAMESAKES + 1)
        if not found:
            raise NotFound(
                f"The ledger has no exchange of the request id '{request_id[:128]}' since {iso(since_ns)}; it takes a "
                "second or two until it has one.",
                code="unknown_request",
            )
        ledger = self._written.ledger
        return Reasons(
            request_id=request_id,
            since=iso(since_ns),
            logging=ledger is not None and ledger.findings is not None,
            exchanges=[self._judged(each) for each in found[:MOST_NAMESAKES]],
            more=len(found) > MOST_NAMESAKES,
        )

    def _judged(self, x: ExchangeView) -> JudgedExchange:
        verdicts = [
            DirectionVerdict(
                direction=each.on,
                enforced=each.enforced,
                action=each.action,
                rules=list(each.rules),
                types=list(each.types),
                failed=list(each.failed),
            )
            for each in x.guardrails
        ]
        return JudgedExchange(
            exchange=x.id,
            received=iso(x.received_ns),
            team=x.team,
            key=x.key_id,
            operation=x.operation,
            model=x.asked,
            outcome=x.outcome,
            status=x.status,
            verdicts=verdicts,
            findings=[msgspec.convert(row, FindingView) for row in found_in(self._engine, x.id)],
        )

    def effects(self, since_ns: int, team: str = "") -> list[Effect]:
        """What each rule did, or would have, by the mode it was in."""
        return effects(self._engine, since_ns, team)

    def mark(self, asked: MarkValue) -> Marked:
        """Raises `NotFound` when this rule has found nothing of this digest."""
        try:
            mark(
                self._engine,
                rule=asked.rule,
                digest=asked.digest,
                verdict=asked.verdict,
                at_ns=self._clock.now_ns(),
                actor=self._actor,
            )
        except LedgerError as error:
            if "has no value" in str(error):
                raise NotFound(f"{str(error)[0].upper()}{str(error)[1:]}.", code="unknown_value") from None
            raise
        lines = allow_lines(self._engine, self._written)
        return Marked(rule=asked.rule, digest=asked.digest, verdict=asked.verdict, allow=lines.get(asked.rule, ""))

    def _rules(self, since_ns: int, only: str) -> list[RulePrecision]:
        """Of one rule, or (empty) of all."""
        lines = allow_lines(self._engine, self._written)
        counts = [each for each in precision(self._engine, since_ns) if only in ("", each.rule)]
        return [_precision(each, lines.get(each.rule, "")) for each in counts]


def since_of(asked: Asked, now_ns: int) -> int:
    """The time that is asked for. Raises `BadRequest` for anything in `asked` that cannot be."""
    if asked.state not in STATES:
        raise BadRequest(f"state: allowed are {', '.join(STATES)}.", param="state")
    for name in asked.filters:
        if name not in FILTERS:
            raise BadRequest(f"There is no filter '{name[:40]}'; allowed are {', '.join(FILTERS)}.", param="filter")
    try:
        return moment_ns(asked.since, now_ns)
    except LedgerError as error:
        raise BadRequest(f"since: {error}.", param="since") from None


def allow_lines(engine: Engine, written: Written) -> dict[str, str]:
    """By id of a configured rule with a false positive that it does not allow yet: the line that allows all of them,
    and what it allows by digest already. Blocks. Raises `LedgerError`."""
    false: dict[str, list[str]] = {}
    for review in judged(engine, "false_positive"):
        false.setdefault(review.rule, []).append(review.digest)
    allows = _allows(written)
    lines: dict[str, str] = {}
    for rule, digests in false.items():
        section = allows.get(rule)
        if section is not None and set(digests) - set(section.digests):
            lines[rule] = allow_line(section, digests)
    return lines


def allow_line(section: AllowSection, digests: list[str]) -> str:
    """YAML for a rule's `allow:`. Values and patterns that stand there are people's text: they are left to be kept."""
    listed = ", ".join(f'"{digest}"' for digest in dict.fromkeys([*section.digests, *digests]))
    if section.values or section.patterns:
        return f"digests: [{listed}]  # inside allow:, beside what stands there"
    return f"allow: {{digests: [{listed}]}}"


def view(value: FoundValue) -> ValueView:
    """A value as it is shown."""
    shown = {
        "verdict": value.verdict or "open",
        "first_seen": iso(value.first_ns),
        "last_seen": iso(value.last_ns),
        "reviewed_at": iso_or_none(value.reviewed_ns),
    }
    return msgspec.convert({**msgspec.structs.asdict(value), **shown}, ValueView)


def _precision(counts: Precision, line: str) -> RulePrecision:
    whole = counts.true_values + counts.false_values
    interval = wilson(counts.true_values, whole)
    shown = {
        "precision": counts.true_values / whole if whole else None,
        "interval": None if interval is None else list(interval),
        "allow": line,
    }
    return msgspec.convert({**msgspec.structs.asdict(counts), **shown}, RulePrecision)


def _allows(written: Written) -> dict[str, AllowSection]:
    """The allow-list of every configured rule, by its id."""
    found: dict[str, AllowSection] = {}
    for policy, rules in written.root.guardrails.items():
        numbers: dict[str, int] = {}
        for rule in rules:
            number = numbers[rule.detect] = numbers.get(rule.detect, 0) + 1
            found[rule.id or default_id(policy, rule.detect, number)] = rule.allow
    return found
