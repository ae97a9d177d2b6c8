"""The guardrail seam: text segments and a policy in, a verdict out. Pure functions of their arguments.

This release ships the seam and `NoOpEngine`; detectors arrive behind it without a change to callers.
"""

from typing import Literal, Protocol

import msgspec

Direction = Literal["request", "response"]
Action = Literal["allow", "flag", "mask", "redact", "hash", "pseudonymize", "block", "reroute"]
Mode = Literal["shadow", "warn", "enforce"]


class Segment(msgspec.Struct, frozen=True):
    """One text surface of a body."""

    path: str
    """JSON path inside the body, such as `messages[2].content[0].text`."""
    role: str
    """system, user, assistant, tool, input or output."""
    text: str


class Finding(msgspec.Struct, frozen=True):
    """One hit of one rule. Never carries the matched text."""

    type: str
    path: str
    start: int
    end: int
    score: float
    rule: str
    evidence: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What the policies concluded (`action`) and what is enforced (`enforced`): separate facts, because shadow and
    warn record a verdict and do not act on it."""

    action: Action = "allow"
    enforced: Action = "allow"
    findings: tuple[Finding, ...] = ()
    policy: str = ""
    rewrites: tuple[Segment, ...] = ()
    """Segments whose text must be replaced before the body goes on (same paths, new text)."""


ALLOWED = Verdict()


class Engine(Protocol):
    """A compiled set of policies."""

    def inspect(self, segments: list[Segment], direction: Direction) -> Verdict:
        """Judge the segments of one body. Linear in the size of the text; never blocks, never raises on input."""
        ...


class NoOpEngine:
    """Finds nothing. What a team without guardrails gets, and what tests of the callers use."""

    def inspect(self, segments: list[Segment], direction: Direction) -> Verdict:
        return ALLOWED
