"""What detectors outside of the engine are asked about one exchange, when it waits for them, and what comes of it.

They look at what the rules in process left, so a value that is masked there never leaves the house. Their findings go
through an engine of their own, which knows the same actions, modes, rollouts and allow-lists; each detector's rules are
judged once, when its report is there.

    before       the request waits
    alongside    the model works meanwhile; nothing of the answer leaves before `verdict()`
    answers      whole, before they leave; streams are held or pass (`gateway/held.py`)
    in shadow    nobody waits: the verdict is noted when it comes, and the exchange is booked then

Nothing here keeps or names a text beyond the exchange.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec

from gateway.detectors import DetectorSet
from gateway.errors import BadRequest, UnreadableAnswer, UpstreamBroken
from gateway.facts import Exchange, Operation, Segment, Usage, Verdict
from gateway.inspection import rewrite_answer, rewrite_segments
from gateway.inspection.brought import Pieces, given
from gateway.inspection.check import Check
from gateway.inspection.external.config import ExternalConfig
from gateway.inspection.external.shape import Context
from gateway.inspection.held import Collected, Replaced
from gateway.inspection.report import Report, Spent
from gateway.inspection.rewriters import OPERATIONS
from gateway.judges import json_schema, prompt_leak, silences, streamed_silence, system_prompt, thoughts
from gateway.operations import JUDGEMENT
from gateway.seams import Dialect
from gateway.settings.outside_rules import LeakConfig, OutsideRules, SchemaConfig
from gateway.settings.snapshot import Snapshot
from gateway.settle import cost_of
from gateway.wire.sse import SseParser
from gateway.wording import said_of, worded
from gateway.world import World
from guardrails.engine import PolicyEngine
from guardrails.governor import Governor
from guardrails.interface import Direction
from guardrails.stream import PolicyStream
from guardrails.vault import Vault

Rewrite = Callable[[bytes, Sequence[Segment]], bytes]
"""Puts other texts into a body."""
Read = Callable[[bytes], list[Segment]]
"""The text surfaces of a body."""
_QUICK = 20_000
"""Characters that a judge in process is done with in some milliseconds."""
_CONVERSATION = ("messages", "input", "prompt")


class Carrier(Protocol):
    """The guard of the exchange, as far as it is needed here."""

    x: Exchange
    governor: Governor | None
    key: str
    operation: str
    demoted: frozenset[str]
    vault: Vault | None

    def tell(self, verdict: Verdict, rules: Sequence[tuple[str, str]], took: Mapping[str, int] = ...) -> None: ...

    def note(self, verdict: Verdict, direction: Direction) -> None: ...

    def passes_unread(self, direction: Direction) -> bool: ...

    def carry_out(
        self,
        verdict: Verdict,
        rewrites: Sequence[Segment],
        body: bytes,
        direction: Direction,
        rewrite: Rewrite,
        said: str = ...,
    ) -> bytes: ...


class Question(msgspec.Struct):
    """What one detector is asked in one direction: what all rules of it that are in force there want."""

    waits: bool = False
    holds: bool = False
    loud: bool = False
    roles: set[str] | None = msgspec.field(default_factory=set[str])
    """None: everybody's texts."""


class Round(msgspec.Struct):
    """Detectors that were asked together about one body."""

    pieces: Pieces
    asked: dict[str, list[int]]
    """By detector, which of the pieces it was asked about."""
    checks: dict[str, Check]
    reports: dict[str, Report]
    direction: Direction


class Outside:
    """One exchange's."""

    __slots__ = ("_dialect", "_guard", "_later", "_leased", "_questions", "_quiet", "_rules", "_sent", "_snapshot",
                 "_thoughts", "_world", "engine")  # fmt: skip

    def __init__(
        self, world: World, snapshot: Snapshot, rules: OutsideRules, engine: PolicyEngine, guard: Carrier
    ) -> None:
        """`engine`: of the outside rules of the caller's team."""
        self.engine = engine
        self._world = world
        self._snapshot = snapshot
        self._rules = rules
        self._guard = guard
        self._questions: dict[Direction, dict[str, Question]] = {}
        self._leased: DetectorSet | None = None
        self._later: Round | None = None
        self._quiet: list[Round] = []
        self._dialect: Dialect | None = None
        self._sent = b""
        self._thoughts: tuple[str, ...] = ()

    def inspector(self) -> PolicyStream | None:
        """The rules as those of a stream, which asks nobody; None: there are none."""
        return self.engine.stream(self._guard.operation, key=self._guard.key, demoted=self._guard.demoted)

    def asks(self, direction: Direction) -> bool:
        """Whether anybody is asked about texts of this direction."""
        return bool(self._asked(direction))

    @property
    def restores(self) -> bool:
        """Pseudonyms are put back here, after an answer was judged, and not by the rules in process."""
        return any(each.loud for each in self._asked("response").values())

    @property
    def holds(self) -> bool:
        """Whether a streamed answer must be held back until it was judged."""
        return self._guard.operation in OPERATIONS and any(each.holds for each in self._asked("response").values())

    @property
    def pending(self) -> bool:
        """Verdicts of rules that only measure are still to come: see `finish`."""
        return bool(self._quiet)

    async def request(self, body: bytes, read: Read, dialect: Dialect | None = None) -> bytes:
        """The request's body as it may go on, after those who are to be waited for have reported; the others are
        asked meanwhile. Raises `Blocked`."""
        questions = self._asked("request")
        if questions:
            waiting = {name: each for name, each in questions.items() if each.waits}
            if waiting:
                began = await self._begin(await self._texts(body, read, "request"), waiting, "request")
                body = await self._concluded(began, body, rewrite_segments)
            later = {name: each for name, each in questions.items() if each.loud and not each.waits}
            if later:
                self._later = await self._begin(await self._texts(body, read, "request"), later, "request")
            await self._measure(questions, body, read, "request")
        self._dialect, self._sent = dialect, body
        return body

    async def verdict(self) -> None:
        """Returns when everything that is waited for and was asked about the request is known. Raises `Blocked`."""
        if self._later is not None:
            await self._concluded(self._later, b"", _unchanged)
            self._later = None

    async def answer(self, body: bytes, read: Read) -> bytes:
        """A whole answer's body as it may go on. Raises `Blocked`."""
        questions = self._asked("response")
        if not questions:
            return body
        await self._measure(questions, body, read, "response")
        acting = {name: each for name, each in questions.items() if each.loud}
        if not acting:
            return body
        began = await self._begin(await self._texts(body, read, "response"), acting, "response")
        return await self._concluded(began, body, rewritten_answer)

    async def stream(self, events: bytes) -> bytes:
        """The events of a whole stream as they may leave. Raises `Blocked`, and `UnreadableAnswer` for events that
        cannot be judged, where a rule says so."""
        parser = SseParser(max(len(events), 1) + 1)
        parsed = [*parser.feed(events), *parser.close()]
        collected = Collected()
        reader = self._world.rewriters.open(self._guard.operation, collected)
        for event in parsed:
            reader.event(event)
        reader.end()
        if reader.unread:
            self._unread(reader.unread)
        questions = {name: each for name, each in self._asked("response").items() if each.holds}
        texts = collected.segments
        if self._wants_json(questions):
            texts += _silent(streamed_silence(self._sent, self._guard.operation, events, texts))
        began = await self._begin(texts, questions, "response", streamed=True)

        def rewritten(_: bytes, rewrites: Sequence[Segment]) -> bytes:
            texts = Replaced({each.path: each.text for each in rewrites})
            writer = self._world.rewriters.open(self._guard.operation, texts)
            return b"".join([*(writer.event(event) for event in parsed), writer.end()])

        return await self._concluded(began, events, rewritten)

    async def finish(self) -> None:
        """Wait for the verdicts of rules that only measure, and note them."""
        quiet, self._quiet = self._quiet, []
        try:
            for began in quiet:
                self._guard.note(await self._judged(began, None), began.direction)
        finally:
            for check in [check for began in quiet for check in began.checks.values()]:
                check.cancel()

    def close(self) -> None:
        """Nobody waits any more. Idempotent."""
        rounds = [*self._quiet, *([] if self._later is None else [self._later])]
        self._later, self._quiet = None, []
        for check in [check for began in rounds for check in began.checks.values()]:
            check.cancel()
        leased, self._leased = self._leased, None
        if leased is not None:
            self._world.detectors.release(leased)

    # -- asking ----------------------------------------------------------------------------------------------------

    def _asked(self, direction: Direction) -> dict[str, Question]:
        """Who is asked what. A rule that was demoted to shadow makes nobody wait."""
        known = self._questions.get(direction)
        if known is not None:
            return known
        found: dict[str, Question] = {}
        for id_, _ in self.engine.rules(direction, self._guard.operation):
            rule = self._rules.rules[id_]
            question = found.setdefault(rule.source, Question())
            acts = id_ not in self._guard.demoted
            question.waits = question.waits or (rule.waits and acts)
            question.holds = question.holds or (rule.holds and acts)
            question.loud = question.loud or (rule.loud and acts)
            if question.roles is not None:
                question.roles = question.roles | rule.roles if rule.roles else None
        self._questions[direction] = found
        return found

    def _wants_json(self, questions: Mapping[str, Question]) -> bool:
        return any(isinstance(self._rules.sources[name].config, SchemaConfig) for name in questions)

    async def _texts(self, body: bytes, read: Read, direction: Direction) -> list[Segment]:
        """The texts of a body; of a long one taken beside the event loop. None of one that cannot be read and may
        pass; raises what `read` does for one that may not."""
        try:
            texts = read(body) if len(body) <= _QUICK else await self._world.slices.run(lambda _: read(body))
            if direction == "response" and self._wants_json(self._asked(direction)):
                self._thoughts = thoughts(body) if b'"reasoning"' in body else ()
                texts += _silent(silences(self._sent, body))
            return texts
        except (BadRequest, UpstreamBroken):
            if self._guard.passes_unread(direction):
                return []
            raise

    async def _measure(self, questions: Mapping[str, Question], body: bytes, read: Read, direction: Direction) -> None:
        """Ask those whose rules only measure."""
        quiet = {name: each for name, each in questions.items() if not each.loud}
        if quiet:
            self._quiet.append(await self._begin(await self._texts(body, read, direction), quiet, direction))

    async def _begin(
        self,
        segments: list[Segment],
        questions: Mapping[str, Question],
        direction: Direction,
        *,
        streamed: bool = False,
    ) -> Round:
        """Ask everybody at once."""
        began = Round(Pieces(segments), {}, {}, {}, direction)
        here: list[tuple[str, LeakConfig | SchemaConfig, list[Segment]]] = []
        context = self._context(direction)
        for name, question in questions.items():
            asked = _chosen(began.pieces.segments, question.roles)
            began.asked[name] = asked
            if not asked:
                continue
            texts = [began.pieces.segments[at] for at in asked]
            config = self._rules.sources[name].config
            if isinstance(config, LeakConfig | SchemaConfig):
                here.append((name, config, texts))
            else:
                if self._leased is None:
                    self._leased = await self._world.detectors.lease(self._rules)
                spend = partial(self._book, name, texts)
                began.checks[name] = self._leased.by_name[name].check(texts, context, spend)
        for name, config, texts in here:
            began.reports[name] = await self._judged_here(config, texts, streamed)
        return began

    async def _judged_here(self, config: LeakConfig | SchemaConfig, texts: Sequence[Segment], streamed: bool) -> Report:
        """An answer judged by its request; on a thread where that takes longer than the event loop should wait."""
        if isinstance(config, SchemaConfig):
            work = partial(json_schema, self._sent, texts, streamed=streamed, beside=self._thoughts)
            size = len(self._sent)
        else:
            prompt = "" if self._dialect is None else system_prompt(self._dialect, self._sent)
            work = partial(prompt_leak, config, prompt, texts)
            size = len(prompt)
        quick = size + sum(len(each.text) for each in texts) <= _QUICK
        return work() if quick else await asyncio.to_thread(work)

    def _context(self, direction: Direction) -> Context:
        x = self._guard.x
        caller, reading = x.caller, x.reading
        return Context(
            direction=direction,
            request_id=x.request_id,
            team=caller.team if caller is not None else "",
            key_id=caller.key_id if caller is not None else "",
            model=reading.model if reading is not None else "",
            operation=self._guard.operation,
        )

    def _unread(self, why: str) -> None:
        """Have the rules fail on what nobody can be asked about. Raises `UnreadableAnswer` where one fails closed."""
        guard, world = self._guard, self._world
        inspector = self.inspector()
        if inspector is None:
            return
        inspector.unread("UnreadableEvent")
        guard.note(inspector.verdict, "response")
        if inspector.blocked:
            raise UnreadableAnswer(guard.x.provider, why)
        told = UnreadableAnswer(guard.x.provider, f"{why}; it passed unjudged")
        world.troubles.note(guard.x.provider, told, world.clock.monotonic())

    # -- concluding ------------------------------------------------------------------------------------------------

    async def _concluded(self, began: Round, body: bytes, rewrite: Rewrite) -> bytes:
        """Wait for all reports, have the engine judge, and carry its verdict out."""
        guard = self._guard
        verdict = await self._judged(began, guard.vault)
        restored = guard.vault if began.direction == "response" else None
        rewrites = began.pieces.whole(worded(verdict, began.reports, self._rules.rules, restored))
        said = said_of(verdict, began.reports, self._rules.rules)
        return guard.carry_out(verdict, rewrites, body, began.direction, rewrite, said)

    async def _judged(self, began: Round, vault: Vault | None) -> Verdict:
        """What the engine says when all reports are there."""
        guard, direction = self._guard, began.direction
        try:
            for name, check in began.checks.items():
                began.reports[name] = await check.report()
        finally:
            for check in began.checks.values():
                check.cancel()
        for name in began.checks:
            self._account(name, began.reports[name])
        pieces = began.pieces
        verdict = self.engine.inspect(
            pieces.segments,
            direction,
            guard.operation,
            key=guard.key,
            vault=vault,
            demoted=guard.demoted,
            given=given(pieces.segments, began.asked, began.reports),
        )
        if guard.governor is not None:
            rules = [rule for rule in self.engine.rules(direction, guard.operation) if rule[1] in began.reports]
            took = {name: int(report.seconds * 1e9) for name, report in began.reports.items()}
            guard.tell(verdict, rules, took)
        return verdict

    def _account(self, name: str, report: Report) -> None:
        """Count what a detector did."""
        if self._world.metrics is not None:
            self._world.metrics.detector(name, report.outcome, report.seconds)
        if self._leased is not None:
            self._leased.by_name[name].told(report)

    def _book(self, name: str, texts: Sequence[Segment], spent: Spent, seconds: float) -> None:
        """Book what a call used, whether anybody still waits for its verdict or not. The request's own budgets count
        it with the request."""
        try:
            x = self._booked(name, texts, spent, seconds)
            self._guard.x.judged_nanos += x.cost.nanos or 0
            self._world.record(x)
        except Exception as error:
            self._world.defect(self._guard.x, error)

    def _booked(self, name: str, texts: Sequence[Segment], spent: Spent, seconds: float) -> Exchange:
        """A model's judgement as an exchange of its own: operation `guardrail`, paid by the caller, found by the
        request's id. It asked for what its request did: whose budgets it counts to hangs on that."""
        world, parent, source = self._world, self._guard.x, self._rules.sources[name]
        inputs = spent.input_tokens
        if not spent.told:
            inputs = world.tokens.count_many_or_estimate([each.text for each in texts], spent.model)
        now_ns, now = world.clock.now_ns(), world.clock.monotonic()
        x = Exchange(world.ids.uuid7(now_ns), parent.request_id, now_ns - int(seconds * 1e9), now - seconds)
        asked = parent.operation
        x.operation = Operation(
            JUDGEMENT, "openai" if asked is None else asked.wire, judged=asked.name if asked else ""
        )
        x.caller, x.tags, x.reading, x.downgraded = parent.caller, parent.tags, parent.reading, parent.downgraded
        x.provider = source.config.name if isinstance(source.config, ExternalConfig) else name
        x.model, x.usage_estimated, x.outcome, x.status = spent.model, not spent.told, "ok", 200
        x.usage = Usage(input_tokens=inputs, output_tokens=spent.output_tokens)
        x.forwarded_at, x.finished_at = x.received_at, now
        x.cost = cost_of(x, self._snapshot, source.prices, now)
        return x


def rewritten_answer(body: bytes, rewrites: Sequence[Segment]) -> bytes:
    """A whole answer with other texts."""
    return rewrite_answer(body, rewrites).body


def _silent(paths: Sequence[str]) -> list[Segment]:
    """What stands for texts that are missing."""
    return [Segment(path, "assistant", " ") for path in paths]


def _unchanged(body: bytes, rewrites: Sequence[Segment]) -> bytes:
    return body


def _chosen(segments: Sequence[Segment], roles: Collection[str] | None) -> list[int]:
    """Which texts are asked about, and in which order: those of the roles, but no member names, which are no prose.
    Descriptions of tools and the like come before the conversation, whose last words services judge."""
    found = [
        at
        for at, each in enumerate(segments)
        if each.text and not each.path.endswith("{}") and (roles is None or each.role in roles)
    ]
    return sorted(found, key=lambda at: segments[at].path.startswith(_CONVERSATION))
