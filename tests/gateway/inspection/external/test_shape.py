"""What the wire shapes share: decoding, cleaning, naming."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.external.shape import WrongAnswer, bearer, clean, decoded, upper


@pytest.mark.parametrize(("name", "kind"), [
    ("hate/threatening", "HATE_THREATENING"), ("SelfHarm", "SELF_HARM"), ("self-harm", "SELF_HARM"), ("S1", "S1"),
    ("EMAIL", "EMAIL"), ("custom word", "CUSTOM_WORD"), ("", ""),
])  # fmt: skip
def test_a_category_as_a_type(name: str, kind: str) -> None:
    assert upper(name) == kind


def test_a_wrong_form_is_named_by_its_place_and_not_quoted() -> None:
    with pytest.raises(WrongAnswer, match=r"another form: \$\[0\]$"):
        decoded(200, b'["a secret"]', list[int])
    with pytest.raises(WrongAnswer, match="not answer in JSON"):
        decoded(200, b"[" * 100_000, object)


@given(st.text(st.characters(codec=None, exclude_categories=[])))
def test_cleaning_keeps_what_is_valid(text: str) -> None:
    """ "Each lone surrogate replaced by U+FFFD: as long as before, … and valid UTF-8"."""
    cleaned = clean(text)
    cleaned.encode()
    assert all(new == old or (new == "\ufffd" and "\ud800" <= old <= "\udfff")
               for new, old in zip(cleaned, text, strict=True))  # fmt: skip


def test_without_a_key_there_is_no_authorization() -> None:
    assert bearer("") == []
    assert bearer("k") == [("authorization", "Bearer k")]
