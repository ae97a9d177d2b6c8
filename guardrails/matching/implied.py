"""A few expressions in the place of many: what occurs wherever any of them does, and is looked for much faster.

Most of what looks like personal data is seven digits or more with a blank, a dash or the like between some of them:
cards, telephone numbers, social security numbers and the numbers of most countries. An automaton for all of those at
once takes three times as long as one for `RUN`, which nearly no text has. So texts of ASCII are shown to the small
automaton first. Whether an expression needs a `RUN` is not guessed but worked out: its tree is walked with the states
of an automaton that looks for one, and every way through must end where one was seen.
"""

import re
from collections.abc import Sequence
from functools import cache

from guardrails.detector import Expression
from guardrails.matching.syntax import Chars, Edge, Either, Group, Node, Repeat, SyntaxRefused, parse
from guardrails.matching.syntax import Sequence as Parts

DIGITS = 7
"""Digits of a run, with"""
GAP = 6
"""at most so many of these marks between two of them."""
MARKS = "-xX ./()[]~+"
RUN = Expression(f"[0-9](?:[{re.escape(MARKS)}]{{0,{GAP}}}[0-9]){{{DIGITS - 1}}}")
WORTH = 8
"""Expressions that one in their place must spare: for fewer a text is not looked at twice."""
MOST = 1000
"""Expressions of a small automaton. One of more would not be small, and takes long to make."""
_MOST_ASKED = 2 * MOST
_MOST_TIMES = 1000
_DIGIT, _MARK, _OTHER = 1, 2, 4
"""Kinds of ASCII characters; sets of them are sums."""
_SEEN = DIGITS * (GAP + 1)
"""The state in which a run was seen. Any other is (digits of a run that goes on) * (GAP + 1) + (marks behind them)."""
_EVERYWHERE = (1 << _SEEN + 1) - 1
"""All states. Sets of states are sums of powers of two."""


def fewer(expressions: Sequence[Expression]) -> list[Expression] | None:
    """Expressions of which one occurs in every text of ASCII in which one of `expressions` does; None: there are none
    that are far fewer, or too many."""
    if len(expressions) > _MOST_ASKED:
        return None
    kept = [expression for expression in expressions if not needs_run(expression)]
    return [*kept, RUN] if len(kept) <= min(len(expressions) - WORTH, MOST) else None


def needs_run(expression: Expression) -> bool:
    """Whether everything an expression can match in ASCII has a `RUN` in it, or it can match nothing there."""
    if expression.prefilter:
        return False
    flags = re.ASCII | re.IGNORECASE if expression.caseless else re.ASCII
    try:
        tree = parse(expression.pattern.encode("utf-8", "surrogatepass").decode("latin-1"), flags)
        return _through(tree, 1) in (0, 1 << _SEEN)
    except (SyntaxRefused, RecursionError):
        return False


def _through(node: Node, states: int) -> int:
    """The states in which one may be behind a node, who comes to it in one of `states`."""
    match node:
        case Chars(ranges):
            return _behind(states, _kinds(ranges))
        case Parts(parts):
            for part in parts:
                states = _through(part, states)
            return states
        case Either(choices):
            found = 0
            for choice in choices:
                found |= _through(choice, states)
            return found
        case Repeat(part, least, most):
            return _repeated(part, least, most, states)
        case Group(part):
            return _through(part, states)
        case Edge():
            return states
        case _:
            return states if states == 1 << _SEEN else _EVERYWHERE


def _repeated(part: Node, least: int, most: int, states: int) -> int:
    if least > _MOST_TIMES:
        return _EVERYWHERE
    for _ in range(least):
        states = _through(part, states)
    found = new = states
    for _ in range(min(most - least, _SEEN + 1)):  # with so many there is nothing new
        new = _through(part, new) & ~found
        if not new:
            break
        found |= new
    return found


@cache
def _kinds(ranges: tuple[tuple[int, int], ...]) -> int:
    codes = {code for low, high in ranges for code in range(low, min(high, 0x7F) + 1)}
    digits = {code for code in codes if 0x30 <= code <= 0x39}
    marks = {code for code in codes if chr(code) in MARKS}
    return _DIGIT * bool(digits) + _MARK * bool(marks) + _OTHER * bool(codes - digits - marks)


@cache
def _behind(states: int, kinds: int) -> int:
    """The states behind a character that may be of any of `kinds`."""
    found = 0
    for state in range(_SEEN + 1):
        if not states >> state & 1 or not kinds:
            continue
        digits, marks = divmod(state, GAP + 1)
        if state == _SEEN:
            found |= 1 << _SEEN
            continue
        if kinds & _DIGIT:
            found |= 1 << (digits + 1) * (GAP + 1)
        if kinds & _MARK:
            found |= 1 << (state + 1 if digits and marks < GAP else 0)
        if kinds & _OTHER:
            found |= 1
    return found
