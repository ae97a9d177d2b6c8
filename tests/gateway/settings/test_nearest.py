"""What is suggested for an unknown name."""

from gateway.settings.nearest import MOST_LISTED, hint


def test_a_near_name_is_suggested() -> None:
    assert hint("gpt-4o-mimi", ["gpt-4o", "gpt-4o-mini"]) == "did you mean 'gpt-4o-mini'?"


def test_a_name_of_which_a_part_is_written_is_suggested() -> None:
    known = ["EMAIL_ADDRESS", "IP_ADDRESS", "US_SSN", "PHONE_NUMBER"]
    assert hint("EMAIL", known) == "did you mean 'EMAIL_ADDRESS'?"
    assert hint("ssn", known) == "did you mean 'US_SSN'?"
    assert hint("CARD", ["FR_IDENTITY_CARD", "CREDIT_CARD_NUMBER"]).startswith("allowed are")
    assert hint("", known).startswith("allowed are")


def test_else_all_are_listed_in_order_as_far_as_they_fit() -> None:
    assert hint("x", ["b", "a"]) == "allowed are a, b"
    assert hint("x", [f"m{n:02d}" for n in range(20)]).endswith(f"m{MOST_LISTED - 1:02d} and 8 more")
    assert hint("x", [f"m{n:02d}" for n in range(MOST_LISTED + 2)]).endswith(f"m{MOST_LISTED + 1:02d}")
    assert hint("x", []) == "none is configured"
