"""What was found in one body or stream, counted as it is found, and the verdict made of it."""

from collections.abc import Callable, Collection

from guardrails.actions import Hasher
from guardrails.detector import Match
from guardrails.interface import (
    ALLOWED,
    FAILURE,
    Action,
    Breathe,
    Direction,
    Failure,
    Finding,
    Mode,
    RuleResult,
    Segment,
    Verdict,
)
from guardrails.policy import SEVERITY, in_rollout
from guardrails.program import CompiledRule
from guardrails.vault import Vault

MAX_FINDINGS = 1_000
"""Findings a verdict lists; more are counted. Each costs a keyed hash and some hundred bytes."""


class Tally:
    """State of one inspection: its circumstances, and what was concluded so far."""

    __slots__ = (
        "_actions", "_counts", "_failed", "_guilty", "_modes", "_types", "_verdict", "blocked", "breathe", "demoted",
        "direction", "dropped", "failures", "findings", "hasher", "key", "noted", "over", "paused", "roles", "spent",
        "timer", "vault",
    )  # fmt: skip

    def __init__(
        self,
        direction: Direction,
        hasher: Hasher,
        timer: Callable[[], int] | None = None,
        key: str = "",
        vault: Vault | None = None,
        demoted: Collection[str] = (),
        breathe: Breathe | None = None,
    ) -> None:
        self.breathe: Breathe | None = None
        """Called between two slices of a long text."""
        self.paused = 0
        """Nanoseconds that took, all in all, in which no detector was at work."""
        self.direction = direction
        self.hasher = hasher
        self.timer = timer
        self.key = key
        self.vault = vault if direction == "request" else None
        """Where pseudonyms are made: in requests alone, since in an answer they would be restored at once."""
        self.demoted = demoted
        self.blocked = False
        """Nothing more may pass."""
        self.findings: list[Finding] = []
        self.dropped = 0
        self.noted = 0
        """How often anything was found, or failed."""
        self.failures: list[Failure] = []
        self.roles: dict[str, str] = {}
        """Whose the texts are that were looked at, by path."""
        self.spent: dict[str, int] = {}
        self.over: set[CompiledRule] = set()
        """Rules that judge no more of this body: there was too much of it."""
        self._failed: set[tuple[str, str]] = set()
        self._modes: dict[int, Mode] = {}
        self._counts: dict[CompiledRule, int] = {}
        self._types: dict[CompiledRule, set[str]] = {}
        self._actions: dict[CompiledRule, Action] = {}
        self._guilty: set[CompiledRule] = set()
        """Rules that demand a block for what they found."""
        self._verdict: Verdict | None = None
        self.pace(breathe)

    def pace(self, breathe: Breathe | None) -> None:
        """From now on `breathe` is called between slices of long texts."""
        timer = self.timer
        if breathe is None or timer is None:
            self.breathe = breathe
            return

        def timed() -> None:
            since = timer()
            breathe()
            self.paused += timer() - since

        self.breathe = timed

    def mode(self, compiled: CompiledRule) -> Mode:
        """The mode in force for this exchange."""
        known = self._modes.get(compiled.place)
        if known is None:
            rule = compiled.rule
            known = rule.mode
            if rule.id in self.demoted or not in_rollout(rule.id, rule.rollout, self.key):
                known = "shadow"
            self._modes[compiled.place] = known
        return known

    def count(self, compiled: CompiledRule, type: str, action: Action) -> None:
        """Note that a rule found something and what it demands for it."""
        self._verdict = None
        self.noted += 1
        self._counts[compiled] = self._counts.get(compiled, 0) + 1
        self._types.setdefault(compiled, set()).add(type)
        if action == "block" and type != FAILURE:
            self._guilty.add(compiled)
        if SEVERITY[action] >= SEVERITY[self._actions.get(compiled, "allow")]:
            self._actions[compiled] = action

    def found(
        self, compiled: CompiledRule, match: Match, path: str, start: int, end: int, value: str, action: Action
    ) -> None:
        """Note a finding; `start`, `end` are those of the segment, `value` is what stands there, decoded."""
        self.count(compiled, match.type, action)
        if len(self.findings) >= MAX_FINDINGS:
            self.dropped += 1
            return
        digest = self.hasher.digest(value) if value else ""
        rule, role = compiled.rule, self.roles.get(path, "")
        self.findings.append(
            Finding(
                match.type,
                path,
                start,
                end,
                match.score,
                match.rule,
                match.evidence,
                rule.id,
                digest,
                role,
                rule.detector,
            )
        )

    def failed(self, detector: str, error: str, rules: Collection[CompiledRule]) -> None:
        """A detector failed on a text. Closes the inspection when an enforced rule says so."""
        self._verdict = None
        self.noted += 1
        closed = False
        for compiled in rules:
            if compiled.rule.on_failure == "closed":
                self.count(compiled, FAILURE, "block")
                closed = closed or self.mode(compiled) == "enforce"
        self.blocked = self.blocked or closed
        if (detector, error) not in self._failed:
            self._failed.add((detector, error))
            self.failures.append(Failure(detector, error, tuple(c.rule.id for c in rules), closed))

    def exceed(self, rules: Collection[CompiledRule], path: str, total: int) -> None:
        """A request has `total` characters up to here, which is more than some rules judge."""
        for compiled in rules:
            if compiled.rule.max_total < total and compiled not in self.over:
                self.over.add(compiled)
                blocks = compiled.rule.beyond == "block"
                match = Match("SCAN_LIMIT", 0, 0, 1.0, "scan_limit", "limit")
                self.found(compiled, match, path, 0, 0, "", "block" if blocks else "allow")
                self.blocked = self.blocked or (blocks and self.mode(compiled) == "enforce")

    def took(self, detector: str, since: int) -> None:
        """Add what a detector took; `since` is the timer's value before, less what was `paused` by then."""
        if self.timer is not None:
            self.spent[detector] = self.spent.get(detector, 0) + self.timer() - self.paused - since

    def verdict(self, rewrites: tuple[Segment, ...] = ()) -> Verdict:
        """What is concluded so far. Made anew only after something was found."""
        if self._verdict is None or rewrites:
            nothing = not (self._counts or self.failures or self.spent or self.blocked or rewrites)
            self._verdict = ALLOWED if nothing else self._concluded(rewrites)
        return self._verdict

    def _concluded(self, rewrites: tuple[Segment, ...]) -> Verdict:
        results: list[RuleResult] = []
        action: Action = "allow"
        enforced: Action = "block" if self.blocked else "allow"
        deciding: CompiledRule | None = None
        acting: CompiledRule | None = None
        for compiled in sorted(self._counts, key=lambda c: c.place):
            demanded = self._actions[compiled]
            mode = self.mode(compiled)
            types = tuple(sorted(self._types[compiled]))
            results.append(RuleResult(compiled.rule.id, compiled.policy, mode, demanded, types, self._counts[compiled]))
            if deciding is None or SEVERITY[demanded] > SEVERITY[action]:
                deciding, action = compiled, demanded
            if mode == "enforce" and (acting is None or self._weight(compiled) > self._weight(acting)):
                acting = compiled
        if acting is not None and not self.blocked:
            enforced = self._actions[acting]
        named = acting or deciding
        guilty = enforced == "block" and acting is not None and acting in self._guilty
        return Verdict(
            "block" if self.blocked else action,
            enforced,
            tuple(self.findings),
            named.policy if named is not None else "",
            () if enforced == "block" else rewrites,
            tuple(results),
            tuple(self.failures),
            self.dropped,
            acting.rule.reroute_to if acting is not None and enforced == "reroute" else "",
            acting.rule.message if acting is not None and guilty else "",
            tuple(self.spent.items()),
            acting.rule.answer if acting is not None and guilty else "",
            enforced == "block" and not guilty,
        )

    def _weight(self, compiled: CompiledRule) -> tuple[int, bool]:
        """What is found goes before what failed: it is the same at the next try."""
        return SEVERITY[self._actions[compiled]], compiled in self._guilty
