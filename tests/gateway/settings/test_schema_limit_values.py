"""What is written for windows, zones and stores: what is taken, and what is refused without being repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.settings.schema_limit_values import check_each, check_per, check_store, check_zone


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Argentina/Ushuaia"])
def test_time_zones(zone: str) -> None:
    assert check_zone(zone) == zone


@given(st.text(max_size=20))
def test_anything_else_is_refused_without_being_repeated(text: str) -> None:
    """A complaint of ours never repeats the value, which may have come from a variable that holds a secret."""
    for check in (check_zone, check_per, check_each):
        marked = f"CANARY{text}"
        with pytest.raises(ValueError, match=";") as refused:
            check(marked)
        assert "CANARY" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["memory://", "redis://h", "rediss://u:p@h:6380/3", "redis+cluster://a,b:7000", "redis+sentinel://a,b:26379/main/2",
     "redis://[::1]:6379/0"],
)  # fmt: skip
def test_stores(url: str) -> None:
    assert check_store(SecretStr(url)).get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    ["memory://CANARY", "redis://u:CANARY@", "redis://u:CANARY@h:70000", "redis://u:CANARY@h/name",
     "redis+cluster://u:CANARY@a,b/0", "redis+sentinel://u:CANARY@a,b", "redis://u:CANARY@[h"],
)  # fmt: skip
def test_a_store_that_cannot_be_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="allowed") as refused:
        check_store(SecretStr(url))
    assert "CANARY" not in str(refused.value)
