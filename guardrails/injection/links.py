"""Data that an answer carries out in the address of an image or link.

An image is loaded by whoever shows the answer, without a click: by then it has told its host what stands in its
address. So in a stream nothing of an address may pass before it is known to be harmless. From the bracket or tag that
begins it until the address ends is less than `Reach.length` characters; beyond that it is none, or cut off.

Markdown: `![label](address)`, `[label](address)`, and the definition `[label]: address` that labels refer to
(CommonMark 0.31, sections 4.7, 6.3, 6.4). HTML: `<img … src=address …>`, `<a … href=address …>label</a>`; where the tag
does not end soon, up to the address, and where the label does not, up to the tag's end.
"""

import re
from collections.abc import Collection, Sequence

from guardrails.detector import Expression, Hit, Match, Reach
from guardrails.matching.offsets import to_characters
from guardrails.vault import PLACEHOLDER

TYPE = "DATA_EXFILTRATION"
RULES = ("leak.image", "leak.link")

# Repeats never give back what they took: what follows them cannot be part of it, and hostile text stays linear.
_BLANK = r"[ \t\r\n]{0,4}"
_SCHEME = r"(?:https?:)?//"
_LABEL = r"(?>(?:[^\[\]\n\\]|\\[^\n]){0,300})"
_ADDRESS = _SCHEME + r"[^\s)<>]{1,2000}+"
_QUOTED = _SCHEME + r"[^\s\"'<>]{1,2000}+"
_TAG = r"\b[^>]{0,200}?\b"
_END = r"[\"']?[^<>]{0,200}+>"
_SHOWN = r"(?>(?:[^<]|<(?!/?a\b)){0,300})"
"""The label of a link in HTML, other tags in it."""
_SHAPES = (
    ("leak.image", 0.9, 0.3, re.compile(
        rf"!\[{_LABEL}\]\({_BLANK}<?({_ADDRESS})>?\)?|<img{_TAG}src{_BLANK}={_BLANK}[\"']?({_QUOTED})(?:{_END})?",
        re.IGNORECASE)),
    ("leak.link", 0.6, 0.0, re.compile(
        rf"(?<!!)\[{_LABEL}\](?:\(|:){_BLANK}<?({_ADDRESS})>?\)?|<a{_TAG}href{_BLANK}={_BLANK}[\"']?({_QUOTED})"
        rf"(?:{_END}(?:{_SHOWN}</a{_BLANK}>)?)?", re.IGNORECASE)),
)  # fmt: skip
"""Rule, score with data, score without (0: not reported), and what it looks like."""
_STARTS = re.compile(r"!?\[|<(?:img|a)\b", re.IGNORECASE)
_HEAD = 2 + 600 + 2 + 4 + 1 + 8
"""Characters before an address, at most: of a label, every one may be escaped."""
_TAIL = 2000 + 2
_BEGUN = 4 + 200 + 4 + 4 + 1 + 4 + 1 + 8 + 2000
_ELEMENT = _BEGUN + 1 + 200 + 1 + 300 + 3 + 4 + 1
"""Characters of a tag up to the end of its address, and of a whole link in HTML, at most."""
_LETTERS = r"h(?:t(?:t(?:p(?:s?(?::/?)?)?)?)?)?|/"
"""Beginnings of what an address begins with."""
_UNIT = re.compile(r"[^\[\]\n\\]|\\[^\n]")
"""What a label is made of, one of at most 300."""
_STOP = re.compile(r"[^\[\]\n\\]*+(?:\\[^\n][^\[\]\n\\]*+)*+([\[\]\n\\])")
"""The next character that no label goes on over."""
_AFTER = re.compile(rf"\](?:[(:]{_BLANK}<?(?:{_LETTERS}|{_SCHEME}[^\s)<>]{{0,2000}}+>?)?)?", re.IGNORECASE)
"""A label's end, and so much of its address that more text may belong to it."""
_AFTER_MOST = 2 + 4 + 1 + 8 + 2000 + 1
_IN_FRONT = 2 + 4 + 1
"""Characters behind a label, at most, of which some may be blanks or `<` without ending the address."""
_BREAK = re.compile(r"[\s)<>]")
_OPEN_TAG = re.compile(rf"<(?:im?|(?:img|a)(?:\b[^>]{{0,{_BEGUN + 1 + 200}}}+)?)?\Z", re.IGNORECASE)
_LINK = re.compile(r"<a\b(?!\Z)", re.IGNORECASE)
_LEADS = re.compile(rf"\bhref{_BLANK}={_BLANK}[\"']?({_QUOTED})", re.IGNORECASE)
_ENDS = re.compile(_END)
_SHOWN_SO_FAR = re.compile(rf"{_SHOWN}(?:<(?:/?(?:a{_BLANK})?)?)?\Z", re.IGNORECASE)
"""What may become the label of a link and its end."""
_HOST = re.compile(r"(?:https?:)?//(?:[^/@?#]{0,200}@)?([^/:?#]{1,255})", re.IGNORECASE)
_VALUE = re.compile(r"[?&#;]([^=&#;]{0,100})=([^&#;]{1,1500})")
_MAIL = re.compile(r"(?<=[\w.+-])(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){0,3}\.[a-z]{2,24}\b", re.IGNORECASE)
_DENSE = re.compile(r"[A-Za-z0-9+/_%=.-]{40,}")


class LinkDetector:
    """Finds images and links whose address carries data to a host that is not trusted. Safe on streams:
    `guardrails/detector.py`.

    Type DATA_EXFILTRATION. `leak.image`: loaded without a click, 0.9 with data, 0.3 without. `leak.link`: 0.6 with
    data. Data is a value of at least 24 characters, or one with encoded spaces or an e-mail address, a dense path or
    one with an e-mail address, and anywhere a pseudonym: it would be restored behind this detector.
    """

    expressions: Sequence[Expression] = (
        Expression(rf"\](?:\(|:){_BLANK}<?{_SCHEME}", caseless=True),
        Expression(rf"(?:src|href){_BLANK}={_BLANK}[\"']?{_SCHEME}", caseless=True),
    )
    reach = Reach(length=max(_HEAD + _TAIL, _ELEMENT), before=1, after=1, lead=0, wordwise=True)

    def __init__(self, name: str = "exfiltration", trusted: Collection[str] = ()) -> None:
        """`trusted`: hosts that may be given data, those below them included."""
        self.name = name
        self._trusted = tuple(host.lower() for host in trusted)

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        """One match for each start, sorted: those of one address inside another stay."""
        ends = sorted(set(to_characters(text, [hit.end for hit in hits])))
        starts: dict[int, None] = {}
        done = 0
        for end in ends:
            for begun in _STARTS.finditer(text, max(done, end - _HEAD), end):
                starts[begun.start()] = None
            done = max(done, end)
        return [match for start in starts if (match := self._match(text, start)) is not None]

    def settled(self, text: str) -> int:
        floor = max(0, len(text) - self.reach.length)
        open_ = min(_open_label(text, floor), _open_tag(text, floor), len(text) - text.endswith("!"))
        return min(open_, self._open_element(text, floor))

    def _open_element(self, text: str, floor: int) -> int:
        """Where the first link in HTML begins whose tag is over and whose label is not, if its address is one to tell
        of. A label has no other link in it, so that it can only be one whose tag holds the last `<a` of all."""
        last = -1
        for begun in _LINK.finditer(text, floor) if text.find("<", floor) >= 0 else ():
            last = begun.start()
        end = text.find(">", last) if last >= 0 else -1
        if end < 0 or _SHOWN_SO_FAR.match(text, end + 1) is None:
            return len(text)
        begin = max(floor, text.rfind(">", floor, last) + 1)
        for led in _LEADS.finditer(text, begin, end):
            over = _ENDS.match(text, led.end())
            if over is not None and over.end() == end + 1 and _carries(led.group(1)) and not self._trusts(led.group(1)):
                begun = _LINK.search(text, max(begin, led.start() - 202), led.start())
                if begun is not None:
                    return begun.start()
            begin = led.start()
        return len(text)

    def _match(self, text: str, start: int) -> Match | None:
        for rule, with_data, without, shape in _SHAPES:
            found = shape.match(text, start)
            if found is None:
                continue
            address = found.group(1) or found.group(2)
            score = with_data if _carries(address) else without
            if not score or self._trusts(address):
                return None
            return Match(TYPE, found.start(), found.end(), score, rule, "heuristic")
        return None

    def _trusts(self, address: str) -> bool:
        found = _HOST.match(address)
        if found is None or not self._trusted:
            return False
        host = found.group(1).lower()
        return any(host == name or host.endswith(f".{name}") for name in self._trusted)


def _open_label(text: str, floor: int) -> int:
    """Where the first image or link in Markdown begins that more text may complete or make longer.

    All brackets between two stops have their labels end at the second one, so that what follows is looked at once for
    all of them, and the whole costs time linear in the text."""
    begin, last = floor, -1
    stop = _STOP.match(text, floor)
    while stop is not None:
        at = stop.start(1)
        if text[at] == "]":
            if last < 0:
                last = _last_break(text)
            goes_on = last < at + _IN_FRONT and len(text) - at <= _AFTER_MOST and _AFTER.fullmatch(text, at)
        else:
            goes_on = text[at] == "\\" and at + 1 == len(text)
        found = _first_label(text, begin, at, floor) if goes_on else -1
        if found >= 0:
            return found
        begin = at + 1
        stop = _STOP.match(text, begin)
    found = _first_label(text, begin, len(text), floor)
    return found if found >= 0 else len(text)


def _first_label(text: str, begin: int, end: int, floor: int) -> int:
    """The first bracket whose label may be what stands up to `end`, with the `!` before it: one right before `begin`,
    or an escaped one behind; -1: there is none."""
    if text.find("[", max(floor, begin - 1), end) < 0:
        return -1
    if begin > floor and text[begin - 1] == "[":
        starts, units = [begin - 1], [-1]
    else:
        starts, units = [], []
    total = 0
    for unit in _UNIT.finditer(text, begin, end) if end > begin else ():
        if text.startswith("[", unit.end() - 1):
            starts.append(unit.end() - 1)
            units.append(total)
        total += 1
    for start, unit in zip(starts, units, strict=True):
        if total - unit - 1 <= 300:
            return start - (start > floor and text[start - 1] == "!")
    return -1


def _last_break(text: str) -> int:
    """Where the last character stands that ends an address, but for a `>` at the very end; -1: there is none."""
    body = text.removesuffix(">")[::-1]
    found = _BREAK.search(body)
    return len(body) - 1 - found.start() if found is not None else -1


def _open_tag(text: str, floor: int) -> int:
    """Where the first image or link in HTML begins that is not over."""
    found = _OPEN_TAG.search(text, max(floor, text.rfind(">") + 1))
    return found.start() if found is not None else len(text)


def _carries(address: str) -> bool:
    if PLACEHOLDER.search(address) is not None:
        return True
    for _, value in _VALUE.findall(address):
        if len(value) >= 24 or "%20" in value or "+" in value or "%40" in value or "@" in value or "%0" in value:
            return True
    path = address.partition("//")[2].partition("?")[0].split("/")[1:]
    return any(_DENSE.fullmatch(part) or _MAIL.search(part) for part in path)
