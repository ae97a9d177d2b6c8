"""Hyperscan and google-re2 as the gate needs them: the one place that knows these two libraries, both optional."""

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Protocol


class CompileError(ValueError):
    """Hyperscan's own words about a set it cannot compile."""


class Found(Protocol):
    """A match of either regular expression library."""

    def start(self) -> int: ...

    def end(self) -> int: ...


Search = Callable[[bytes, int], Found | None]


class Scratch(Protocol):
    """Hyperscan's working memory for one scan at a time."""

    def clone(self) -> "Scratch": ...


class Database(Protocol):
    """A compiled Hyperscan database."""

    def scan(
        self,
        data: bytes,
        match_event_handler: Callable[[int, int, int, int, list[tuple[int, int]]], None],
        flags: int,
        context: list[tuple[int, int]],
        scratch: Scratch,
    ) -> None: ...


def collect(expression: int, _start: int, end: int, _flags: int, hits: list[tuple[int, int]]) -> None:
    """The callback of a scan. It lives in the module because Hyperscan keeps no reference to it."""
    hits.append((expression, end))


def hyperscan_version() -> bytes:
    """Version of the binding, which carries the engine; empty where it is not installed."""
    try:
        hyperscan: Any = import_module("hyperscan")
    except ImportError:
        return b""
    return str(hyperscan.__version__).encode()


def compile_database(expressions: Sequence[tuple[bytes, bool, bool]], once: bool = False) -> Database:
    """Compile (pattern, caseless, prefilter) for block scans; ids are positions. `once`: it is enough to tell of the
    first match of each. Raises CompileError."""
    hyperscan: Any = import_module("hyperscan")
    every = hyperscan.HS_FLAG_SINGLEMATCH if once else 0

    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    flags = [
        every | (hyperscan.HS_FLAG_CASELESS if caseless else 0) | (hyperscan.HS_FLAG_PREFILTER if prefilter else 0)
        for _, caseless, prefilter in expressions
    ]
    try:
        database.compile(
            expressions=[pattern for pattern, _, _ in expressions],
            ids=list(range(len(expressions))),
            elements=len(expressions),
            flags=flags,
        )
    except hyperscan.HyperscanError as error:
        raise CompileError(_reason(error)) from None
    return database


def _reason(error: Exception) -> str:
    words = error.args[0] if error.args else error
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)


def compile_fails(expressions: Sequence[tuple[bytes, bool, bool]]) -> bool:
    try:
        compile_database(expressions)
    except CompileError:
        return True
    return False


def new_scratch(database: Database) -> Scratch:
    hyperscan: Any = import_module("hyperscan")

    return hyperscan.Scratch(database)


def clone_scratch(scratch: Scratch) -> Scratch:
    return scratch.clone()


def dump_database(database: Database) -> bytes:
    hyperscan: Any = import_module("hyperscan")

    return hyperscan.dumpb(database)


def load_database(saved: bytes) -> Database | None:
    """A database from `dump_database`; None if it was made for another CPU or version, or is damaged."""
    hyperscan: Any = import_module("hyperscan")

    try:
        database = hyperscan.loadb(saved, hyperscan.HS_MODE_BLOCK)
        hyperscan.Scratch(database)
    except hyperscan.HyperscanError:
        return None
    return database


def re2_set(
    patterns: Sequence[tuple[bytes, bool]],
) -> tuple[Callable[[bytes], list[int] | None] | None, list[int], dict[int, Search]]:
    """A set over the (pattern, caseless) that RE2 can express: what tells which of its members occur in some bytes
    (None when it has no member), the position of each member, and by position what searches it alone from an offset
    on."""
    re2: Any = import_module("re2")

    options = {caseless: _re2_options(re2, caseless) for caseless in (False, True)}
    # One set has one case: what ignores case says so itself.
    together: Any = re2.Set.SearchSet(options[False])
    members: list[int] = []
    searches: dict[int, Search] = {}
    for position, (pattern, caseless) in enumerate(patterns):
        try:
            spaced = with_vertical_tab(pattern)
            alone = re2.compile(spaced, options[caseless])
            together.Add(b"(?i:" + spaced + b")" if caseless else spaced)
        except re2.error:
            continue
        members.append(position)
        searches[position] = alone.search
    if not members:
        return None, [], {}
    together.Compile()
    return together.Match, members, searches


_PIECE = re.compile(rb"\\.|\[\^?\]?|.", re.DOTALL)


def with_vertical_tab(pattern: bytes) -> bytes:
    """RE2's `\\s` is the only one of the three that leaves out the vertical tab."""
    pieces: list[bytes] = []
    inside = False
    for piece in _PIECE.findall(pattern):
        if piece == b"\\s":
            pieces.append(b"\\s\\x0b" if inside else b"[\\s\\x0b]")
            continue
        if not inside and piece.startswith(b"["):
            inside = True
        elif inside and piece.endswith(b"]") and not piece.startswith(b"\\"):
            inside = False
        pieces.append(piece)
    return b"".join(pieces)


def _re2_options(re2: Any, caseless: bool) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = not caseless
    options.log_errors = False
    options.max_mem = 1 << 28
    return options
