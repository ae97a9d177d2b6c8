"""The log-probabilities of a whole answer: which of its tokens go on beside the texts as guardrails leave them.

What a stream's events lose (`gateway/inspection/beside.py`), a whole answer loses: tokens of which a part was replaced,
tokens of no text, alternatives, token ids. To know what was replaced, a text that has tokens is judged once more, as a
stream that comes in one piece.
"""

import re
from collections.abc import Callable, Collection, Sequence
from functools import partial

from gateway.errors import UpstreamBroken
from gateway.facts import Segment
from gateway.inspection.follow import Follower, Stages, kept
from gateway.inspection.logprobs import Token, nothing_told, read
from gateway.inspection.rewrite import Edit, splice
from gateway.inspection.scan import REPEATED, Path, is_free, scan
from gateway.wire.surfaces import steps
from guardrails.engine import JSON_PATHS
from guardrails.interface import StreamInspector

_NAMES = tuple([b'"%b"' % name.encode() for name in sorted(REPEATED)])
_FILLED = re.compile(rb"\s*:\s*[\[{]").match
_SPELLED = re.compile(rb"\\u00[4-7][0-9a-fA-F]").search
"""A letter that nobody writes so, and that may be one of a name."""
_MOST = 400_000
"""Values of an answer that has log-probabilities, beside those."""

Open = Callable[[], StreamInspector | None]
"""Begins to judge a text; None: nothing happens to it."""
Trim = Callable[[bytes, Sequence[Segment]], bytes]
"""`trimmed` of one answer: its body and its texts."""


def trim_of(body: bytes, begin: Open, other: Open | None) -> Trim | None:
    """What takes out of an answer the log-probabilities that may not go on; None: it has none, or nothing can happen to
    its texts. `other`: of rules that judge it afterwards."""
    if not _is_present(body):
        return None
    inspectors = [begin(), other() if other is not None else None]
    judged = any(each is not None and each.changes for each in inspectors)
    if not judged and not any(each is not None and each.restores for each in inspectors):
        return None
    return partial(trimmed, judged=judged, begin=begin)


def _is_present(body: bytes) -> bool:
    """Whether an answer may have log-probabilities; most have a member for them that is null."""
    for name in _NAMES:
        at = body.find(name)
        while at >= 0:
            at += len(name)
            if _FILLED(body, at) is not None:
                return True
            at = body.find(name, at)
    return b"\\u00" in body and _SPELLED(body) is not None


def trimmed(body: bytes, segments: Sequence[Segment], judged: bool, begin: Open) -> bytes:
    """`body` with those of its tokens that may go on. `segments`: its texts as they came; `judged`: rules may change
    them. Raises `UpstreamBroken` for a body whose log-probabilities cannot be found: it has a member twice, is nested
    too deeply, or is too large."""
    try:
        leaves = scan(body, most=_MOST).leaves
    except ValueError:
        raise UpstreamBroken("The provider's answer has log-probabilities, and cannot be read.") from None
    found = [leaf for leaf in leaves if body[leaf.start] in b"{[" and not is_free(leaf.path)]
    texts = [(tuple(way), each) for each in segments if (way := steps(each.path))] if found else []
    near = _by_place(texts, {len(leaf.path) - 1 for leaf in found})
    edits: list[Edit] = []
    for leaf in found:
        told = read(body[leaf.start : leaf.end], judged)
        beside = near.get(leaf.path[:-1], [])
        lists = {
            name: _kept(name, tokens, beside, begin) if tokens else [] for name, tokens in told.lists.items()
        } if told is not None else {}  # fmt: skip
        if told is None or not told.whole or lists != told.lists:
            form = told or nothing_told(body[leaf.start])
            edits.append((leaf.start, leaf.end, form.written(lists)))
    return splice(body, edits) if edits else body


def _by_place(texts: Sequence[tuple[Path, Segment]], depths: Collection[int]) -> dict[Path, list[tuple[Path, Segment]]]:
    """The texts by what they stand in at these depths: an answer may have thousands of choices."""
    near: dict[Path, list[tuple[Path, Segment]]] = {}
    for way, each in texts:
        for depth in depths:
            if depth <= len(way):
                near.setdefault(way[:depth], []).append((way, each))
    return near


def _kept(name: str, tokens: Sequence[Token], beside: Sequence[tuple[Path, Segment]], begin: Open) -> list[Token]:
    """The tokens that may go on: of the text they are of, one whose name is theirs rather than another."""
    fitting = [
        (bool(name) and name not in way, at)
        for at, (way, each) in enumerate(beside)
        if Follower(None if _is_document(each) else ()).accepts(each.text, tokens)
    ]
    if not fitting:
        return []
    segment = beside[min(fitting)[1]][1]
    stages, new = _judged(segment, begin())
    return kept(segment.text, new, stages, name, tokens).get(name, [])


def _judged(segment: Segment, inspector: StreamInspector | None) -> tuple[Stages | None, str]:
    """What the text goes through, and becomes."""
    if inspector is None:
        return (), segment.text
    document = _is_document(segment)
    stages = inspector.follow("text", segment.role, document)
    new = inspector.feed("text", segment.text, segment.role, document) + inspector.flush("text")
    return (None, "") if inspector.blocked else (stages, new)


def _is_document(segment: Segment) -> bool:
    return segment.path.endswith(JSON_PATHS)
