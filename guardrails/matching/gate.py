"""The gate: every expression of every detector over the bytes of a text, in one pass.

Three engines stand behind one seam: Hyperscan (one automaton for everything; microseconds), google-re2 (a set tells
which expressions occur, then each of those is searched) and the standard library's `re` (each expression by itself; for
trusted expressions only, because it backtracks). `open_gate` takes the first that is installed.

What a scan promises, whatever the engine: for each expression and each byte offset at which it can match, the end that
`re` would choose for a match from there is among the hits. Hyperscan reports every other end of every match too, and
with `Expression.prefilter` more than that; the other two report the place behind every start, too, for an expression
that is `wide`. So a detector takes a hit to mean "something may end here or hereabouts", and looks itself; one of fixed
length tells it the start as well.

Expressions see bytes. Of these the three engines think alike: literals, classes, `.`, groups, alternation, repeats
(greedy or not), `\\d \\w \\s \\b` and their opposites (all ASCII: a byte above 0x7f is no word character), and `^` or
`\\A` at the very beginning. `$` and `\\Z` are left out because an end of text is not a fact on a stream. A pattern that
is meant for characters is brought into this shape by `guardrails/matching/widening.py`.
"""

import contextlib
import hashlib
import importlib.util
import re
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from guardrails.detector import Expression
from guardrails.matching import engines
from guardrails.matching.implied import fewer

Backend = Literal["hyperscan", "re2", "re"]
BACKENDS: tuple[Backend, ...] = ("hyperscan", "re2", "re")
_MODULES: dict[Backend, str] = {"hyperscan": "hyperscan", "re2": "re2", "re": "re"}
_MAGIC = b"tollway-gate-2\n"
SHORT = 4096
"""Bytes of a text that the small automaton sees first; in a longer one there is mostly something for the other."""
_LENGTH = 8
"""Bytes of a length in a saved gate."""


class GateError(ValueError):
    """An expression no gate can be built from: says which one, and what is wrong with it, without quoting it."""


class Gate(Protocol):
    """Compiled expressions. Safe to use from several threads at once."""

    backend: Backend
    why: str
    """One sentence for the log: which engine, and why not a faster one."""
    expressions: tuple[Expression, ...]

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        """(index of expression, end offset in bytes) of every hit, in no particular order, perhaps with repetitions.
        Never raises on any bytes."""
        ...

    def dump(self) -> bytes:
        """What `open_gate(..., compiled=...)` takes to start without compiling; empty where there is nothing to save.
        Made by this version of the engine for this kind of CPU; anywhere else it is ignored and made anew. Not a format
        for strangers: load only what you wrote yourself."""
        ...


def open_gate(expressions: Sequence[Expression], prefer: Backend | None = None, compiled: bytes = b"") -> Gate:
    """Compile a gate with the fastest engine that is installed, or with `prefer`.

    Raises GateError: `prefer` is not installed; an expression is malformed, can match the empty text (it would hit
    everywhere), or is too much for the engine.
    """
    everything = tuple(expressions)
    for index, expression in enumerate(everything):
        _check(index, expression)
    installed: list[Backend] = [backend for backend in BACKENDS if importlib.util.find_spec(_MODULES[backend])]
    if prefer is not None and prefer not in installed:
        raise GateError(f"the {prefer} engine is not installed; installed: {', '.join(installed)}")
    if not everything:
        return ReGate(everything, "there is nothing to look for")
    backend = prefer or installed[0]
    why = _why(backend, installed)
    if backend == "hyperscan":
        return HyperscanGate(everything, why, compiled)
    return Re2Gate(everything, why) if backend == "re2" else ReGate(everything, why)


def _why(backend: Backend, installed: Sequence[Backend]) -> str:
    faster = BACKENDS[: BACKENDS.index(backend)]
    missing = [other for other in faster if other not in installed]
    if not faster:
        return "hyperscan: one pass over the text"
    reason = f"{' and '.join(missing)} not installed" if missing else "asked for"
    return f"{backend}: slower than {BACKENDS[0]} with the same findings ({reason})"


def _check(index: int, expression: Expression) -> None:
    try:
        alone = _python(expression)
    except (re.error, RecursionError, OverflowError) as error:
        raise GateError(f"expression {index} is not a regular expression: {getattr(error, 'msg', error)}") from None
    if alone.fullmatch(b""):
        raise GateError(f"expression {index} matches the empty text, so it would be found everywhere")


def _python(expression: Expression) -> re.Pattern[bytes]:
    return re.compile(_encoded(expression.pattern), re.IGNORECASE if expression.caseless else 0)


def _encoded(pattern: str) -> bytes:
    return pattern.encode("utf-8", "surrogatepass")


def fingerprint(expressions: Sequence[Expression]) -> bytes:
    """32 bytes that differ whenever a saved gate of other expressions or of another engine's version would differ."""
    digest = hashlib.sha256(_MAGIC + engines.hyperscan_version())
    for expression in expressions:
        pattern = _encoded(expression.pattern)
        digest.update(b"%d %d %d\n" % (len(pattern), expression.caseless, expression.prefilter) + pattern)
    return digest.digest()


def _for_hyperscan(expressions: Sequence[Expression]) -> list[tuple[bytes, bool, bool]]:
    return [(_encoded(e.pattern), e.caseless, e.prefilter) for e in expressions]


class HyperscanGate:
    """One Hyperscan database in block mode; before it a small one, which sees whether a text of ASCII may have
    anything in it (`guardrails/matching/implied.py`)."""

    backend: Backend = "hyperscan"

    def __init__(self, expressions: tuple[Expression, ...], why: str, compiled: bytes = b"") -> None:
        self.expressions = expressions
        self.why = why
        self._header = _MAGIC + fingerprint(expressions)
        saved = self._load(compiled)
        self.loaded = saved is not None
        """Whether `compiled` was used."""
        small, every = saved or self._compile()
        self._small = _Automaton(small) if small is not None else None
        self._every = _Automaton(every)

    def _load(self, compiled: bytes) -> tuple[engines.Database | None, engines.Database] | None:
        if not compiled.startswith(self._header):
            return None
        rest = compiled[len(self._header) :]
        size = int.from_bytes(rest[:_LENGTH])
        small = engines.load_database(rest[_LENGTH : _LENGTH + size]) if size else None
        every = engines.load_database(rest[_LENGTH + size :])
        return None if every is None or (size and small is None) else (small, every)

    def _compile(self) -> tuple[engines.Database | None, engines.Database]:
        try:
            every = engines.compile_database(_for_hyperscan(self.expressions))
        except engines.CompileError as error:
            raise GateError(self._blame(str(error))) from None
        small = None
        if few := fewer(self.expressions):
            with contextlib.suppress(engines.CompileError):
                small = engines.compile_database(_for_hyperscan(few), once=True)
        return small, every

    def _blame(self, message: str) -> str:
        """Hyperscan does not say which expression it dislikes: halve the set until one is left."""
        low, high = 0, len(self.expressions)
        while high - low > 1:
            middle = (low + high) // 2
            if engines.compile_fails(_for_hyperscan(self.expressions[low:middle])):
                high = middle
            else:
                low = middle
        return f"expression {low} is not possible in the gate: {message}"

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        if self._small is not None and len(data) <= SHORT and data.isascii() and not self._small.scan(data):
            return []
        return self._every.scan(data)

    def dump(self) -> bytes:
        small = engines.dump_database(self._small.database) if self._small is not None else b""
        return self._header + len(small).to_bytes(_LENGTH) + small + engines.dump_database(self._every.database)


class _Automaton:
    """A database, with what scans need."""

    __slots__ = ("_idle", "_scan", "_scratch", "database")

    def __init__(self, database: engines.Database) -> None:
        self.database = database
        self._scan = database.scan
        self._scratch = engines.new_scratch(database)
        # One scratch serves one scan at a time, also where threads overlap because Hyperscan lets the GIL go. Idle ones
        # wait here; taking from a list and putting back are atomic.
        self._idle = [engines.clone_scratch(self._scratch)]

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        hits: list[tuple[int, int]] = []
        try:
            scratch = self._idle.pop()
        except IndexError:
            scratch = engines.clone_scratch(self._scratch)
        self._scan(data, engines.collect, 0, hits, scratch)
        self._idle.append(scratch)
        return hits


class Re2Gate:
    """A re2.Set tells which expressions occur; each of those is then searched by itself. What RE2 cannot express (the
    prefilter ones: look-arounds, back-references) is searched with `re`."""

    backend: Backend = "re2"

    def __init__(self, expressions: tuple[Expression, ...], why: str) -> None:
        self.expressions = expressions
        self.why = why
        self._set: Callable[[bytes], list[int] | None] | None
        self._set, self._members, self._searches = engines.re2_set(
            [(_encoded(e.pattern), e.caseless) for e in expressions]
        )
        self._others = [(index, _python(e)) for index, e in enumerate(expressions) if index not in self._searches]

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        hits: list[tuple[int, int]] = []
        if self._set is not None:
            for member in self._set(data) or ():
                index = self._members[member]
                _ends(self._searches[index], data, index, hits, self.expressions[index].wide)
        for index, pattern in self._others:
            _ends(pattern.search, data, index, hits, self.expressions[index].wide)
        return hits

    def dump(self) -> bytes:
        return b""


class ReGate:
    """Each expression by itself, with the standard library. For expressions one trusts: it backtracks."""

    backend: Backend = "re"

    def __init__(self, expressions: tuple[Expression, ...], why: str) -> None:
        self.expressions = expressions
        self.why = why
        self._patterns = [_python(e) for e in expressions]

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        hits: list[tuple[int, int]] = []
        for index, pattern in enumerate(self._patterns):
            _ends(pattern.search, data, index, hits, self.expressions[index].wide)
        return hits

    def dump(self) -> bytes:
        return b""


def _ends(search: engines.Search, data: bytes, index: int, hits: list[tuple[int, int]], wide: bool) -> None:
    """The end of the preferred match from every start, looking from each start's successor on; `wide`: and the first
    place inside of it, because the one that is meant may be shorter."""
    found = search(data, 0)
    while found is not None:
        behind = found.start() + 1
        hits.append((index, found.end()))
        if wide and behind < found.end():
            hits.append((index, behind))
        found = search(data, behind)
