"""The engine: compiled policies of one team, asked about the texts of a body or about a stream.

Nothing found costs one pass of the gate for each text, and the verdict is the one shared `ALLOWED`.
"""

from collections.abc import Callable, Collection, Sequence

import msgspec

from guardrails import glance
from guardrails.actions import Hasher
from guardrails.interface import ALLOWED, NOTHING_GIVEN, Breathe, Direction, Given, Segment, Verdict
from guardrails.jsontext import JsonText
from guardrails.judging import STEP, WINDOW, Judge
from guardrails.policy import Policy, PolicyError, problems
from guardrails.program import PIECE, Plan, Plans, Program
from guardrails.remembered import LONGEST, Remembered, name_of
from guardrails.scanner import Scanner
from guardrails.stream import Opener, PolicyStream
from guardrails.tally import Tally
from guardrails.text import Text
from guardrails.vault import Vault

JSON_PATHS = (".arguments", ".input")
"""Ends of the paths whose texts are JSON documents when they begin like one: tool-call arguments."""

_string = msgspec.json.Decoder(str).decode


class PolicyEngine:
    """Policies for one team. Immutable; may be shared by everything that runs in one thread.

    `key`: secret of the installation for hashes of values, which was `previous` before. `timer`: a clock in
    nanoseconds, to have `Verdict.spent`. `step`, `window`: characters after which classifiers are asked again about a
    stream, and how much they are shown. `remembered`: texts that were clean, which are not judged again; None: all are.
    Raises `PolicyError` with everything that is wrong with the policies.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        scanner: Scanner,
        *,
        key: bytes,
        previous: bytes = b"",
        team: str = "",
        timer: Callable[[], int] | None = None,
        json_paths: Sequence[str] = JSON_PATHS,
        step: int = STEP,
        window: int = WINDOW,
        remembered: Remembered | None = None,
    ) -> None:
        wrong = problems(
            policies,
            [detector.name for detector in scanner.detectors],
            [classifier.name for classifier in scanner.classifiers],
            scanner.external,
        )
        if step < 1 or window < step:
            wrong.append("classifiers on streams need a window at least as long as their step")
        if wrong:
            raise PolicyError(wrong)
        self.pseudonymizes = any(rule.action == "pseudonymize" for policy in policies for rule in policy.rules)
        self._plans = Plans(policies, scanner, team, remembered)
        self._scanner = scanner
        self._hasher = Hasher(key, previous)
        self._timer = timer
        self._json_paths = tuple(json_paths)
        self._step = step
        self._window = window
        self._remembered = remembered

    def program(self, direction: Direction, operation: str, role: str) -> Program | None:
        """What runs on a text; None: nothing."""
        plan = self._plans.plan(direction, operation)
        return plan.program(role) if plan is not None else None

    def inspects(self, direction: Direction, operation: str) -> bool:
        """See `guardrails/interface.py`."""
        return self._plans.plan(direction, operation) is not None

    def rules(self, direction: Direction, operation: str) -> Sequence[tuple[str, str]]:
        """See `guardrails/interface.py`."""
        plan = self._plans.plan(direction, operation)
        return () if plan is None else [(compiled.rule.id, compiled.rule.detector) for compiled in plan.rules]

    @property
    def hasher(self) -> Hasher:
        """Makes the digests of findings and of allow-lists."""
        return self._hasher

    def clear(
        self,
        body: bytes,
        direction: Direction,
        operation: str = "",
        *,
        vault: Vault | None = None,
        within: bytes = b"",
        sound: bool = False,
    ) -> bool:
        """See `guardrails/interface.py`."""
        if vault and direction == "response":
            return False
        plan = self._plans.plan(direction, operation)
        if plan is None:
            return True
        gate = self._scanner.gate
        return gate is not None and len(body) <= plan.glanced and glance.clear(gate, body, plan.counted, within, sound)

    def remembers(self, direction: Direction, operation: str) -> bool:
        """See `guardrails/interface.py`."""
        plan = self._plans.plan(direction, operation)
        return plan is not None and plan.remembers

    def passes(
        self,
        texts: Sequence[tuple[str, bytes]],
        direction: Direction,
        operation: str = "",
        *,
        vault: Vault | None = None,
    ) -> bool:
        """See `guardrails/interface.py`."""
        if vault and direction == "response":
            return False
        plan = self._plans.plan(direction, operation)
        if plan is None:
            return True
        gate, remembered, total = self._scanner.gate, self._remembered, 0
        for role, text in texts:
            program = plan.program(role)
            if program is None:
                continue
            total += len(text)
            if total > plan.total:
                return False
            if program.key:
                if remembered is None or _name(program, role, False, _string(text)) not in remembered:
                    return False
            elif gate is None or len(text) > program.glanced or not glance.clear(gate, text, plan.counted, sound=True):
                return False
        return True

    def inspect(
        self,
        segments: list[Segment],
        direction: Direction,
        operation: str = "",
        *,
        key: str = "",
        vault: Vault | None = None,
        demoted: Collection[str] = (),
        given: Given = NOTHING_GIVEN,
        breathe: Breathe | None = None,
    ) -> Verdict:
        """See `guardrails/interface.py`. With action `pseudonymize` and no vault, and in answers, values are masked.
        Segments behind one that blocks are not looked at."""
        plan = self._plans.plan(direction, operation)
        restoring = vault if vault and direction == "response" else None
        if plan is None and restoring is None:
            return ALLOWED
        tally: Tally | None = None
        remembered = self._remembered
        rewrites: list[Segment] = []
        total = 0
        try:
            for index, segment in enumerate(segments):
                if tally is not None and tally.blocked:
                    break
                if breathe is not None:
                    breathe()
                text = segment.text
                program = plan.program(segment.role) if plan is not None else None
                if program is not None and plan is not None:
                    total += len(text)
                    if total > plan.total:
                        tally = tally or self._begun(plan, direction, key, vault, demoted, given, breathe)
                        tally.exceed(plan.rules, segment.path, total)
                        if tally.blocked:
                            break
                    document = segment.path.endswith(self._json_paths)
                    name = _name(program, segment.role, document and self._is_document(segment), text)
                    whole = program.quick and not document and (breathe is None or len(text) <= PIECE)
                    seen = program.seen(text) if whole else None
                    if (seen is None or seen) and not (name and remembered is not None and name in remembered):
                        tally = tally or self._begun(plan, direction, key, vault, demoted, given, breathe)
                        noted = tally.noted
                        text = self._judged(program, tally, segment, seen, document, given, index)
                        if remembered is not None and name and tally.noted == noted and not tally.over:
                            remembered.add(name)
                if restoring is not None:
                    text = restoring.restore(text, self._is_document(segment))
                if text != segment.text:
                    rewrites.append(Segment(segment.path, segment.role, text))
        except Exception as error:
            return self._broken(plan, tally or Tally(direction, self._hasher), error)
        if tally is None:
            return Verdict(rewrites=tuple(rewrites)) if rewrites else ALLOWED
        verdict = tally.verdict(tuple(rewrites))
        return verdict if verdict != ALLOWED else ALLOWED

    def unread(
        self, direction: Direction, operation: str, error: str, *, key: str = "", demoted: Collection[str] = ()
    ) -> Verdict:
        """See `guardrails/interface.py`."""
        plan = self._plans.plan(direction, operation)
        if plan is None:
            return ALLOWED
        tally = Tally(direction, self._hasher, self._timer, key, None, demoted)
        tally.failed("engine", error, plan.rules)
        return tally.verdict()

    def enforces(self, direction: Direction, operation: str, *, key: str = "", demoted: Collection[str] = ()) -> bool:
        """See `guardrails/interface.py`."""
        plan = self._plans.plan(direction, operation)
        tally = Tally(direction, self._hasher, key=key, demoted=demoted)
        return plan is not None and any(tally.mode(each) == "enforce" for each in plan.rules)

    def stream(
        self, operation: str = "", *, key: str = "", vault: Vault | None = None, demoted: Collection[str] = ()
    ) -> PolicyStream | None:
        """See `guardrails/interface.py`. Rules of external sources are no part of it: the caller asks those itself."""
        plan = self._plans.plan("response", operation)
        if plan is None and not vault:
            return None
        tally = Tally("response", self._hasher, self._timer, key, None, demoted)
        return PolicyStream(plan, tally, vault or None, self._step, self._window)

    def _judged(
        self,
        program: Program,
        tally: Tally,
        segment: Segment,
        seen: Sequence[tuple[int, int]] | None,
        document: bool,
        given: Given,
        index: int,
    ) -> str:
        """The segment's text as it may pass on. `seen`: by the gate, if it was asked; `index`: the segment's."""
        path, text = segment.path, segment.text
        tally.roles[path] = segment.role
        judge = Judge(program, tally, path, segment.role) if program.classifiers else None
        document = document and self._is_document(segment)
        rewritable = not document and not path.endswith("{}")
        machine = Text(program, tally, path, rewritable=rewritable, judge=None if document else judge)
        for name, rules in program.external.items():
            for match in given.matches[name][index] if name in given.matches else ():
                machine.bring(rules, match, text)
        if not document:
            return machine.whole(text, self._scanner.by_detector(seen) if seen else None)
        growing = JsonText(Opener(program, tally, path, judge), tally)
        out = growing.feed(text) + growing.finish()
        if judge is not None:
            judge.finish()
        return out

    def _is_document(self, segment: Segment) -> bool:
        return segment.path.endswith(self._json_paths) and segment.text.lstrip(" \t\r\n")[:1] in ("{", "[")

    def _begun(
        self,
        plan: Plan,
        direction: Direction,
        key: str,
        vault: Vault | None,
        demoted: Collection[str],
        given: Given,
        breathe: Breathe | None,
    ) -> Tally:
        """A tally; outside detectors that did not answer have failed their rules already."""
        tally = Tally(direction, self._hasher, self._timer, key, vault, demoted, breathe)
        for name, error in given.failures.items():
            rules = [compiled for compiled in plan.rules if compiled.rule.detector == name]
            if rules:
                tally.failed(name, error, rules)
        return tally

    def _broken(self, plan: Plan | None, tally: Tally, error: Exception) -> Verdict:
        """The engine itself failed: every rule goes without an answer."""
        tally.failed("engine", type(error).__name__, plan.rules if plan is not None else ())
        return tally.verdict()


def _name(program: Program, role: str, document: bool, text: str) -> bytes:
    """What a text is remembered by when a program finds it clean; empty: it is not."""
    return name_of(program.key, role, document, text) if program.key and len(text) <= LONGEST else b""
