"""What may be said for a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.reasons import checked_reason
from gateway.errors import BadRequest


@given(st.text(max_size=12), st.integers(1, 12))
def test_printable_text_up_to_so_many_characters_is_taken_without_spaces_around_it(text: str, most: int) -> None:
    """reason: allowed is printable text of 1 to N characters."""
    plain = text.strip()
    if plain and len(plain) <= most and plain.isprintable():
        assert checked_reason(text, most) == plain
        return
    with pytest.raises(BadRequest, match=f"1 to {most} characters") as refused:
        checked_reason(text, most)
    assert refused.value.param == "reason"
