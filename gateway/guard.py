"""The inspect stages: a team's guardrails asked about a request and its answer, and their word carried out.

The engine judges texts (`guardrails/`); `gateway/inspection/` puts its rewrites into provider bodies and events. Here
both meet: what is blocked becomes a refusal, what cannot be read by a guardrail is refused, and verdicts go into the
notebook. Nothing here keeps or names a text.
"""

import os
from collections.abc import Callable, Sequence

from gateway.dialects.segments import json_segments
from gateway.errors import BadRequest, Blocked, Refusal, UpstreamBroken
from gateway.facts import ALLOWED, Engine, Exchange, Segment, Verdict
from gateway.inspection import NotRewritable, rewrite_answer, rewrite_segments
from gateway.inspection.events import EventRewriter
from gateway.inspection.rewriters import OPERATIONS, Rewriters
from gateway.seams import Dialect
from gateway.settings.snapshot import Snapshot
from gateway.telemetry.logs import alert
from gateway.world import World
from guardrails.interface import Direction
from guardrails.vault import Vault

UNREADABLE = "The guardrails of this team must read the {}, and cannot: {}."


class Guard:
    """One exchange's guardrails: its engine, and the pseudonyms its request made."""

    __slots__ = ("demoted", "engine", "governor", "key", "operation", "vault", "x")

    def __init__(self, world: World, snapshot: Snapshot, engine: Engine, x: Exchange, operation: str) -> None:
        self.governor = world.governor_of(snapshot)
        self.demoted = frozenset[str]() if self.governor is None else self.governor.demoted(x.received_at)
        if snapshot.switches is not None and snapshot.guardrails is not None:
            self.demoted |= snapshot.switches.shadowed(snapshot.guardrails.rules_of, x.received_ns)
        self.engine = engine
        self.x = x
        self.operation = operation
        self.key = x.caller.key_id if x.caller is not None else ""
        """What a rollout is stable by. A request's id would not do: the client chooses it."""
        self.vault = Vault(os.urandom(16)) if engine.pseudonymizes else None

    def request(self, dialect: Dialect, body: bytes) -> bytes:
        """The request's body as it may go on. Raises `Blocked`; the verdict is noted in any case."""
        if not self.engine.inspects("request", self.operation):
            return body
        return self._request(body, dialect.prompt_segments(body))

    def opaque_request(self, body: bytes, is_json: bool) -> bytes:
        """The same for an operation that is passed through: a JSON body is read, any other cannot be."""
        if not body or not self.engine.inspects("request", self.operation):
            return body
        if not is_json:
            raise Blocked(UNREADABLE.format("request", "it is not JSON"), code="guardrail_cannot_read")
        return self._request(body, json_segments(body))

    def answer(self, dialect: Dialect, body: bytes) -> bytes:
        """A whole answer's body as it may go on. Raises `Blocked`, and `UpstreamBroken` for one that is not JSON."""
        return self._answer(body, dialect.answer_segments(body)) if self.reads_answers else body

    def opaque_answer(self, body: bytes) -> bytes:
        """The same for an answer in JSON of an operation that is passed through."""
        try:
            return self._answer(body, json_segments(body, role="assistant"))
        except BadRequest:
            raise UpstreamBroken("The provider's answer cannot be read as JSON.") from None

    def _answer(self, body: bytes, segments: list[Segment]) -> bytes:
        return self._carried_out(body, segments, "response", "answer", _rewritten_answer)

    def stream(self, rewriters: Rewriters) -> EventRewriter | None:
        """What rewrites a streamed answer; None: nothing looks at it."""
        if self.operation not in OPERATIONS:
            return None
        inspector = self.engine.stream(self.operation, key=self.key, vault=self.vault, demoted=self.demoted)
        return None if inspector is None else rewriters.open(self.operation, inspector)

    @property
    def reads_answers(self) -> bool:
        """Whether answers must be had whole and decoded."""
        return self.engine.inspects("response", self.operation) or bool(self.vault)

    def tell(self, direction: Direction, verdict: Verdict) -> None:
        """Tell the governor what was found and how long it took; rules beyond their bounds go to shadow."""
        governor = self.governor
        if governor is None:
            return
        spent = dict(verdict.spent)
        matched = {result.rule for result in verdict.results}
        for rule, detector in self.engine.rules(direction, self.operation):
            demotion = governor.tell(rule, rule in matched, spent.get(detector, 0) / 1000, self.x.received_at)
            if demotion is not None:
                alert(
                    "guardrail_demoted",
                    rule=rule,
                    reason=demotion.reason,
                    value=round(demotion.value, 4),
                    bound=demotion.bound,
                )

    def _request(self, body: bytes, segments: list[Segment]) -> bytes:
        return self._carried_out(body, segments, "request", "request", rewrite_segments)

    def _carried_out(
        self,
        body: bytes,
        segments: list[Segment],
        direction: Direction,
        what: str,
        rewrite: Callable[[bytes, Sequence[Segment]], bytes],
    ) -> bytes:
        """Ask the engine, note its verdict, and give the body as it may go on, rewritten by `rewrite`; `what` it is
        called in refusals."""
        verdict = self.engine.inspect(
            segments, direction, self.operation, key=self.key, vault=self.vault, demoted=self.demoted
        )
        self.tell(direction, verdict)
        if verdict is ALLOWED:
            return body
        if direction == "request":
            self.x.request_verdict = verdict
        else:
            self.x.response_verdict = verdict
        if verdict.enforced == "block":
            raise _blocked(verdict, what)
        if not verdict.rewrites:
            return body
        try:
            return rewrite(body, verdict.rewrites)
        except NotRewritable:
            raise Blocked(UNREADABLE.format(what, "a part that must be masked cannot be")) from None


def _rewritten_answer(body: bytes, rewrites: Sequence[Segment]) -> bytes:
    return rewrite_answer(body, rewrites).body


def _blocked(verdict: Verdict, what: str) -> Refusal:
    """The refusal of a blocked text: the rule's own words, or ours with the names of rules, never with a value."""
    if verdict.message:
        return Blocked(verdict.message)
    rules = [result.rule for result in verdict.results if result.mode == "enforce" and result.action == "block"]
    if not rules and any(failure.closed for failure in verdict.failures):
        return Blocked(f"The {what} could not be judged by this team's guardrails, and is not passed on without them.")
    named = f" (rule {', '.join(rules[:3])})" if rules else ""
    return Blocked(f"The {what} was blocked by this team's guardrails{named}.")


def unread_answer(provider: str, why: str) -> UpstreamBroken:
    """The refusal of an answer no guardrail could read."""
    return UpstreamBroken(f"The answer of the provider '{provider}' cannot be read by this team's guardrails: {why}.")


def header_of(x: Exchange) -> bytes:
    """The value of `x-tollway-guardrails`: what found something and what was done, as `direction=action:TYPE+TYPE`,
    without any text; empty: nothing did."""
    told: list[str] = []
    for direction, verdict in (("request", x.request_verdict), ("response", x.response_verdict)):
        for result in verdict.results:
            if result.mode != "shadow":
                done = result.action if result.mode == "enforce" else f"warn-{result.action}"
                told.append(f"{direction}={done}:{'+'.join(result.types)}")
    return ", ".join(told[:16]).encode("ascii", "replace")
