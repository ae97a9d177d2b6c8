"""Where a service may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.outside_rules import KINDS
from gateway.settings.schema_outside import SERVICES, check_service_url


@pytest.mark.parametrize("url", ["https://api.lakera.ai", "http://127.0.0.1:5002/x", "https://h.example/hook?key=1"])
def test_urls_that_may_be_written(url: str) -> None:
    assert check_service_url(url) == url


@given(st.text())
def test_any_other_text_is_refused_without_repeating_it(text: str) -> None:
    """A webhook's address may be a secret."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_service_url("CANARY" + text)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://u:p@h.example", "https://h.example#x", "http://h.example:0", "http://[x"])
def test_what_a_request_cannot_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="allowed is an http or https URL"):
        check_service_url(url)


def test_every_service_has_a_wire_shape() -> None:
    assert set(KINDS) == set(SERVICES)
