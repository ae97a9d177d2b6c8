"""Counters of requests: what is kept, how counters are named, what is raised. That the right rules match is shown in
`tests/gateway/settings/test_compile_limits.py`, from the written form."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.program import (
    LONGEST,
    MOST_KEPT,
    Clause,
    LimitProgram,
    Roster,
    covers,
    escaped,
    lenient,
    next_change,
)
from gateway.quota import Adjustment, Rolling, Rule, Scope


def clause(id_: str = "r", **more: Any) -> Clause:
    own = {name: more.pop(name) for name in ("default", "kind", "without") if name in more}
    return Clause(rule=Rule(id=id_, measure="requests", window=Rolling(60), **{"amount": 10, **more}), **own)


def keys_of(program: LimitProgram, *asked: Any) -> list[str]:
    return [bound.key for bound in program.bounds(*asked)]


def test_the_same_question_gets_the_same_answer() -> None:
    program = LimitProgram([clause(each=("team",))])
    found = program.bounds("k", "t", "m", "embeddings", None)
    assert found[0].key == "r:t"
    assert program.bounds("k", "t", "another", "messages", {"a": "b"}) is found
    assert program.bounds("k", "u", "m", "embeddings", None) is not found


def test_what_is_kept_is_kept_by_all_that_rules_look_at() -> None:
    looking = [clause(each=("model",)), clause("s", each=("operation",)), clause("u", each=("tag:x",))]
    program = LimitProgram(
        [*looking, *(clause(f"p{one.rule.id}", each=("provider", *one.rule.each)) for one in looking)]
    )
    for model, operation, tag in (("m", "o", "1"), ("n", "o", "1"), ("m", "q", "1"), ("m", "o", "2")):
        asked = ("k", "t", model, operation, {"x": tag})
        assert keys_of(program, *asked) == [f"r:{model}", f"s:{operation}", f"u:{tag}"]
        late = [bound.key for bound in program.provider_bounds("p", *asked)]
        assert late == [f"pr:p:{model}", f"ps:p:{operation}", f"pu:p:{tag}"]


def test_what_clients_choose_freely_does_not_grow_memory() -> None:
    program = LimitProgram([clause(each=("tag:user", "model")), clause("p", each=("provider", "tag:user"))])
    kept = (program._early.kept, program._late.kept)
    for at in range(MOST_KEPT + 10):
        tags = {"user": str(at)}
        assert keys_of(program, "k", "t", "m", "o", tags) == [f"r:{at}:m"]
        assert [bound.key for bound in program.provider_bounds("q", "k", "t", "m", "o", tags)] == [f"p:q:{at}"]
    assert [len(answers) for answers in kept] == [10, 10]
    program.bounds("k", "t", "m" * 1000, "o", None)
    assert [len(answers) for answers in kept] == [10, 10]


def test_a_request_without_the_tag_has_a_counter_too() -> None:
    program = LimitProgram([clause(each=("tag:user",))])
    assert keys_of(program, "k", "t", "m", "o", None) == ["r:"]
    assert keys_of(program, "k", "t", "m", "o", {"other": "x"}) == ["r:"]
    assert program.bounds("k", "t", "m", "o", None)[0].scope.tags == (("user", ("",)),)


@given(st.text(max_size=90), st.text(max_size=90))
def test_odd_values_neither_break_a_counters_name_nor_meet(one: str, other: str) -> None:
    """An escaped value is at most so long, printable ASCII, and holds nothing that parts or groups names (`:`, braces,
    blanks); different values stay different."""
    for value in (one, other):
        assert re.fullmatch(r"[A-Za-z0-9._~/@+,%#-]*", escaped(value))
        assert len(escaped(value)) <= LONGEST
    assert (escaped(one) == escaped(other)) == (one == other)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("local/llama-3.1", "local/llama-3.1"),
        ("a b:c{d}", "a%20b%3Ac%7Bd%7D"),
        ("#" + "0" * 32, "%23" + "0" * 32),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_plain_values_stay_readable(value: str, expected: str) -> None:
    assert escaped(value) == expected


def test_a_wildcard_covers_what_begins_so() -> None:
    assert covers("gpt-*", "gpt-4o")
    assert covers("*", "anything")
    assert not covers("*", "")
    assert not covers("gpt-4", "gpt-4o")


def test_groups_are_teams_where_a_counter_lies_within_one() -> None:
    clauses = [
        clause("all"),
        clause("one", scope=Scope(team=("t",))),
        clause("two", scope=Scope(team=("t", "u"))),
        clause("key", scope=Scope(key=("k",))),
        clause("each", each=("key", "model")),
        clause("models", each=("model",)),
    ]
    found = LimitProgram(clauses).bounds("k", "t", "m", "o", None)
    assert {bound.rule.id: bound.group for bound in found} == {
        "all": "g", "one": "t:t", "two": "g", "key": "t:t", "each": "t:t", "models": "g",
    }  # fmt: skip
    assert {bound.rule.id: bound.scope for bound in found}["each"] == Scope(team=("t",), key=("k",), model=("m",))


def test_a_team_that_is_named_twice_is_counted_once() -> None:
    program = LimitProgram(
        [clause(scope=Scope(team=("t", "t"))), clause("p", scope=Scope(team=("t", "t"), provider=("q",)))]
    )
    assert keys_of(program, "k", "t", "m", "o", None) == ["r"]
    assert [bound.key for bound in program.provider_bounds("q", "k", "t", "m", "o", None)] == ["p"]
    assert keys_of(program, "k", "u", "m", "o", None) == []


def test_a_default_counts_where_an_own_rule_would() -> None:
    clauses = [
        clause("teams.b.budget", scope=Scope(team=("b",))),
        clause("limits.defaults.team.budget", each=("team",), default="team", kind="budget", without=frozenset("b")),
    ]
    program = LimitProgram(clauses, Roster(teams=("a", "b")))
    assert keys_of(program, "k", "a", "m", "o", None) == ["teams.a.budget"]
    assert keys_of(program, "k", "b", "m", "o", None) == ["teams.b.budget"]
    assert [(bound.key, bound.rule.id) for bound in program.known()] == [
        ("teams.b.budget", "teams.b.budget"),
        ("teams.a.budget", "limits.defaults.team.budget"),
    ]


def test_what_is_known_without_traffic() -> None:
    roster = Roster(teams=("a", "b"), keys={"k": "a"}, models=("m", "n"), providers=("p",))
    clauses = [
        clause("all"),
        clause("keys", each=("key",)),
        clause("pairs", each=("team", "model"), scope=Scope(model=("m", "x*"))),
        clause("both", each=("team", "key")),
        clause("near", each=("provider",), scope=Scope(team=("a",))),
        clause("gone", scope=Scope(key=("nobody",))),
        clause("never", scope=Scope(key=("k",), team=("b",))),
        clause("free", each=("tag:x",)),
        clause("ops", each=("operation",)),
    ]
    program = LimitProgram(clauses, roster)
    assert [bound.key for bound in program.known()] == [
        "all", "keys:k", "pairs:a:m", "pairs:b:m", "both:a:k", "near:p",
    ]  # fmt: skip
    assert [bound.key for bound in program.known("b", {"made": "b"})] == ["keys:made", "pairs:b:m", "both:b:made"]


def raised(extra: int, since: int = 0, until: int = 10, key: str = "r:t") -> Adjustment:
    return Adjustment(key, extra, since, until)


def test_raises_hold_for_their_counter_and_their_time() -> None:
    program = LimitProgram([clause(each=("team",), soft=8), clause("q")])
    several = [raised(5), raised(10, 5, 20), raised(99, 0, 4), raised(1, key="gone")]
    then = program.adjusted(several, 5)
    (mine, other), (plain, _) = then.bounds("k", "t", "m", "o", None), then.bounds("k", "u", "m", "o", None)
    assert (mine.rule.amount, mine.rule.soft) == (25, 20)
    assert (other.rule.amount, plain.rule.amount, plain.rule.soft) == (10, 10, 8)
    assert (mine.key, mine.rule.id, mine.group) == ("r:t", "r", "t:t")
    assert program.bounds("k", "t", "m", "o", None)[0].rule.amount == 10
    assert then.adjusted([raised(-50)], 3).bounds("k", "t", "m", "o", None)[0].rule.amount == 1
    assert then.adjusted([], 3).bounds("k", "t", "m", "o", None)[0].rule.amount == 10


@given(st.lists(st.builds(raised, st.just(1), st.integers(0, 9), st.integers(0, 9)), max_size=4), st.integers(0, 9))
def test_between_two_changes_the_same_raises_hold(adjustments: list[Adjustment], now: int) -> None:
    """An adjustment holds from `from_ns` on and before `until_ns`: who asks again at the next change misses none."""
    change = next_change(adjustments, now)
    for moment in range(now, 11 if change is None else change):
        assert [each.valid(moment) for each in adjustments] == [each.valid(now) for each in adjustments]


def test_a_lenient_bound_is_the_same_counter() -> None:
    (bound,) = LimitProgram([clause()]).bounds("k", "t", "m", "o", None)
    assert lenient(bound).lenient
    assert (lenient(bound).key, lenient(bound).rule) == (bound.key, bound.rule)


def test_rules_by_provider_are_asked_at_the_attempt() -> None:
    program = LimitProgram([clause("a", scope=Scope(provider=("p",))), clause("b", each=("provider",)), clause("c")])
    assert program.by_provider
    assert keys_of(program, "k", "t", "m", "o", None) == ["c"]
    assert [b.key for b in program.provider_bounds("p", "k", "t", "m", "o", None)] == ["a", "b:p"]
    assert [b.key for b in program.provider_bounds("q", "k", "t", "m", "o", None)] == ["b:q"]
    assert LimitProgram([clause()]).provider_bounds("p", "k", "t", "m", "o", None) == ()
