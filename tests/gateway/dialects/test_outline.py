"""What is read from a body without the insides of its long strings is what is read from the body."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import outline as module
from gateway.dialects.outline import Outline, Unsound, _unescaped_before, outlined
from gateway.dialects.quick import prompt_segments
from gateway.facts import Segment

MARK = b"0123456789abcdef" * 2
ATOMS = [
    b"a", b"a" * 50, b'\\"', b"\\\\", b"\\n", b"\\u00e9", b"\\ud83d\\ude00", "é".encode(), "😀".encode(), b"1,",
]  # fmt: skip
BROKEN = [b"\\ud83d", b"\\ude00", b"\x01", b"\xff", b'"', b"\\", b"\\x"]
STRINGS = st.lists(st.sampled_from(ATOMS), max_size=40).map(lambda atoms: b'"%b"' % b"".join(atoms))
PERHAPS = st.lists(st.sampled_from(ATOMS * 4 + BROKEN), max_size=40).map(lambda atoms: b'"%b"' % b"".join(atoms))
NUMBERS = st.integers(1, 90).map(lambda count: b"[%b]" % b",".join([b"1"] * count))


def documents(strings: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Bodies, with blanks here and there."""
    values = st.recursive(
        strings | NUMBERS,
        lambda inner: (
            st.lists(inner, max_size=4).map(lambda items: b"[%b]" % b",".join(items))
            | st.lists(st.tuples(strings, st.sampled_from([b"", b" " * 90]), inner), max_size=4).map(
                lambda members: b"{%b}" % b",".join([b"%b:%b%b" % member for member in members])
            )
        ),
        max_leaves=12,
    )
    return st.tuples(values, values).map(lambda pair: b'{"model":"m","messages":%b,"x":%b}' % pair)


def nobody() -> None:
    """Nobody waits."""


def is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
        body.decode()
    except ValueError:
        return False
    return True


def is_loose_json(body: bytes) -> bool:
    try:
        json.loads(body.decode())
    except ValueError:
        return False
    return True


def texts(segments: list[Segment]) -> list[tuple[str, str]]:
    return [(segment.role, segment.text) for segment in segments]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strings are long, and pieces over, after some characters."""
    monkeypatch.setattr(module, "STRETCH", 64)
    monkeypatch.setattr(module, "PIECE", 40)
    monkeypatch.setattr(module, "_WIDE", 50)
    kept = re.compile(module._KEPT.pattern.replace(b"520", b"4"))  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(module, "_KEPT", kept)


@settings(max_examples=300)
@given(documents(STRINGS))
def test_its_texts_are_those_of_the_body(body: bytes) -> None:
    """ "Has the same values but for what the marks stand for", and `filled` puts the strings back."""
    outline = outlined(body, MARK, nobody)
    assert outline.filled(outline.skeleton) == body
    assert texts(outline.texts(prompt_segments(outline.skeleton), nobody)) == texts(prompt_segments(body))


@settings(max_examples=500)
@given(documents(PERHAPS), st.booleans())
def test_it_is_valid_exactly_if_the_body_is(body: bytes, loose: bool) -> None:
    """ "The body is valid JSON exactly if the skeleton is" and every string that was left out."""
    valid = is_loose_json if loose else is_json
    try:
        outline = outlined(body, MARK, nobody, loose)
    except Unsound:
        assert not valid(body)
        return
    assert valid(outline.skeleton) == valid(body)
    if valid(body):
        assert texts(outline.texts(prompt_segments(outline.skeleton), nobody)) == texts(prompt_segments(body))


def test_a_long_string_is_left_out_but_for_its_beginning() -> None:
    body = b'{"url":"data:image/png;base64,%b"}' % (b"A" * 1000)
    outline = outlined(body, MARK, nobody)
    assert outline.holes == 1
    assert outline.skeleton == b'{"url":"data\x7f%b-0\x7f"}' % MARK


def test_a_stretch_between_two_strings_stays() -> None:
    """ "Where a stretch without quotes stands between strings (numbers, blanks), it is left in.\""""
    body = b'{"a":[%b1],"b":"%b"}' % (b"1," * 500, b"x" * 500)
    outline = outlined(body, MARK, nobody)
    assert outline.holes == 1
    assert outline.skeleton.startswith(b'{"a":[1,1,')
    assert b"xxxxx" not in outline.skeleton


def test_a_name_stays() -> None:
    """ "So is a member's name, since whether two are the same matters." """
    assert outlined(b'{"%b" : 1}' % (b"x" * 500), MARK, nobody).holes == 0


def test_a_rewritten_skeleton_is_filled_whatever_became_of_its_other_strings() -> None:
    body = b'{"a":"%b","b":"%b"}' % (b"x" * 500, b"y" * 500)
    outline = outlined(body, MARK, nobody)
    first = re.compile(rb'"a":"[^"]*"').sub(b'"a":"gone"', outline.skeleton)
    assert outline.filled(first) == b'{"a":"gone","b":"%b"}' % (b"y" * 500)


def test_a_text_without_marks_is_the_same() -> None:
    assert Outline(b"{}", (), MARK).text("\x7f and so on", nobody) == "\x7f and so on"


def test_work_stops_between_two_pieces() -> None:
    """Code in C cannot pause: so no more than a piece is looked at in one go."""
    breaths: list[None] = []
    outlined(b'{"a":"%b"}' % (b"x" * 4000), MARK, lambda: breaths.append(None))
    assert len(breaths) > 4000 / 50


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"%b","b":"%b' % (b"x" * 500, b'\\"' * 300_000),
        b'"' + b'\\\\"' * 300_000,
        b"[%b1]" % (b'"%b"%b,' % (b'\\"' * 1000, b',""' * 500) * 100),
    ],
    ids=["a string that does not end", "quotes behind two back-slashes", "many quotes, and many that are escaped"],
)
def test_quotes_are_not_gone_through_again_and_again(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may send such a body of 20 MB: what took the square of its quotes held its worker for hours. So what is
    looked for and matched is counted: every byte a few times, whatever the quotes, and never one quote after the
    other."""
    work = Work(3 * len(body))
    for name in ("_KEPT", "_RUN", "_STRING", "_STRINGS", "_COLON"):
        monkeypatch.setattr(module, name, work.watched(getattr(module, name)))
    skeleton = outlined(Looked(body, work), MARK, nobody).skeleton
    assert is_json(skeleton) == is_json(body)
    assert 0 < work.looks <= len(body)


class Work:
    """Bytes that were looked through, in so many looks. With too many it ends at once."""

    def __init__(self, most: int) -> None:
        self.looks = self.bytes = 0
        self.most = most

    def did(self, size: int) -> None:
        self.looks += 1
        self.bytes += size
        assert self.bytes <= self.most

    def watched(self, pattern: re.Pattern[bytes]) -> "Watched":
        return Watched(pattern, self)


class Watched:
    """A pattern. What it matched counts, and where it tries in vain, all that is there."""

    def __init__(self, pattern: re.Pattern[bytes], work: Work) -> None:
        self._pattern = pattern
        self._work = work

    def match(self, *where: Any) -> re.Match[bytes] | None:
        found = self._pattern.match(*where)
        self._work.did(found.end() - found.start() if found else 1)
        return found

    def finditer(self, body: bytes) -> Iterator[re.Match[bytes]]:
        """Of a pattern that begins with a quote."""
        at = body.find(b'"')
        while at >= 0:
            found = self._pattern.match(body, at)
            self._work.did(found.end() - at if found else len(body) - at)
            if found:
                yield found
            at = body.find(b'"', found.end() if found else at + 1)


class Looked(bytes):
    """A body. What is looked through for a byte counts."""

    work: Work

    def __new__(cls, body: bytes, work: Work) -> "Looked":
        made = super().__new__(cls, body)
        made.work = work
        return made

    def find(self, what: Any, start: Any = 0, end: Any = None) -> int:
        found = super().find(what, start, end)
        stop = len(self) if end is None else min(end, len(self))
        self.work.did((found if found >= 0 else stop) - start)
        return found

    def rfind(self, what: Any, start: Any = 0, end: Any = None) -> int:
        found = super().rfind(what, start, end)
        stop = len(self) if end is None else min(end, len(self))
        self.work.did(stop - (found if found >= 0 else start))
        return found


@given(st.text('ab"\\', max_size=40), st.integers(0, 8), st.integers(0, 40))
def test_a_quote_that_is_not_escaped_is_found_if_there_is_one(text: str, start: int, end: int) -> None:
    """Also in front of a string that does not end, which Python before 3.11.5 counted in."""
    body = text.encode()
    end = min(end, len(body))
    quotes: list[int] = []
    at = start
    while at < end:
        if body[at] == ord('"'):
            quotes.append(at)
        at += 2 if body[at] == ord("\\") else 1
    found = _unescaped_before(body, start, end)
    assert found in quotes if quotes else found == -1
