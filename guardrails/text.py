"""The machine that judges and rewrites one text, whole or in pieces: its parts come out as soon as they are certain.

Three marks move over the text, each at most as far as the next. Up to `done` it has been passed on. Up to `known` it is
certain which matches start there: `Detector.settled` says so, and the reach of a detector bounds how far back that can
be. Behind `known` is what was fed last. A character is passed on when it is known which match it belongs to, and a
match when all of it is known; `guardrails/resolve.py` makes that a question of the matches that cover a character.
So what comes out is a function of the text and never of how it was cut, and a whole text is the same machine fed once.

Held back is at most twice the longest reach. Kept is that and the left context. A text that makes a detector wait
without end is looked at again only after it grew by a sixteenth of what is held, so that the work stays linear.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence

from guardrails.actions import label, replacement
from guardrails.detector import Hit, Match
from guardrails.interface import Action, Replaced
from guardrails.judging import Judge
from guardrails.matching.offsets import behind
from guardrails.policy import SEVERITY
from guardrails.program import PIECE, SLICE, CompiledRule, Program
from guardrails.resolve import Candidate, by_start, runs
from guardrails.spelling import Spelling, sound
from guardrails.tally import Tally

_PATIENT = 256
"""Characters held back from which on the machine waits for more before it looks again."""
_SLACK = 64
"""Characters that may be kept longer than needed, so that the window is not copied on every feed."""
_WORDS = re.compile("[A-Za-z \n,.;'!?]*+").fullmatch
"""What `Reach.wordwise` is about."""


class Text:
    """One text. `path`: of its segment; `origin`: where it begins in that segment; `rewritable`: whether its source can
    take other text, else what would rewrite it blocks it; `quoted`: what is written stands inside a JSON string."""

    __slots__ = (
        "_base", "_buf", "_dead", "_done", "_judge", "_known", "_limit", "_odd", "_origin", "_path", "_pending",
        "_program", "_quiet", "_quoted", "_rewritable", "_run", "_spelling", "_tally", "_tried", "replaced", "shift",
    )  # fmt: skip

    def __init__(
        self,
        program: Program,
        tally: Tally,
        path: str,
        origin: int = 0,
        *,
        rewritable: bool = True,
        quoted: bool = False,
        judge: Judge | None = None,
    ) -> None:
        self._program = program
        self._tally = tally
        self._path = path
        self._origin = origin
        self._rewritable = rewritable
        self._quoted = quoted
        self._judge = judge
        self._buf = ""
        self._base: int = 0
        self._tried: int = 0
        self._done: int = 0
        self._known: int = 0
        self._quiet: int = 0
        """No hit of the gate that ends up to here has anything to do with a match that is not known."""
        self._odd: int = 0
        """From here on the text is words, as `_WORDS` knows them."""
        self._run: int = -1
        """If `known` is here, it is behind a blank or line feed that no match from before `odd` reaches over."""
        self._limit = program.shortest
        self._pending: list[Candidate] = []
        self._spelling: Spelling | None = None
        self._dead: set[int] = set()
        self.shift: int = 0
        """Characters more that were passed on than were taken, up to `done`."""
        self.replaced: list[Replaced] | None = None
        """See `guardrails/interface.py`; None: nobody asked."""

    def held(self) -> int:
        """Characters taken and not passed on."""
        return self._base + len(self._buf) - self._done

    @property
    def taken(self) -> int:
        """Characters taken."""
        return self._base + len(self._buf)

    @property
    def passed(self) -> int:
        """Characters passed on or replaced."""
        return self._done

    def feed(self, text: str, spelled: Sequence[tuple[int, str]] = (), final: bool = False) -> str:
        """Take more of the text; returns what is certain by now. `spelled`: characters of it, by index, that the source
        writes otherwise. `final`: this was the last of it. Nothing is returned once the inspection is blocked."""
        judge = self._judge
        if judge is None and not spelled and text.isascii():
            if self._tally.blocked:
                return ""
            worded = not final and _WORDS(text) is not None
            if worded and self._odd <= self._known:
                passed = self._words(text)
                if passed is not None:
                    return passed
            return self._more(text, final, worded)
        begin = self._base + len(self._buf)
        if not text.isascii():
            text, spelled = sound(text, spelled)
        if spelled:
            self._spell(begin, spelled)
        if judge is None:
            return self._take(text, final)
        out: list[str] = []
        while text and not self._tally.blocked:
            piece = text if judge.room >= len(text) else text[: int(judge.room)]
            text = text[len(piece) :]
            out.append(self._take(piece, False))
            judge.add(piece)
        if final:
            out.append(self._take("", True))
        return "".join(out)

    def finish(self) -> str:
        """The text is complete: the rest of it."""
        if self._judge is not None:
            self._judge.finish()
        return self._take("", True)

    def whole(self, text: str, hits: Mapping[int, Sequence[Hit]] | None = None) -> str:
        """The same for a text that is all there. `hits`: what the gate saw in it, if it was asked already; then the
        text has UTF-8 bytes."""
        if hits is None and not text.isascii():
            text, spelled = sound(text, ())
            if spelled:
                self._spell(0, spelled)
        if self._judge is not None:
            self._judge.add(text)
            self._judge.finish()
        return self._take(text, True, hits)

    def bring(self, rules: Sequence[CompiledRule], match: Match, source: str) -> None:
        """A match somebody else found in this text, `source`, before any of it is fed."""
        if 0 <= match.start < match.end <= len(source):
            self._consider(rules, match, 0, source, len(source))
            self._pending.sort(key=by_start)

    def _spell(self, begin: int, spelled: Sequence[tuple[int, str]]) -> None:
        if self._spelling is None:
            self._spelling = Spelling()
        self._spelling.add(begin, spelled)

    def _words(self, text: str) -> str | None:
        """`_take` for words on words, where nothing is found and nothing is waited for; None: it is not that simple.
        This is what most pieces of most answers cost, so that it calls as little as it can."""
        if self._pending or self._dead or self._spelling is not None:
            return None
        program = self._program
        buf = self._buf + text
        base = self._base
        word = buf.rfind(" ") + 1
        if line := buf.rfind("\n", word) + 1:
            word = line
        end, certain = base + len(buf), base + word
        if end - certain > program.word or end > self._limit or certain > program.cap:
            return None
        known = self._known
        if certain <= known:
            self._buf = buf
            return ""
        out = buf[self._done - base : word]
        if known == self._run and out in program.lone.known:
            # By `Reach.wordwise` all that starts in it is as it will be, whatever has begun behind it.
            self._quiet = certain
        elif not self._is_quiet(buf, end):
            return None
        elif known == self._run:
            program.lone.add(out)
        self._known = self._done = certain
        if not self._odd or certain - self._odd > program.lone.tail:
            self._run = certain
        keep = certain - program.plain if buf.isascii() else certain - program.before
        if keep - base > _SLACK:
            self._base = keep
            buf = buf[keep - base :]
        self._buf = buf
        return out

    def _take(self, text: str, final: bool, hits: Mapping[int, Sequence[Hit]] | None = None) -> str:
        if self._tally.blocked:
            return ""
        worded = not final and _WORDS(text) is not None
        if worded and self._odd <= self._known:
            passed = self._words(text)
            if passed is not None:
                return passed
        return self._more(text, final, worded, hits)

    def _more(self, text: str, final: bool, worded: bool, hits: Mapping[int, Sequence[Hit]] | None = None) -> str:
        """`_take` where it is not that simple."""
        buf = self._buf = self._buf + text if self._buf else text
        end = self._base + len(buf)
        if end > self._limit:
            self._beyond(end)
        if final:
            certain = end
        else:
            if not worded:
                self._odd = end
            held = end - self._done
            if held > _PATIENT and end - self._tried < held >> 4:
                return ""
            self._tried = end
            certain = end
            if self._known < self._program.cap:
                certain += self._program.settled(buf, self._dead, self._failed) - len(buf)
            if certain <= self._known:
                return ""
        out = ""
        long = self._tally.breathe is not None and certain - self._known > PIECE
        if final or long or certain > self._program.cap or not self._is_quiet(buf, end):
            out = self._look(certain, hits)
        self._known = certain
        if self._tally.blocked:
            return ""
        out += self._passed(certain)
        if certain - self._program.plain - self._base > _SLACK:
            self._trim()
        return out

    def _is_quiet(self, buf: str, end: int) -> bool:
        """Whether a glance of the gate at what is new shows that no match starts up to where that is certain.

        What was not seen before ends behind `quiet`, or right there if it looks at the character behind. So it begins
        as far before that as the longest match, and where there are only words, in the word there or as far before as
        the longest match with blanks.
        """
        program = self._program
        gate = program.gate
        if gate is None or not program.gated:
            return False
        quiet, extent = self._quiet - self._base, program.extent
        if self._quiet - self._odd > extent.longest:
            start = quiet - extent.words - 2
            if start > 0 and (blank := buf.rfind(" ", 0, quiet)) < start:
                start = blank
        else:
            start = quiet - extent.longest - 2
        if start < 0:
            start = 0
        try:
            seen = gate.scan((buf[start:] if start else buf).encode())
        except Exception:
            return False  # `_find` finds that out again, and answers for it
        if seen:
            if not buf.isascii():
                return False
            known = self._known - self._base - start
            if any(place > known - program.lead_of[expression] for expression, place in seen):
                return False
        self._quiet = end
        return True

    def _look(self, high: int, hits: Mapping[int, Sequence[Hit]] | None) -> str:
        """Find the matches that start before `high` and were not known. Returns what could be passed on meanwhile."""
        program = self._program
        cap = program.cap
        base = self._base
        if high <= cap:
            if hits is None and high - self._known > (SLICE if self._tally.breathe is None else PIECE):
                return self._find_sliced(high)
            self._find(self._buf, base, self._known, high, hits)
            return ""
        low = int(cap)
        out = self._find_sliced(low) if self._known < low else ""
        if program.both_ends:
            low = max(low, high - low)
            window = max(low - program.before, 0)
            self._find(self._buf[window:], window, low, high, None)
        return out

    def _find_sliced(self, high: int) -> str:
        """The same as `_find` up to `high`, in steps: a text of nothing but hits would need a hundred bytes for each
        of its own. By locality no match knows the difference. Where others wait for their turn, the steps are shorter,
        and what is certain is acted on at every step, unless it blocks: a blocked text is looked at to its end."""
        program, base, breathe = self._program, self._base, self._tally.breathe
        farthest = max(program.reach.values(), default=0)
        size = SLICE if breathe is None else PIECE
        out: list[str] = []
        known, blocks = self._known, False
        while known < high:
            stop, begin = min(known + size, high), max(known - program.before, base)
            self._find(self._buf[begin - base : stop - base + farthest], begin, known, stop, None)
            known = stop
            if breathe is not None:
                breathe()
                if not (blocks := blocks or self._tally.blocked or any(each.blocks for each in self._pending)):
                    out.append(self._passed(known))
        return "".join(out)

    def _find(self, window: str, base: int, low: int, high: int, hits: Mapping[int, Sequence[Hit]] | None) -> None:
        """Find the matches that start in `low..high`, looking at `window` alone, which begins at `base`."""
        program = self._program
        scanner = program.scanner
        gate = program.gate
        if hits is None and gate is not None:
            try:
                seen = gate.scan(window.encode())
                hits = scanner.by_detector(seen) if seen else None
            except Exception as error:
                for number in program.detectors:
                    if scanner.detectors[number].expressions:
                        self._failed(number, error)
                return
        if hits is None and program.gated:
            return
        whole = self._base + len(self._buf) if self._tally.direction == "request" else math.inf
        tally, breathe, paused = self._tally, self._tally.breathe, program.paused
        for number in program.detectors:
            detector = scanner.detectors[number]
            own = hits.get(number, ()) if hits is not None else ()
            if own and low > base:
                own = behind(own, window, low - base - program.leads[number])
            if (not own and detector.expressions) or number in self._dead:
                continue
            since = tally.timer() - tally.paused if tally.timer is not None else 0
            try:
                pausing = paused.get(number)
                for match in pausing(window, own, breathe) if pausing and breathe else detector.confirm(window, own):
                    if low <= base + match.start < high:
                        if not match.start < match.end <= len(window):
                            raise IndexError
                        self._consider(program.rules_of[number], match, base, window, whole)
            except Exception as error:
                self._failed(number, error)
            tally.took(detector.name, since)
        if len(self._pending) > 1:
            self._pending.sort(key=by_start)

    def _consider(self, rules: Sequence[CompiledRule], match: Match, base: int, window: str, whole: float) -> None:
        """Ask every rule of a detector about its match."""
        over = self._tally.over
        for compiled in rules:
            if compiled in over:
                continue
            if compiled.wants(match) and compiled.reaches(base + match.start, whole):
                value = window[match.start : match.end]
                if not compiled.allows(value, self._tally.hasher):
                    self._note(compiled, match, base + match.start, base + match.end, value)

    def _note(
        self, compiled: CompiledRule, match: Match, start: int, end: int, value: str, action: Action | None = None
    ) -> None:
        """Count a finding, and remember it if it is to be acted on."""
        rewrites = action is None and compiled.rewrites
        action = action or compiled.rule.action
        blocks = action == "block" or (rewrites and not self._rewritable)
        if blocks:
            action = "block"
        spelling = self._spelling
        first, last = (start, end) if spelling is None else (spelling.offset(start), spelling.offset(end))
        tally = self._tally
        tally.found(compiled, match, self._path, self._origin + first, self._origin + last, value, action)
        if (blocks or rewrites) and tally.mode(compiled) == "enforce":
            severity = SEVERITY["block"] if blocks else compiled.severity
            self._pending.append(
                Candidate(start, end, match.score, match.type, action, severity, compiled.place, blocks)
            )

    def _beyond(self, end: int) -> None:
        """The text is longer than some rules look: what they want then stands where their limit is."""
        exceeded, self._limit = self._program.exceeded(self._limit, end)
        for compiled in exceeded:
            limit = compiled.rule.max_scan
            match = Match("SCAN_LIMIT", limit, limit + 1, 1.0, "scan_limit", "limit")
            self._note(compiled, match, limit, limit + 1, "", "block" if compiled.rule.beyond == "block" else "allow")
        self._pending.sort(key=by_start)

    def _failed(self, number: int, error: Exception) -> None:
        """A detector broke: it is not asked about this text again."""
        if number not in self._dead:
            self._dead.add(number)
            detector = self._program.scanner.detectors[number]
            self._tally.failed(detector.name, type(error).__name__, self._program.rules_of[number])

    def _passed(self, certain: int) -> str:
        done = self._done
        if self._pending:
            return self._acted(done, certain)
        self._done = certain
        return self._source(done, certain)

    def _acted(self, done: int, certain: int) -> str:
        """The same where there are matches to act on."""
        parts: list[str] = []
        for run in runs(self._pending, done, certain):
            owner = run.owner
            if done < run.start:
                parts.append(self._source(done, run.start))
                done = run.start
            if owner.end > certain:
                break
            if owner.blocks:
                self._tally.blocked = True
                break
            written = self._written(owner, run.end - run.start == owner.end - owner.start)
            parts.append(written)
            self.shift += len(written) - (run.end - done)
            if self.replaced is not None:
                self.replaced.append((done, run.end, self.shift))
            done = run.end
        else:
            parts.append(self._source(done, certain))
            done = certain
        self._done = done
        self._pending = [candidate for candidate in self._pending if candidate.end > done]
        return "".join(parts)

    def _written(self, owner: Candidate, whole: bool) -> str:
        """What stands in the place of a run of `owner`."""
        if owner.written:
            return ""
        owner.written = True
        if not whole:
            return self._quote(label(owner.type))
        value = self._buf[owner.start - self._base : owner.end - self._base]
        tally = self._tally
        return self._quote(replacement(owner.action, owner.type, value, tally.hasher, tally.vault))

    def _quote(self, text: str) -> str:
        return json.dumps(text)[1:-1] if self._quoted else text

    def _source(self, start: int, end: int) -> str:
        base = self._base
        if self._spelling is not None:
            return self._spelling.source(self._buf, base, start, end)
        return self._buf[start - base : end - base]

    def _trim(self) -> None:
        """Forget what is neither held back nor left context of what comes."""
        keep = min(self._done, self._known - (self._program.plain if self._buf.isascii() else self._program.before))
        if keep - self._base > _SLACK:
            self._buf = self._buf[keep - self._base :]
            self._base = keep
            if self._spelling is not None:
                self._spelling.forget(keep)
