"""Names that refer to names; the places and words of each complaint are in `test_load.py`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.facts import ModelScope
from gateway.settings.compile import scope_of
from gateway.settings.interpolate import Data, DataPath
from gateway.settings.references import check_references, matches


def check(data: dict[str, Data], drawn: set[DataPath] | None = None) -> list[tuple[DataPath, str]]:
    found: list[tuple[DataPath, str]] = []
    check_references(data, lambda path, message: found.append((path, message)), drawn or set())
    return found


def test_a_name_drawn_from_a_variable_is_not_repeated() -> None:
    data: dict[str, Data] = {"passthrough": "CANARY", "providers": {"openai": {}}}
    assert "CANARY" in check(data)[0][1]
    assert check(data, {("passthrough",)}) == [
        (("passthrough",), "this provider is not configured; allowed are openai")
    ]
    team: Data = {"models": ["a-CANARY"], "keys": [{"models": ["b"]}]}
    models: Data = {"a-CANARY": {}, "b": {}}
    found = check({"teams": {"t": team}, "models": models}, {("teams", "t", "models", 0)})
    assert [path for path, _ in found] == [("teams", "t", "keys", 0, "models", 0)]
    assert "CANARY" not in found[0][1]


def test_policies_of_everybody_and_of_teams_are_there() -> None:
    data: dict[str, Data] = {"guardrails": {"keys": []}, "baseline": ["keyz"], "teams": {"t": {"guardrails": "key"}}}
    assert check(data) == [
        (("teams", "t", "guardrails"), "unknown guardrail policy 'key'; did you mean 'keys'?"),
        (("baseline", 0), "unknown guardrail policy 'keyz'; did you mean 'keys'?"),
    ]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("a*", "ab", True),
        ("a*", "a", False),
        ("a*", "a*", True),
        ("local/*", "local/foo*", True),
        ("local/foo*", "local/*", False),
        ("*", "anything", True),
    ],
)
def test_what_a_pattern_covers(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


@given(st.text("ab/", min_size=1, max_size=4), st.booleans(), st.text("ab/", min_size=1, max_size=6))
def test_a_pattern_covers_no_more_than_the_scope_it_compiles_to(stem: str, wild: bool, name: str) -> None:
    pattern = stem + "*" * wild
    scope: ModelScope = scope_of([pattern])
    assert not matches(pattern, name) or scope.allows(name)


JUNK = st.recursive(
    st.none() | st.text("ab*:", max_size=4),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text("ab", max_size=2), below, max_size=3),
    max_leaves=8,
)
SECTIONS = st.dictionaries(
    st.sampled_from(
        ["providers", "models", "teams", "guardrails", "passthrough", "admin", "secrets", "server", "limits"]
    ),
    JUNK
    | st.dictionaries(
        st.text("ab", max_size=2),
        st.dictionaries(
            st.sampled_from(["targets", "fallbacks", "models", "keys", "budget", "tls", "guardrails", "limits"]), JUNK
        ),
    ),
)


@settings(max_examples=40, deadline=None)
@given(SECTIONS)
def test_data_of_any_shape_is_looked_at(data: dict[str, Data]) -> None:
    """It runs on what the schema has refused, too: it must not trip over it."""
    for _, message in check(data):
        assert "; " in message
