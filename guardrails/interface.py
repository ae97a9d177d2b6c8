"""The guardrail seam: text segments and a policy in, a verdict out. Pure functions of their arguments.

The gateway knows guardrails by this module alone. What finds things is behind `guardrails/detector.py`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from guardrails.detector import Match
from guardrails.vault import Vault

Direction = Literal["request", "response"]
Action = Literal["allow", "flag", "mask", "redact", "hash", "pseudonymize", "block", "reroute"]
Mode = Literal["shadow", "warn", "enforce"]
Breathe = Callable[[], None]
"""What long work calls now and then, so that its caller can let others go first. What it raises ends the work."""
FAILURE = "GUARDRAIL_FAILURE"
"""Type of what a rule has in the place of a finding when its detector failed."""
Replaced = tuple[int, int, int]
"""Start and end of a stretch of a text that others took the place of, and how many characters more have come out than
were taken in, up to and with it."""


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
    """Id of the detector's rule that matched, such as `pii.email`."""
    evidence: str = ""
    policy_rule: str = ""
    """Id of the policy's rule that asked for it."""
    digest: str = ""
    """Keyed hash of the case-folded value, 16 hex digits: what an allow-list names instead of the text."""
    role: str = ""
    """Of the segment it stands in."""
    detector: str = ""
    """Name of the detector or classifier that the policy's rule asks."""


class RuleResult(msgspec.Struct, frozen=True):
    """What one rule of a policy concluded about one body or stream."""

    rule: str
    policy: str
    mode: Mode
    """In force for this exchange: a rule outside its rollout, or demoted, is in shadow."""
    action: Action
    """What was demanded: the rule's action, or `block` where the text cannot be rewritten or inspected."""
    types: tuple[str, ...]
    """Sorted."""
    count: int
    """Findings, also those beyond the cap on `Verdict.findings`."""


class Failure(msgspec.Struct, frozen=True):
    """A detector that failed while it was asked. Carries no text, not even the error's message."""

    detector: str
    error: str
    """Class of the error."""
    rules: tuple[str, ...]
    """Rules that went without an answer."""
    closed: bool
    """One of them is enforced and closed: the text did not pass."""


class Verdict(msgspec.Struct, frozen=True):
    """What the policies concluded (`action`) and what is enforced (`enforced`): separate facts, because shadow and
    warn record a verdict and do not act on it."""

    action: Action = "allow"
    enforced: Action = "allow"
    findings: tuple[Finding, ...] = ()
    policy: str = ""
    rewrites: tuple[Segment, ...] = ()
    """Segments whose text must be replaced before the body goes on (same paths, new text). Not empty with action
    `allow` where pseudonyms were restored."""
    results: tuple[RuleResult, ...] = ()
    """Rules that found something, in the order of the policies."""
    failures: tuple[Failure, ...] = ()
    dropped: int = 0
    """Findings beyond the cap that are counted in `results` and not listed."""
    reroute: str = ""
    """Model that an enforced `reroute` names."""
    message: str = ""
    """What the refusal says, of the rule that decided `enforced`."""
    spent: tuple[tuple[str, int], ...] = ()
    """Nanoseconds each detector took to confirm or judge, when the engine was given a timer."""
    answer: str = ""
    """Answer instead of a refusal, of the rule that decided `enforced`."""
    failed: bool = False
    """It blocks because a detector failed, and for nothing that was found."""


ALLOWED = Verdict()


class Given(msgspec.Struct, frozen=True):
    """What detectors outside said about the segments, asked by the caller beforehand."""

    matches: Mapping[str, Sequence[Sequence[Match]]] = {}
    """By the name of the source: the matches in each segment, in the order of the segments."""
    failures: Mapping[str, str] = {}
    """By the name of the source: the class of the error that kept it from answering."""


NOTHING_GIVEN = Given()


class Engine(Protocol):
    """A compiled set of policies, for one team."""

    pseudonymizes: bool
    """Some rule needs a vault."""

    def inspects(self, direction: Direction, operation: str) -> bool:
        """Whether any rule looks at texts of this direction and operation."""
        ...

    def rules(self, direction: Direction, operation: str) -> Sequence[tuple[str, str]]:
        """Id and detector of every rule that looks there."""
        ...

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
        """Whether a glance at a JSON body shows that `inspect` allows whatever texts it has; False: it must be asked.
        `within`: name, in quotes, of the outermost member all texts are in. `sound`: it is known to be JSON in valid
        UTF-8."""
        ...

    def remembers(self, direction: Direction, operation: str) -> bool:
        """Whether some texts that were clean are not judged again, so that `passes` may say more than `clear`."""
        ...

    def passes(
        self,
        texts: Sequence[tuple[str, bytes]],
        direction: Direction,
        operation: str = "",
        *,
        vault: Vault | None = None,
    ) -> bool:
        """Whether it is certain that `inspect` allows a body with these texts and no others, because a glance shows it
        or they were clean before; False: it must be asked. Of each text its role, and itself as a JSON string in valid
        UTF-8; none is a document of tool-call arguments."""
        ...

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
        """Judge the segments of one body. Linear in the size of the text; never blocks, never raises on input.

        `key`: what a rollout in percent is stable by, such as the key's or the conversation's id. `vault`: pseudonyms
        of this exchange, made in the request and restored in the answer. `demoted`: ids of rules that are to be in
        shadow now. `given`: what detectors outside found. `breathe`: called between texts, and between slices of long
        ones; changes nothing of the verdict.
        """
        ...

    def unread(
        self, direction: Direction, operation: str, error: str, *, key: str = "", demoted: Collection[str] = ()
    ) -> Verdict:
        """The verdict on a body that nobody can read, for the reason whose name is `error`: the rules that look there
        fail on it, open or closed as they say. What it enforces is `block` or `allow`."""
        ...

    def enforces(self, direction: Direction, operation: str, *, key: str = "", demoted: Collection[str] = ()) -> bool:
        """Whether a rule that looks there does more than to record."""
        ...

    def stream(
        self, operation: str = "", *, key: str = "", vault: Vault | None = None, demoted: Collection[str] = ()
    ) -> "StreamInspector | None":
        """An inspector for one streamed answer; None: nobody looks at answers of this operation, and nothing is to be
        restored in it."""
        ...


class Stage(Protocol):
    """A step that a text goes through as it grows. Offsets are characters of what goes into it."""

    replaced: list[Replaced]
    """Stretches that did not come out as they were, in order; at first an empty one, for what came out before."""

    @property
    def taken(self) -> int:
        """Characters that went in."""
        ...

    @property
    def passed(self) -> int:
        """Characters that came out, or did not but will not any more."""
        ...


class StreamInspector(Protocol):
    """Inspects one streamed answer. Channels are independent texts that grow: a choice's content, its reasoning, the
    arguments of one tool call. Whatever way a text is cut, the concatenation of what `feed` and `flush` return for its
    channel is what `Engine.inspect` would make of the whole."""

    @property
    def verdict(self) -> Verdict:
        """What was concluded so far."""
        ...

    @property
    def blocked(self) -> bool:
        """A finding demands the end of the stream. What was returned so far was safe; nothing more is ever
        returned."""
        ...

    @property
    def changes(self) -> bool:
        """Whether a rule in force may change or keep back texts."""
        ...

    @property
    def restores(self) -> bool:
        """Whether pseudonyms are put back."""
        ...

    def pace(self, breathe: Breathe | None) -> None:
        """From now on `breathe` is called between slices of a long piece. Changes nothing of what comes out."""
        ...

    def follow(self, channel: str, role: str = "assistant", json: bool = False) -> "tuple[Stage, ...] | None":
        """What the channel's text goes through, one after the other, for who must know which characters came out as
        they were; from here on, and also when the channel is flushed. Empty: it passes as it comes. None: nobody can
        say. `role` and `json` as for `feed`, before which it is called."""
        ...

    def feed(self, channel: str, text: str, role: str = "assistant", json: bool = False) -> str:
        """Take more of a channel's text; returns what may be passed on now (perhaps nothing). `json`: the text is a
        JSON document in pieces (tool-call arguments): only string values are judged, escapes are seen decoded, and
        what is returned is valid JSON again."""
        ...

    def flush(self, channel: str) -> str:
        """The channel's text is complete: the rest of it. Idempotent. Should the channel be fed again, that is a new
        text; where something was held at the flush, the rules fail on it instead, open or closed as they say."""
        ...

    def unread(self, error: str) -> None:
        """A part of the answer came that nobody can read, for the reason whose name is `error`: the rules fail on it,
        open or closed as they say. What is `blocked` afterwards must not go on."""
        ...

    def held(self) -> int:
        """Characters held back now, all channels together."""
        ...
