"""Names that may stand in headers, metrics and addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.schema_base import check_model, check_name, is_text


@pytest.mark.parametrize("name", ["openai", "a", "A.b-c_9", "x" * 128])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a b", "ä", "a/b", "x" * 129, "a\n"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="allowed are letters"):
        check_name(name)


@pytest.mark.parametrize("name", ["gpt-4o", "local/*", "*", "meta-llama/Llama-3.1-8B:free", "modèle"])
def test_model_names(name: str) -> None:
    assert check_model(name) == name


@given(st.text())
def test_a_model_name_has_no_blank_no_comma_and_a_star_only_at_its_end(text: str) -> None:
    try:
        name = check_model(text)
    except ValueError:
        return
    assert name
    assert "*" not in name[:-1]
    assert not set(" ,\t\n\r\0") & set(name)


def test_text_is_told_from_the_rest() -> None:
    assert is_text("off")
    assert not is_text({})
