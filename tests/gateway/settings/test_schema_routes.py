"""URLs, headers and targets as they may be written; the complaints are in `test_load.py`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.settings.schema_routes import ProviderSection, TargetSection, check_url


@pytest.mark.parametrize(
    "url", ["https://api.openai.com/v1", "http://127.0.0.1:9000", "http://[::1]:9000/v1/", "https://h.example/a/b%20c"]
)
def test_urls_that_may_be_written(url: str) -> None:
    assert check_url(url) == url


@given(st.text())
def test_any_other_text_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_url("CANARY" + text)
    assert "CANARY" not in str(caught.value)


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20), max_size=3))
def test_headers_that_pass_can_be_sent(headers: dict[str, str]) -> None:
    """Nothing that passes ends a line, is not ASCII, or changes where a message ends."""
    try:
        section = ProviderSection.model_validate({"dialect": "openai", "base_url": "https://h", "headers": headers})
    except ValidationError:
        return
    for name, secret in section.headers.items():
        line = f"{name}: {secret.get_secret_value()}"
        assert line.isascii()
        assert not {"\r", "\n", "\0"} & set(line)
        assert name.lower() not in ("host", "content-length", "transfer-encoding", "connection", "authorization")


def test_a_weight_is_one_or_more() -> None:
    assert TargetSection.model_validate({"provider": "p"}).weight == 1
    with pytest.raises(ValidationError):
        TargetSection.model_validate({"provider": "p", "weight": "0"})
