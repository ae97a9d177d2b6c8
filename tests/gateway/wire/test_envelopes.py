"""Envelopes: every refusal in both wires, whole and mid-stream, as the real SDKs read them."""

import json

import pytest
from anthropic import types as anthropic_types
from openai.types.responses import ResponseErrorEvent

from gateway.errors import (
    BadRequest,
    Blocked,
    BudgetExhausted,
    Overloaded,
    RateLimited,
    Refusal,
    Unauthenticated,
    UnreadableAnswer,
)
from gateway.facts import Wire
from gateway.wire.envelopes import error_body, error_event
from gateway.wire.sse import SseParser


def every_refusal(base: type[Refusal] = Refusal) -> list[type[Refusal]]:
    """But for the one that takes no message of its own."""
    found = [base, *(each for sub in base.__subclasses__() for each in every_refusal(sub))]
    return [each for each in found if each is not UnreadableAnswer]


def test_openai_envelope():
    refusal = BadRequest('No "x"\n', param="x", code="c")
    assert json.loads(error_body(refusal, "openai", "req-1")) == {
        "error": {"message": 'No "x"\n', "type": "invalid_request_error", "param": "x", "code": "c"}
    }
    assert json.loads(error_body(Overloaded("m"), "openai"))["error"]["param"] is None


def test_anthropic_envelope():
    assert json.loads(error_body(BudgetExhausted("m"), "anthropic", "req-1")) == {
        "type": "error",
        "error": {"type": "billing_error", "message": "m"},
        "request_id": "req-1",
    }
    assert "request_id" not in json.loads(error_body(BudgetExhausted("m"), "anthropic"))


@pytest.mark.parametrize("kind", every_refusal())
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize("shape", ["chat", "responses"])
def test_event_is_one_event_with_the_body(kind: type[Refusal], wire: Wire, shape: str):
    raw = error_event(kind("line\nline"), wire, "r", shape="responses" if shape == "responses" else "chat")
    (event,) = SseParser().feed(raw)
    assert event.data is not None
    body = json.loads(event.data)
    named = wire == "anthropic" or shape == "responses"
    assert event.name == (b"error" if named else b"")
    assert body["error"]["message"] == "line\nline"
    if not named or wire == "anthropic":
        assert event.data == error_body(kind("line\nline"), wire, "r")


def test_responses_event_is_read_in_both_known_shapes():
    raw = error_event(Blocked("m", param="input"), "openai", shape="responses", sequence_number=7)
    body = json.loads(raw.removeprefix(b"event: error\ndata: "))
    documented = ResponseErrorEvent.model_validate(body, strict=True)
    assert (documented.code, documented.message, documented.param) == ("content_filter", "m", "input")
    assert (documented.type, documented.sequence_number) == ("error", 7)
    assert body["error"]["type"] == "invalid_request_error"


def test_anthropic_body_fits_the_sdks_type():
    for refusal in (RateLimited("m"), Unauthenticated("m")):
        parsed = anthropic_types.ErrorResponse.model_validate_json(error_body(refusal, "anthropic", "r"))
        assert parsed.error.type == refusal.anthropic_type
        assert parsed.request_id == "r"
