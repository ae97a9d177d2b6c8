"""The guardrail seam: text segments and a policy in, a verdict out. Pure functions of their arguments.

The gateway knows guardrails by this module alone. What finds things is behind `guardrails/detector.py`.
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
    """A compiled set of policies, for one team."""

    def inspect(self, segments: list[Segment], direction: Direction, operation: str = "") -> Verdict:
        """Judge the segments of one body. Linear in the size of the text; never blocks, never raises on input."""
        ...

    def stream(self, operation: str = "") -> "StreamInspector | None":
        """An inspector for one streamed answer; None: no policy looks at answers of this operation."""
        ...


class StreamInspector(Protocol):
    """Inspects one streamed answer. Channels are independent texts that grow: a choice's content, its reasoning, the
    arguments of one tool call. Whatever way a text is cut, the concatenation of what `feed` and `flush` return for its
    channel is what `Engine.inspect` would make of the whole."""

    verdict: Verdict
    """What was concluded so far."""
    blocked: bool
    """A finding demands the end of the stream. What was returned so far was safe; nothing more is ever returned."""

    def feed(self, channel: str, text: str, role: str = "assistant", json: bool = False) -> str:
        """Take more of a channel's text; returns what may be passed on now (perhaps nothing). `json`: the text is a
        JSON document in pieces (tool-call arguments): only string values are judged, escapes are seen decoded, and
        what is returned is valid JSON again."""
        ...

    def flush(self, channel: str) -> str:
        """The channel's text is complete: the rest of it. Idempotent."""
        ...

    def held(self) -> int:
        """Characters held back now, all channels together."""
        ...


class NoOpEngine:
    """Finds nothing. What tests of the callers use."""

    def inspect(self, segments: list[Segment], direction: Direction, operation: str = "") -> Verdict:
        return ALLOWED

    def stream(self, operation: str = "") -> StreamInspector | None:
        return None
