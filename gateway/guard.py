"""The inspect stages: a team's guardrails asked about a request and its answer, and their word carried out.

The engine judges texts (`guardrails/`); `gateway/inspection/` puts its rewrites into provider bodies and events. Here
both meet: what is blocked becomes a refusal, what cannot be read by a guardrail is refused, and verdicts go into the
notebook. Nothing here keeps or names a text.
"""

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gateway.conversation import Conversations, Talk
from gateway.dialects.outline import LONG, Outline
from gateway.dialects.segments import json_segments
from gateway.dialects.tokens import INPUTS, holds_tokens
from gateway.dialects.values import check_values
from gateway.errors import BadRequest, Blocked, GuardrailUnavailable, Refusal, UpstreamBroken
from gateway.facts import ALLOWED, Engine, Exchange, Segment, Verdict
from gateway.inspection import NotRewritable, rewrite_segments
from gateway.inspection.brought import merged
from gateway.inspection.events import EventRewriter
from gateway.inspection.rewriters import OPERATIONS, Rewriters
from gateway.inspection.told_answers import Trim, trim_of
from gateway.outside import Outside, Read, Rewrite, rewritten_answer
from gateway.pseudonyms.naming import conversation_of
from gateway.reading import outline_of
from gateway.seams import Dialect
from gateway.settings.guardrail_programs import Pseudonyms
from gateway.settings.snapshot import Snapshot
from gateway.slices import Breathe
from gateway.telemetry.logs import alert
from gateway.wire.envelopes import error_body
from gateway.world import World
from guardrails.interface import FAILURE, Direction, StreamInspector
from guardrails.vault import Vault

SHORT = 4_096
"""Bytes of a body that guardrails read on the event loop. A longer one may take longer than others should wait."""
NOTHING: Mapping[str, int] = MappingProxyType({})
NONE_DEMOTED: frozenset[str] = frozenset()
ENCODING = frozenset((b"content-encoding",))
"""The provider's fields that do not belong to a body that guardrails read,"""
WITHHELD = frozenset((b"content-encoding", b"content-type"))
"""and to one of ours in its place."""
FAILED = (FAILURE,)
"""Types of a rule that found nothing: its detector failed."""
UNREADABLE = "The guardrails of this team must read the {}, and cannot: {}."
CANNOT_READ = "guardrail_cannot_read"
NOT_JSON = "it is not JSON"
TOKENS = "it has numbers of tokens in the place of text"
TOO_LARGE = "too_large"
"""The error of a detector outside that is not asked about so much text: it would not be at the next try either."""


class Guard:
    """One exchange's guardrails: its engine, and the pseudonyms its request made."""

    __slots__ = ("_passes", "demoted", "engine", "governor", "key", "operation", "outline", "outside",
                 "pseudonyms", "slices", "talk", "vault", "x")  # fmt: skip

    def __init__(self, world: World, snapshot: Snapshot, engine: Engine, x: Exchange, operation: str) -> None:
        self.governor = world.governor
        self.demoted = NONE_DEMOTED if self.governor is None else self.governor.demoted(x.received_at)
        if snapshot.switches is not None and snapshot.guardrails is not None:
            self.demoted |= snapshot.switches.shadowed(snapshot.guardrails.rules_of, x.received_ns)
        self.engine = engine
        self.slices = world.slices
        self.x = x
        self.operation = operation
        self._passes: dict[Direction, bool] = {}
        """Whether a body that nobody can read may pass, where there was one."""
        self.key = x.caller.key_id if x.caller is not None else ""
        """What a rollout is stable by. A request's id would not do: the client chooses it."""
        self.outside: Outside | None = None
        """What detectors outside of the engine are asked; None: nothing."""
        pseudonymizes = engine.pseudonymizes
        programs = snapshot.guardrails
        if programs is not None and programs.outside_engines and x.caller is not None:
            beyond = programs.outside_engines.get(x.caller.team)
            if beyond is not None:
                self.outside = Outside(world, snapshot, programs.outside, beyond, self)
                pseudonymizes = pseudonymizes or beyond.pseudonymizes
        self.vault = Vault(os.urandom(16)) if pseudonymizes else None
        self.pseudonyms: Pseudonyms | None = None
        """Those of the team live as long as a conversation."""
        if self.vault is not None and programs is not None and x.caller is not None:
            self.pseudonyms = programs.pseudonyms.get(x.caller.team)
        self.outline: Outline | None = None
        """Of a huge body that was judged, as it may go on."""
        self.talk: Talk | None = None
        """The conversation the request belongs to."""

    async def recall(self, conversations: Conversations, header: bytes | None, body: bytes) -> None:
        """Have the pseudonyms of the conversation that the client names, if it names one. Raises `BadRequest`."""
        name = conversation_of(header, body)
        if name and self.pseudonyms is not None and self.x.caller is not None:
            talk = self.talk = Talk(conversations, self.pseudonyms, self.x.caller, name)
            await talk.recall()
            self.vault = talk.vault

    def judged(self, verdict: Verdict, direction: Direction) -> None:
        """Tell the governor what was concluded by all rules that look there."""
        if self.governor is not None:
            self.tell(verdict, self.engine.rules(direction, self.operation))

    def has_tokens(self, body: bytes) -> bool:
        """Whether a whole answer has log-probabilities of which some may have to be taken out."""
        return self._trim(body) is not None

    def request(self, dialect: Dialect, body: bytes) -> bytes:
        """The request's body as it may go on. Raises `Blocked`; the verdict is noted in any case. Raises `BadRequest`
        for one that cannot be read."""
        if self.operation in INPUTS and self.reads_requests and holds_tokens(self.operation, body):
            self._unread_request(TOKENS)
        try:
            return self._request(body, dialect.prompt_segments(body))
        except BadRequest as error:
            return self._unread(body, "request", error)

    async def long_request(self, dialect: Dialect, body: bytes, outline: Outline | None = None) -> bytes:
        """The same for a body longer than `SHORT`; `outline`: its own, if it has one."""
        has_input = self.operation in INPUTS and self.reads_requests
        skeleton = body if outline is None else outline.skeleton
        if has_input and await self.slices.run(lambda _: holds_tokens(self.operation, skeleton)):
            self._unread_request(TOKENS)
        try:
            return await self._carried_out_beside(body, dialect.prompt_segments, "request", rewrite_segments, outline)
        except BadRequest as error:
            return self._unread(body, "request", error)

    def _unread_request(self, why: str) -> None:
        """A request cannot be read as a whole. Raises `Blocked` where a rule must."""
        if not self.passes_unread("request"):
            raise Blocked(UNREADABLE.format("request", why), code=CANNOT_READ)

    def passes_unread(self, direction: Direction) -> bool:
        """Have the rules fail on a body that nobody can read, as they say: open, or closed, which keeps it back where
        one is enforced. Says whether it may pass, and notes that if so."""
        known = self._passes.get(direction)
        if known is None:
            verdicts = [
                engine.unread(direction, self.operation, "UnreadableBody", key=self.key, demoted=self.demoted)
                for engine in self._engines()
            ]
            known = self._passes[direction] = all(each.enforced != "block" for each in verdicts)
            for verdict in verdicts if known else ():
                self.note(verdict, direction)
        return known

    def passes_large(self) -> bool:
        """Whether a request that is too large to be read may pass as it comes: where no rule is enforced, which notes
        that. One that is, and open, may still say what is to become of more than it scans."""
        enforced = any(
            each.enforces("request", self.operation, key=self.key, demoted=self.demoted) for each in self._engines()
        )
        return not enforced and self.passes_unread("request")

    def _engines(self) -> list[Engine]:
        """Everyone whose rules may keep a body back: our own, and that of the detectors outside."""
        return [self.engine] if self.outside is None else [self.engine, self.outside.engine]

    def _unread(self, body: bytes, direction: Direction, error: Refusal) -> bytes:
        """The body that could not be read, because of `error`, if it may pass. Raises `error` otherwise, and what was
        concluded of a body that was."""
        if isinstance(error, Blocked) or not self.passes_unread(direction):
            raise error
        return body

    async def opaque_request(self, body: bytes, is_json: bool) -> bytes:
        """The same for an operation that is passed through: a JSON body is read, any other cannot be."""
        if not body or not self.reads_requests:
            return body
        if not is_json:
            self._unread_request(NOT_JSON)
            return body
        try:
            if len(body) <= SHORT:
                return self._request(body, json_segments(body))
            return await self._carried_out_beside(body, json_segments, "request", rewrite_segments)
        except BadRequest as error:
            return self._unread(body, "request", error)

    @property
    def reads_requests(self) -> bool:
        """Whether a request must be had whole and decoded."""
        if self.engine.inspects("request", self.operation):
            return True
        return self.outside is not None and self.outside.asks("request")

    def answer(self, dialect: Dialect, body: bytes) -> bytes:
        """A whole answer's body as it may go on. Raises `Blocked`, and `UpstreamBroken` for one that is not JSON: see
        `passes_unread`."""
        return self._answer(body, dialect.answer_segments(body), self._trim(body))

    async def long_answer(self, dialect: Dialect, body: bytes) -> bytes:
        """The same for a body longer than `SHORT`."""
        trim = self._trim(body)
        rewrite = rewritten_answer if trim is None else rewrite_segments
        return await self._carried_out_beside(body, dialect.answer_segments, "response", rewrite, trim=trim)

    def _trim(self, body: bytes) -> Trim | None:
        return trim_of(body, self._inspector, None if self.outside is None else self.outside.inspector)

    def _inspector(self) -> StreamInspector | None:
        vault = None if self.outside is not None and self.outside.restores else self.vault
        return self.engine.stream(self.operation, key=self.key, vault=vault, demoted=self.demoted)

    async def opaque_answer(self, body: bytes) -> bytes:
        """The same for an answer in JSON of an operation that is passed through. Raises `UpstreamBroken` for one that
        cannot be read, where a rule must."""
        try:
            return await self._any_answer(body)
        except Blocked:
            raise
        except BadRequest:
            if self.passes_unread("response"):
                return body
            raise UpstreamBroken("The provider's answer cannot be read as JSON.") from None

    async def refused(self, body: bytes | None) -> bytes | None:
        """The body of an error answer as it may go on: it may quote the prompt. None: it is blocked, or cannot be read
        (`body` None: not even decoded); whether it may go on as it came, `passes_unread` says."""
        try:
            if body is None:
                raise UpstreamBroken(UNREADABLE.format("answer", NOT_JSON))
            body = await self._any_answer(body)
            return body if self.outside is None else await self.outside.answer(body, _anything)
        except (Blocked, GuardrailUnavailable):
            self._passes["response"] = False
            return None
        except (BadRequest, UpstreamBroken):
            return None

    def _answer(self, body: bytes, segments: list[Segment], trim: Trim | None = None) -> bytes:
        if trim is None:
            return self._carried_out(body, segments, "response", rewritten_answer)
        return self._carried_out(trim(body, segments), segments, "response", rewrite_segments)

    async def _any_answer(self, body: bytes) -> bytes:
        if len(body) <= SHORT:
            return self._answer(body, _anything(body))
        return await self._carried_out_beside(body, _anything, "response", rewritten_answer)

    def stream(self, rewriters: Rewriters) -> EventRewriter | None:
        """What rewrites a streamed answer; None: nothing looks at it."""
        if self.operation not in OPERATIONS:
            return None
        inspector = self._inspector()
        return None if inspector is None else rewriters.open(self.operation, inspector)

    @property
    def reads_answers(self) -> bool:
        """Whether answers must be had whole and decoded."""
        if self.engine.inspects("response", self.operation) or self.vault:
            return True
        return self.outside is not None and self.outside.asks("response")

    def tell(self, verdict: Verdict, rules: Sequence[tuple[str, str]], took: Mapping[str, int] = NOTHING) -> None:
        """Tell the governor what these rules (ids and detectors) found and how long it took (`took`: nanoseconds by
        detector, beside the verdict's own); rules beyond their bounds go to shadow."""
        governor = self.governor
        if governor is None:
            return
        spent = {**dict(verdict.spent), **took}
        matched = {result.rule for result in verdict.results}
        for rule, detector in rules:
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
        return self._carried_out(body, segments, "request", rewrite_segments)

    def _carried_out(self, body: bytes, segments: list[Segment], direction: Direction, rewrite: Rewrite) -> bytes:
        """Ask the engine, and give the body as it may go on, rewritten by `rewrite`."""
        return self._concluded(self._asked(segments, direction), body, direction, rewrite)

    async def _carried_out_beside(
        self,
        body: bytes,
        read: Read,
        direction: Direction,
        rewrite: Rewrite,
        outline: Outline | None = None,
        trim: Trim | None = None,
    ) -> bytes:
        """The same for a long body: read, judged and rewritten in slices beside the event loop, without the insides of
        its long strings where that can be. `outline`: what is known of them."""

        def work(breathe: Breathe) -> tuple[Verdict, bytes | NotRewritable, Outline | None]:
            known = outline
            if known is None and len(body) > LONG:
                known = outline_of(body, breathe, loose=direction == "response")
            source = body if known is None else known.skeleton
            if direction == "request":
                check_values(source, breathe)
            segments = read(source)
            breathe()
            texts = segments if known is None else known.texts(segments, breathe)
            verdict = self._asked(texts, direction, breathe)
            kept = source if trim is None else trim(source, texts)
            if not verdict.rewrites and kept is source:
                return verdict, body, known
            breathe()
            try:
                written = rewrite(kept, verdict.rewrites)
            except NotRewritable as error:
                return verdict, error, None
            if known is not None:
                breathe()
                written = known.filled(written)
            goes_on = direction == "request" and len(written) > LONG
            return verdict, written, outline_of(written, breathe) if goes_on else None

        verdict, written, self.outline = await self.slices.run(work)

        def done(_: bytes, __: Sequence[Segment]) -> bytes:
            if isinstance(written, NotRewritable):
                raise written
            return written

        return self._concluded(verdict, body, direction, done)

    def _asked(self, segments: list[Segment], direction: Direction, breathe: Breathe | None = None) -> Verdict:
        vault = self.vault
        if direction == "response" and self.outside is not None and self.outside.restores:
            vault = None
        return self.engine.inspect(
            segments, direction, self.operation, key=self.key, vault=vault, demoted=self.demoted, breathe=breathe
        )

    def _concluded(self, verdict: Verdict, body: bytes, direction: Direction, rewrite: Rewrite) -> bytes:
        self.judged(verdict, direction)
        if verdict is ALLOWED:
            return rewrite(body, ())
        return self.carry_out(verdict, verdict.rewrites, body, direction, rewrite)

    def carry_out(
        self,
        verdict: Verdict,
        rewrites: Sequence[Segment],
        body: bytes,
        direction: Direction,
        rewrite: Rewrite,
        said: str = "",
    ) -> bytes:
        """Note a verdict, beside what was concluded before, and give the body as it may go on. `said`: what a service
        has the client told when it blocks. Raises `Blocked`, or `GuardrailUnavailable` where a detector failed."""
        self.note(verdict, direction)
        what = "request" if direction == "request" else "answer"
        if verdict.enforced == "block":
            raise blocked(verdict, what, said)
        try:
            return rewrite(body, rewrites)
        except NotRewritable:
            raise Blocked(UNREADABLE.format(what, "a part that must be masked cannot be")) from None

    def streamed(self, verdict: Verdict) -> None:
        """A streamed answer was judged."""
        self.note(verdict, "response")
        self.judged(verdict, "response")

    def note(self, verdict: Verdict, direction: Direction) -> None:
        """Put a verdict into the notebook, beside what was concluded before."""
        if direction == "request":
            self.x.request_verdict = merged(self.x.request_verdict, verdict)
        else:
            self.x.response_verdict = merged(self.x.response_verdict, verdict)


def _anything(body: bytes) -> list[Segment]:
    """The texts of an answer in JSON of which no more is known. Raises `BadRequest`."""
    return json_segments(body, role="assistant")


def blocked(verdict: Verdict, what: str, said: str = "") -> Refusal:
    """The refusal of a blocked text: the rule's own words, a service's (`said`), or ours with the names of rules, never
    with a value. Of one that could not be judged another, which tells clients to try again if that may help."""
    if verdict.failed:
        if {failure.error for failure in verdict.failures if failure.closed} == {TOO_LARGE}:
            return Blocked(UNREADABLE.format(what, "it is longer than one of them takes"), code=CANNOT_READ)
        return GuardrailUnavailable(
            f"The {what} could not be judged by this team's guardrails, and is not passed on without them."
        )
    refusal = _refusal(verdict, what, said)
    refusal.answer = verdict.answer
    return refusal


def _refusal(verdict: Verdict, what: str, said: str) -> Blocked:
    if verdict.message or said:
        return Blocked(verdict.message or said)
    rules = [
        f"{each.rule}: {'+'.join(each.types[:3])}"
        for each in verdict.results
        if each.mode == "enforce" and each.action == "block" and each.types != FAILED
    ]
    named = f" (rule {', '.join(rules[:3])})" if rules else ""
    return Blocked(f"The {what} was blocked by this team's guardrails{named}.")


def withheld(x: Exchange, status: int) -> bytes:
    """The envelope in the place of an error answer that must not be shown."""
    said = (
        f"The provider '{x.provider}' refused the request with status {status}. This team's guardrails keep back what "
    )
    kind = BadRequest if status < 500 else UpstreamBroken
    refusal = kind(f"{said}it said, or cannot read it.", code="provider_error_withheld")
    return error_body(refusal, x.operation.wire if x.operation is not None else "openai", x.request_id)


def header_of(x: Exchange) -> bytes:
    """The value of `x-tollway-guardrails`: what found something and what was done, as `direction=action:TYPE+TYPE`,
    without any text; empty: nothing did."""
    if x.request_verdict is ALLOWED and x.response_verdict is ALLOWED:
        return b""
    told: list[str] = []
    for direction, verdict in (("request", x.request_verdict), ("response", x.response_verdict)):
        for result in verdict.results:
            if result.mode != "shadow":
                done = result.action if result.mode == "enforce" else f"warn-{result.action}"
                told.append(f"{direction}={done}:{'+'.join(result.types)}")
    return ", ".join(told[:16]).encode("ascii", "replace")
