"""What a switch stops, for whom, and until when."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.facts import ANYTHING, Caller
from gateway.routing.switches import LONGEST_HINT, SCOPES, Stopped, Switch, Switches, compiled, next_end, unknown
from gateway.routing.table import Provider, Route, RouteTable, Target
from gateway.seams import Origin

S = 10**9
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=2)


def switch(kind: str = "stop", scope: str = "team", name: str = "a", until: int | None = 100, **more: object) -> Switch:
    fields = {"id": "sw-1", "reason": "why", "from_ns": 0, "until_ns": until, **more}
    return Switch(kind=kind, scope=scope, name=name, **fields)


def caller(team: str = "a", key: str = "k") -> Caller:
    return Caller(key_id=key, team=team, models=ANYTHING)


def provider(name: str) -> Provider:
    return Provider(name=name, wire="openai", origin=Origin("http", "h", 1), base_path=b"")


def table(*names: str) -> RouteTable:
    return RouteTable([Route(name, (Target(provider(f"p-{name}"), f"up-{name}"),)) for name in names], [])


switches = st.builds(
    switch,
    kind=st.just("stop"),
    scope=st.sampled_from(["team", "key", "operation"]),
    name=NAMES,
    until=st.none() | st.integers(1, 100),
    from_ns=st.integers(0, 50),
)


@given(st.lists(switches, max_size=6), NAMES, NAMES, NAMES, st.integers(0, 120))
def test_a_caller_is_refused_exactly_while_a_stop_of_its_own_holds(found, team, key, operation, now) -> None:
    """A stop holds from `from_ns` to just before `until_ns`, for its team, key or operation and nobody else."""
    own = {"team": team, "key": key, "operation": operation}
    expected = any(
        own[each.scope] == each.name and each.from_ns <= now and (each.until_ns is None or now < each.until_ns)
        for each in found
    )
    try:
        Switches(found).admit(caller(team, key), operation, now)
        refused = False
    except Stopped:
        refused = True
    assert refused == expected


@given(st.lists(switches, max_size=6), st.integers(0, 120))
def test_nothing_is_compiled_when_nothing_holds(found, now) -> None:
    """What is over is left out, so that requests pay nothing; the next end is the first to come."""
    left = [each for each in found if each.until_ns is None or each.until_ns > now]
    made = compiled(found, now)
    assert (made is None) == (not left)
    assert next_end(found, now) == min((each.until_ns for each in left if each.until_ns is not None), default=None)


@given(st.none() | st.integers(1, 10**6))
def test_retry_after_is_what_is_left_within_bounds(seconds: int | None) -> None:
    """`retry-after` is the time to the switch's end, at least a second and at most an hour; no SDK is to try."""
    until = None if seconds is None else seconds * S
    with pytest.raises(Stopped) as caught:
        Switches([switch(until=until)]).admit(caller(), "chat.completions", 0)
    headers = dict(caught.value.headers)
    assert int(headers[b"retry-after"]) == (LONGEST_HINT if seconds is None else min(seconds, LONGEST_HINT))
    assert headers[b"x-should-retry"] == b"false"
    assert caught.value.status == 503
    assert caught.value.message.endswith("why")


def test_forced_fallbacks_lead_on_and_never_round() -> None:
    routes = table("a", "b", "c")
    chain = Switches([switch("fallback", "model", "a", value="b"), switch("fallback", "model", "b", value="c")])
    found = routes.find("a")
    assert found is not None
    assert chain.route(routes, found, 1).name == "c"
    round_ = Switches([switch("fallback", "model", "a", value="b"), switch("fallback", "model", "b", value="a")])
    assert round_.route(routes, found, 1).name == "b"
    gone = Switches([switch("fallback", "model", "a", value="nowhere")])
    assert gone.route(routes, found, 1) is found
    assert chain.route(routes, found, 100).name == "a", "over"


def test_a_stop_counts_where_fallbacks_lead() -> None:
    routes = table("a", "b")
    found = routes.find("a")
    assert found is not None
    both = [switch("fallback", "model", "a", value="b"), switch("stop", "model", "a")]
    assert Switches(both).route(routes, found, 1).name == "b"
    with pytest.raises(Stopped, match="model 'b'"):
        Switches([both[0], switch("stop", "model", "b")]).route(routes, found, 1)


@given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")), st.booleans())
def test_targets_of_stopped_providers_and_models_are_left_out(providers, models, over) -> None:
    """Targets whose provider, or whose model at it, is stopped are not tried; none left is a refusal."""
    targets = [Target(provider(f"p-{each}"), f"up-{each}") for each in "abcd"]
    stops = [switch("stop", "provider", f"p-{each}") for each in providers]
    stops += [switch("stop", "model", f"up-{each}") for each in models]
    expected = [each for each in targets if over or each.model[3:] not in providers | models]
    if not expected:
        with pytest.raises(Stopped):
            Switches(stops).running(targets, 1)
    else:
        assert Switches(stops).running(targets, 100 if over else 1) == expected


def test_a_policy_in_shadow() -> None:
    rules = {"pii": ["pii.1", "pii.2"], "other": ["other.1"]}
    shadow = Switches([switch("guardrail", "policy", "pii", value="shadow")])
    assert shadow.shadowed(lambda name: rules[name], 1) == {"pii.1", "pii.2"}
    assert shadow.shadowed(lambda name: rules[name], 100) == frozenset()


def test_stopped_models_are_no_fallbacks() -> None:
    found = Switches([switch("stop", "model", "gpt-*")])
    assert found.stopped_models(["gpt-4", "claude"], 1) == {"gpt-4"}
    assert found.routed
    assert not Switches([switch()]).routed
    assert Switches([switch()]).stopped_models(["a"], 1) == set()


def test_a_stopped_provider_by_itself() -> None:
    found = Switches([switch("stop", "provider", "p")])
    found.provider(provider("q"), 1)
    with pytest.raises(Stopped, match="The provider 'p' was stopped by an operator until 1970-01-01T00:00:00Z: why"):
        found.provider(provider("p"), 1)


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (switch(name="a"), ""),
        (switch(name="b"), "there is no team 'b'"),
        (switch(name=""), "say which team"),
        (switch(scope="gateway", name=""), ""),
        (switch(scope="gateway", name="x"), "the whole gateway has no name"),
        (switch("fallback", "team"), "'fallback' is for model, not for 'team'"),
        (switch("guardrail", "policy", "p", value="off"), "a guardrail policy can be forced to: shadow"),
        (switch("guardrail", "policy", "p", value="shadow"), ""),
        (switch(scope="model", name="anything"), ""),
    ],
)
def test_what_is_wrong_with_a_switch(made: Switch, problem: str) -> None:
    assert unknown(made, {"team": ["a"], "policy": ["p"]}) == problem
    assert set(SCOPES) == {"stop", "fallback", "guardrail"}
