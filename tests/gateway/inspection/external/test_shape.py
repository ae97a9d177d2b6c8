"""What the wire shapes share: decoding, cleaning, naming."""

import pytest

from gateway.inspection.external.shape import WrongAnswer, bearer, decoded, upper


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


def test_without_a_key_there_is_no_authorization() -> None:
    assert bearer("") == []
    assert bearer("k") == [("authorization", "Bearer k")]
