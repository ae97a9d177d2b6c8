"""What came of one inspection by a detector outside of the engine: a service, or a worker process."""

from collections.abc import Callable
from typing import Literal

import msgspec

from guardrails.interface import Finding, Segment

Outcome = Literal[
    "ok",  # judged
    "timeout",  # no answer within the deadline
    "unavailable",  # could not be reached, or the connection broke
    "open",  # the circuit is open: not asked
    "overloaded",  # our own queue for it is full
    "too_large",  # more text than `max_text`: not asked
    "wrong_answer",  # a status, form or size that its interface does not allow
    "defect",  # an error of ours
]
"""How it ended. All but `ok` are failures."""


class Spent(msgspec.Struct, frozen=True):
    """What one call of a model-based detector used, for the ledger."""

    model: str
    input_tokens: int
    output_tokens: int
    told: bool = True
    """False: the service told no usage, or was not waited for. There are no input tokens then, and the output's are
    estimated."""


Spend = Callable[[Spent, float], None]
"""Told of every call that used something, as soon as that is known, whoever waits for its verdict: its seconds."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one detector. Reported, never raised."""

    detector: str
    outcome: Outcome = "ok"
    flagged: bool = False
    """The service found what it was asked to look for. Also after a failure, if a part that was judged is guilty."""
    refused: bool = False
    """It failed, and the rule says `closed`: the text must not pass."""
    findings: tuple[Finding, ...] = ()
    """With the path "" for what is about all texts together."""
    rewrites: tuple[Segment, ...] = ()
    """What the service would have in the place of these segments."""
    message: str = ""
    """Reason or canned answer for the client. May quote the text: never logged."""
    error: str = ""
    """What went wrong, for logs: never text, address or credential."""
    calls: int = 0
    cached: int = 0
    """Texts (or conversations) whose verdict was remembered."""
    seconds: float = 0.0
    """From asking to verdict."""
