"""The telemetry section as it may be written, and what is said of it when it may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.settings.schema_telemetry import TelemetrySection


def section(**written: object) -> TelemetrySection:
    return TelemetrySection.model_validate(written)


def test_what_holds_when_nothing_is_written() -> None:
    one = section()
    assert (one.otlp, one.sample, one.slow, one.semconv, one.access_log) == (None, 0.05, 30.0, "v1_41", 0.0)
    assert one.keep == ["error", "blocked", "slow"]
    assert section(otlp="").otlp is section(otlp="  ").otlp is None


@pytest.mark.parametrize("url", ["http://collector:4318", "https://h/otlp/v1/traces", "http://[::1]:4318/"])
def test_endpoints(url: str) -> None:
    found = section(otlp=url).otlp
    assert found is not None
    assert found.get_secret_value() == url


@pytest.mark.parametrize("url", ["collector:4318", "grpc://h:4317", "http://", "http://h/?key=canary", "http://h h"])
def test_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        section(otlp=url)
    (problem,) = caught.value.errors()
    assert problem["msg"] == (
        "Value error, this is not an OTLP endpoint; allowed is an http:// or https:// URL such as http://collector:4318"
    )
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "share"), [("on", 1.0), ("off", 0.0), ("Off", 0.0), ("1%", 0.01), ("0.5 %", 0.005)]
)
def test_shares_of_the_access_log(written: str, share: float) -> None:
    assert section(access_log=written).access_log == share


@given(st.text(max_size=12))
def test_the_access_log_is_a_share_or_an_error(written: str) -> None:
    """Rule: "on, off and a percentage" are allowed, and a complaint never repeats what was written."""
    try:
        assert 0 <= section(access_log=written).access_log <= 1
    except ValidationError as error:
        (problem,) = error.errors(include_input=False)
        assert problem["msg"] == "Value error, this is not a share; allowed are on, off and a percentage such as 1%"


def test_headers() -> None:
    one = section(headers={"Api-Key": "canary"})
    assert one.headers["Api-Key"].get_secret_value() == "canary"
    assert "canary" not in repr(one)


@pytest.mark.parametrize(
    "headers",
    [{"content-type": "x"}, {"Host": "x"}, {"a b": "x"}, {"": "x"}, {"a": "x\r\ny: z"}, {"a": ""}, {"a": "é"}],
)
def test_headers_that_may_not_be_set(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="header"):
        section(headers=headers)


@pytest.mark.parametrize("written", [{"slow": "0"}, {"keep": ["slowly"]}, {"semconv": "v2"}, {"content": "on"}])
def test_what_may_not_be_written(written: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        section(**written)


@pytest.mark.parametrize("url", ["https://t.example/trace/{trace_id}", "http://[::1]:16686/t?id={trace_id}#x", ""])
def test_addresses_of_traces(url: str) -> None:
    assert section(trace_url=url).trace_url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://t.example/",
        "javascript:alert({trace_id})",
        "https://{trace_id}/",
        'https://h/"{trace_id}',
        "x{trace_id}",
    ],
)
def test_what_is_no_address_of_a_trace(url: str) -> None:
    with pytest.raises(ValidationError, match="this is not the address of a trace; allowed is an http"):
        section(trace_url=url)
