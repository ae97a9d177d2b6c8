"""Error bodies in both dialects."""

import msgspec
import pytest

from loadtest.mock.envelopes import failure_reply
from loadtest.mock.scenario import Failure


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 418, 429, 500, 503, 529])
def test_every_status_has_both_envelopes(status: int) -> None:
    openai = msgspec.json.decode(failure_reply(Failure(status), anthropic=False).body)["error"]
    assert set(openai) == {"message", "type", "param", "code"}
    anthropic = msgspec.json.decode(failure_reply(Failure(status), anthropic=True).body)
    assert anthropic["type"] == "error"
    assert set(anthropic["error"]) == {"type", "message"}
    assert openai["message"] == anthropic["error"]["message"] != ""


def test_a_scenario_may_say_all_of_it() -> None:
    reply = failure_reply(Failure(429, retry_after=1.5, message="m", type="t", code="c"), anthropic=False)
    assert msgspec.json.decode(reply.body)["error"] == {"message": "m", "type": "t", "param": None, "code": "c"}
    assert reply.headers == [(b"retry-after", b"1.5")]
