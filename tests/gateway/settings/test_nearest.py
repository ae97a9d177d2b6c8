"""What is suggested for an unknown name."""

from gateway.settings.nearest import MOST_LISTED, hint


def test_a_near_name_is_suggested() -> None:
    assert hint("gpt-4o-mimi", ["gpt-4o", "gpt-4o-mini"]) == "did you mean 'gpt-4o-mini'?"


def test_else_all_are_listed_in_order_as_far_as_they_fit() -> None:
    assert hint("x", ["b", "a"]) == "allowed are a, b"
    assert hint("x", [f"m{n:02d}" for n in range(20)]).endswith(f"m{MOST_LISTED - 1:02d} and 8 more")
    assert hint("x", []) == "none is configured"
