"""The gate: one conformance suite, run on every engine."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.detector import Expression
from guardrails.matching.gate import BACKENDS, Backend, Gate, GateError, HyperscanGate, fingerprint, open_gate
from guardrails.matching.implied import WORTH

SAMPLE = (
    Expression(r"ghp_[A-Za-z0-9]{4}"),
    Expression(r"\bfoo\b", caseless=True),
    Expression(r"(?<!x)ab", prefilter=True),
    Expression(r"[\x80-\xff]z"),
    Expression(r"\d{3}-?\d{2}"),
    Expression(r"a(?:bc)+?\s[^d]"),
    Expression(r"(?:aa|b.)\W"),
    Expression("é"),
    Expression(r"^a[ab]"),
    Expression(r"(['\"])k\1", prefilter=True),
    *[Expression(rf"\b\d{{3}}[ -]?\d{{4}}x{{0,{most}}}", caseless=True) for most in range(1, WORTH + 1)],
)
DATA = (
    st.binary(max_size=40)
    | st.text("ab cdfoghp_1-2'k\"éz\n\x0b", max_size=60).map(str.encode)
    | st.text("0123456789-( xX.a", max_size=40).map(str.encode)
)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


@pytest.fixture(scope="module")
def gates() -> dict[Backend, Gate]:
    return {backend: open_gate(SAMPLE, prefer=backend) for backend in BACKENDS}


def preferred(expressions: Sequence[Expression], data: bytes) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for index, expression in enumerate(expressions):
        pattern = re.compile(expression.pattern.encode(), re.IGNORECASE if expression.caseless else 0)
        found |= {(index, match.end()) for start in range(len(data)) if (match := pattern.match(data, start))}
    return found


def test_hits_are_expression_and_end_in_bytes(gates: dict[Backend, Gate], backend: Backend) -> None:
    hits = set(gates[backend].scan("ghp_abcdef FOO ab éz 12345".encode()))
    assert {(0, 8), (1, 14), (2, 17), (3, 21), (4, 27), (7, 20)} <= hits


@settings(max_examples=200, deadline=None)
@given(data=DATA)
def test_every_start_gives_its_preferred_end(gates: dict[Backend, Gate], data: bytes) -> None:
    """For each expression and each byte offset at which it can match, the end that `re` would choose for a match from
    there is among the hits; without look-arounds nothing else but ends of matches is."""
    expected = preferred(SAMPLE, data)
    for backend, gate in gates.items():
        hits = set(gate.scan(data))
        assert expected <= hits, backend
        exact = {index for index, expression in enumerate(SAMPLE) if not expression.prefilter}
        assert {i for i, _ in hits} & exact == {i for i, _ in expected} & exact, backend


@settings(max_examples=300)
@given(data=DATA)
def test_the_small_automaton_hides_nothing(gates: dict[Backend, Gate], data: bytes) -> None:
    gate = gates["hyperscan"]
    assert isinstance(gate, HyperscanGate)
    assert gate._small is not None
    assert sorted(gate.scan(data)) == sorted(gate._every.scan(data))


def test_there_is_no_small_automaton_where_it_would_be_no_smaller() -> None:
    gate = open_gate([Expression("one"), Expression("[0-9]{6}")])
    assert isinstance(gate, HyperscanGate)
    assert gate._small is None
    assert loaded(open_gate([Expression("one"), Expression("[0-9]{6}")], compiled=gate.dump()))


def test_nothing_to_look_for_finds_nothing(backend: Backend) -> None:
    assert open_gate((), prefer=backend).scan(b"anything") == []


def test_the_fastest_that_is_installed_is_taken_and_said() -> None:
    assert open_gate(SAMPLE).backend == "hyperscan"
    slower = open_gate(SAMPLE, prefer="re")
    assert "slower than hyperscan" in slower.why
    assert "asked for" in slower.why


def test_an_engine_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "re" or None)
    assert open_gate(SAMPLE).why == "re: slower than hyperscan with the same findings (hyperscan and re2 not installed)"
    with pytest.raises(GateError, match="the hyperscan engine is not installed; installed: re"):
        open_gate(SAMPLE, prefer="hyperscan")


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a*", "expression 2 matches the empty text, so it would be found everywhere"),
        ("(", "expression 2 is not a regular expression: missing ), unterminated subpattern"),
        ("b^a", "expression 2 is not possible in the gate: Embedded start anchors not supported"),
    ],
)
def test_a_bad_expression_is_named_and_not_quoted(pattern: str, words: str) -> None:
    with pytest.raises(GateError, match=re.escape(words)):
        open_gate([Expression("one"), Expression("two"), Expression(pattern), Expression("four")])


def test_a_saved_gate_is_loaded_by_what_saved_it_and_ignored_by_anything_else() -> None:
    saved = open_gate(SAMPLE).dump()
    assert loaded(open_gate(SAMPLE, compiled=saved))
    for other in (saved[:-9], saved[:10], b"", saved[:60] + bytes(50) + saved[110:]):
        assert not loaded(open_gate(SAMPLE, compiled=other))
    fewer = open_gate(SAMPLE[:1], compiled=saved)
    assert not loaded(fewer)
    assert fewer.scan(b"ghp_abcd") == [(0, 8)]


def loaded(gate: Gate) -> bool:
    assert isinstance(gate, HyperscanGate)
    return gate.loaded


def test_fallback_engines_save_nothing() -> None:
    assert open_gate(SAMPLE, prefer="re2").dump() == open_gate(SAMPLE, prefer="re").dump() == b""


def test_fingerprints_differ_by_everything_that_is_compiled() -> None:
    variants = [
        (Expression("ab"),),
        (Expression("ab", caseless=True),),
        (Expression("ab", prefilter=True),),
        (Expression("a"), Expression("b")),
        (),
    ]
    assert len({fingerprint(variant) for variant in variants}) == len(variants)


def test_threads_share_a_gate() -> None:
    """One scratch serves one scan at a time: overlapping scans get scratches of their own."""
    gate = open_gate((Expression(r"x\d{3}"),))
    data = b"x123 " * 200 + b"y" * 200_000
    with ThreadPoolExecutor(8) as pool:
        assert [len(hits) for hits in pool.map(gate.scan, [data] * 64)] == [200] * 64


def test_twenty_megabytes_and_100_000_hits_take_bounded_time(gates: dict[Backend, Gate]) -> None:
    assert gates["hyperscan"].scan(b"zq" * 10_000_000) == []
    assert sum(index == 0 for index, _ in gates["hyperscan"].scan(b"ghp_abcd " * 100_000)) == 100_000
