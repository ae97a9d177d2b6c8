"""Inspects one streamed answer: channels that grow, each a machine of its own, under one verdict (sans-I/O).

Text in, text out; no socket, no clock. What comes out of a channel is, put together, what `PolicyEngine.inspect` makes
of the whole text as a body's segment, for every way of cutting it. Where something blocks, what came out is what stands
before it. Matches never reach over channels. Pseudonyms are restored last, in what was judged and rewritten already.
"""

import math
from typing import cast

from guardrails.interface import Breathe, Stage, Verdict
from guardrails.jsontext import JsonText
from guardrails.judging import Judge
from guardrails.policy import REWRITING
from guardrails.program import Plan, Program
from guardrails.tally import Tally
from guardrails.text import Text
from guardrails.vault import Restorer, Vault

_CHANGING = REWRITING | {"block"}


class Opener:
    """Makes the texts of one JSON document: `guardrails/jsontext.py`'s `Opens`."""

    __slots__ = ("_judge", "_path", "_program", "_tally")

    def __init__(self, program: Program, tally: Tally, path: str, judge: Judge | None) -> None:
        self._program = program
        self._tally = tally
        self._path = path
        self._judge = judge

    def __call__(self, origin: int, *, name: bool = False, quoted: bool = False) -> Text:
        judge = self._judge
        if judge is not None and judge.total:
            judge.add("\n")
        return Text(self._program, self._tally, self._path, origin, rewritable=not name, quoted=quoted, judge=judge)

    def clean(self, text: str) -> bool:
        """Whether a glance shows that nothing is found in a whole string."""
        judge = self._judge
        if judge is not None and not math.isinf(judge.room):
            return False
        if not self._program.clean(text):
            return False
        if judge is not None:
            judge.add("\n")
            judge.add(text)
        return True


class _Unjudged:
    """A channel whose role no rule looks at."""

    document = False

    def feed(self, text: str) -> str:
        return text

    def finish(self) -> str:
        return ""

    def held(self) -> int:
        return 0


class _Channel:
    """One text of the answer, and what is restored in it."""

    __slots__ = ("_judge", "_restorer", "machine")

    def __init__(self, machine: Text | JsonText | _Unjudged, judge: Judge | None, restorer: Restorer | None) -> None:
        self.machine = machine
        self._judge = judge
        self._restorer = restorer

    @property
    def restores(self) -> bool:
        return self._restorer is not None

    def follow(self) -> tuple[Stage, ...] | None:
        if isinstance(self.machine, JsonText):
            return None
        found = [each for each in (self.machine, self._restorer) if isinstance(each, Text | Restorer)]
        for each in found:
            if each.replaced is None:
                each.replaced = [(0, 0, each.shift)]
        return cast("tuple[Stage, ...]", tuple(found))

    def feed(self, text: str) -> str:
        return self._restored(self.machine.feed(text))

    def finish(self) -> str:
        certain = self.machine.finish()
        if self._judge is not None:
            self._judge.finish()
        if self._restorer is None:
            return certain
        return self._restored(certain) + self._restorer.flush()

    def held(self) -> int:
        return self.machine.held() + (self._restorer.held() if self._restorer is not None else 0)

    def _restored(self, certain: str) -> str:
        restorer = self._restorer
        if restorer is None:
            return certain
        if isinstance(self.machine, JsonText):
            restorer.json = self.machine.document
        return restorer.feed(certain)


class PolicyStream:
    """What `PolicyEngine.stream` makes. A channel that is fed after it was flushed begins a new text, unless something
    was still held when it was: then that is out, and may have been the beginning of what comes. Nobody can judge it any
    more, and the rules fail on it, closed or open."""

    __slots__ = ("_channels", "_loose", "_passes", "_plan", "_step", "_takers", "_tally", "_vault", "_window",
                 "blocked")  # fmt: skip

    def __init__(self, plan: Plan | None, tally: Tally, vault: Vault | None, step: int, window: int) -> None:
        self._plan = plan
        self._tally = tally
        self._vault = vault
        self._step = step
        self._window = window
        self.blocked = False
        """Nothing more is returned."""
        self._channels: dict[str, _Channel] = {}
        self._takers: dict[str, _Channel | Text | JsonText | _Unjudged] = {}
        """What takes more of each channel's text: its machine, where nothing is restored."""
        self._passes = vault is None and not self.changes
        """Rules only watch: a text goes on as it came, and nothing waits for what they find."""
        self._loose: set[str] = set()
        """Channels that were flushed with something held."""

    @property
    def verdict(self) -> Verdict:
        """What was concluded so far; its findings' paths are the channels' names."""
        return self._tally.verdict()

    @property
    def changes(self) -> bool:
        """See `guardrails/interface.py`."""
        rules = self._plan.rules if self._plan is not None else ()
        return any(self._tally.mode(each) == "enforce" and each.rule.action in _CHANGING for each in rules)

    @property
    def restores(self) -> bool:
        """See `guardrails/interface.py`."""
        return self._vault is not None

    def pace(self, breathe: Breathe | None) -> None:
        """See `guardrails/interface.py`."""
        self._tally.pace(breathe)

    def follow(self, channel: str, role: str = "assistant", json: bool = False) -> tuple[Stage, ...] | None:
        """See `guardrails/interface.py`. A channel of which something was held when it was flushed is not followed."""
        if self.blocked or channel in self._loose:
            return None
        if channel not in self._channels:
            try:
                self._begun(channel, role, json)
            except Exception as error:
                self._broken(error)
                return None
        return () if self._passes else self._channels[channel].follow()

    def feed(self, channel: str, text: str, role: str = "assistant", json: bool = False) -> str:
        """Take more of a channel's text. `role` and `json` are those of its first piece."""
        if self.blocked:
            return ""
        try:
            taker = self._takers.get(channel)
            if taker is None:
                if channel in self._loose and text and self._goes_on(channel, role):
                    self.blocked = True
                    return ""
                taker = self._begun(channel, role, json)
            passed = taker.feed(text)
        except Exception as error:
            return self._broken(error)
        self.blocked = self._tally.blocked
        return text if self._passes and not self.blocked else passed

    def flush(self, channel: str) -> str:
        """The rest of a channel's text."""
        current = self._channels.pop(channel, None)
        self._takers.pop(channel, None)
        if current is None or self.blocked:
            return ""
        try:
            if current.held():
                self._loose.add(channel)
            rest = current.finish()
        except Exception as error:
            return self._broken(error)
        self.blocked = self._tally.blocked
        return "" if self._passes else rest

    def unread(self, error: str) -> None:
        """See `guardrails/interface.py`."""
        self._tally.failed("engine", error, self._plan.rules if self._plan is not None else ())
        self.blocked = self._tally.blocked

    def held(self) -> int:
        """Characters held back now, all channels together."""
        held = 0
        for channel in self._channels.values():
            held += channel.held()
        return held

    def _begun(self, channel: str, role: str, json: bool) -> _Channel | Text | JsonText | _Unjudged:
        """Begin a channel; returns what takes its text."""
        current = self._channels[channel] = self._opened(channel, role, json)
        taker = self._takers[channel] = current if current.restores else current.machine
        return taker

    def _opened(self, path: str, role: str, json: bool) -> _Channel:
        restorer = Restorer(self._vault, json) if self._vault is not None else None
        program = self._plan.program(role) if self._plan is not None else None
        if program is None:
            return _Channel(_Unjudged(), None, restorer)
        tally = self._tally
        tally.roles[path] = role
        judge = Judge(program, tally, path, role, self._step, self._window) if program.classifiers else None
        if json:
            return _Channel(JsonText(Opener(program, tally, path, judge), tally), judge, restorer)
        return _Channel(Text(program, tally, path, judge=judge), None, restorer)

    def _goes_on(self, channel: str, role: str) -> bool:
        """A text that was over goes on: whether that ends the stream."""
        program = self._plan.program(role) if self._plan is not None else None
        if program is not None:
            self._tally.failed("engine", "TextAfterItsEnd", program.rules)
        self._loose.discard(channel)
        return self._tally.blocked

    def _broken(self, error: Exception) -> str:
        """The machine itself failed, and what it held is not known to be safe: the stream ends here, open or closed."""
        self._tally.failed("engine", type(error).__name__, self._plan.rules if self._plan is not None else ())
        self.blocked = self._tally.blocked = True
        return ""
