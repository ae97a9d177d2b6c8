"""The generic webhook: a signature that Standard Webhooks' libraries verify, and a small answer."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.external.shape import TOGETHER, Context, Reply, Stamp, Text, WrongAnswer
from gateway.inspection.external.webhook import Webhook, signature
from tests.support.detector_services import config_of

TEXTS = [Text("user", "one two", "messages[0].content")]
STAMP = Stamp(1_674_087_231_999_000_000, "msg_1")


def reply(**answer: object) -> Reply:
    return Webhook(config_of("webhook", "http://x")).reply(TEXTS, 200, json.dumps(answer).encode())


def verified(secret: bytes, headers: dict[str, str], body: bytes, now: int, seen: set[str]) -> bool:
    """A receiver, written from the specification."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    is_signed = any(hmac.compare_digest(f"v1,{mac}", each) for each in headers["webhook-signature"].split(" "))
    is_new = headers["webhook-id"] not in seen and abs(now - int(headers["webhook-timestamp"])) <= 300
    seen.add(headers["webhook-id"])
    return is_signed and is_new


def test_the_specifications_example() -> None:
    """Standard Webhooks' published test vector: secret, id, timestamp and payload of its reference libraries."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    mac = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body) == mac


def test_a_receiver_accepts_once_and_in_time() -> None:
    raw = b"r" * 24
    config = config_of("webhook", "http://x", api_key="whsec_" + base64.b64encode(raw).decode())
    outgoing = Webhook(config).request(TEXTS, Context(team="t"), STAMP)
    headers, seen = dict(outgoing.headers), set[str]()
    assert verified(raw, headers, outgoing.body, 1_674_087_300, seen)
    assert not verified(raw, headers, outgoing.body, 1_674_087_300, seen)
    assert not verified(raw, headers, outgoing.body, 1_674_099_999, set())
    assert not verified(raw, headers, outgoing.body + b" ", 1_674_087_300, set())


def test_while_a_secret_is_replaced_both_sign() -> None:
    outgoing = Webhook(config_of("webhook", "http://x", api_key="new old")).request(TEXTS, Context(), STAMP)
    for secret in (b"new", b"old"):
        assert verified(secret, dict(outgoing.headers), outgoing.body, 1_674_087_231, set())


def test_without_a_secret_nothing_is_signed() -> None:
    outgoing = Webhook(config_of("webhook", "http://x", api_key="")).request(TEXTS, Context(), STAMP)
    assert "webhook-signature" not in dict(outgoing.headers)


def test_what_the_receiver_is_told() -> None:
    config = config_of("webhook", "http://x", params={"zone": "eu"})
    body = json.loads(Webhook(config).request(TEXTS, Context("response", "r", "t", "k", "m", "o"), STAMP).body)
    assert body == {
        "version": 1, "direction": "response", "request_id": "r", "team": "t", "key_id": "k", "model": "m",
        "operation": "o", "params": {"zone": "eu"},
        "texts": [{"index": 0, "role": "user", "path": "messages[0].content", "text": "one two"}],
    }  # fmt: skip


def test_answers() -> None:
    assert reply(action="allow") == Reply()
    blocked = reply(action="block", message="no")
    assert (blocked.flagged, blocked.message, blocked.matches[0][0]) == (True, "no", TOGETHER)
    found = reply(action="flag", findings=[{"index": 0, "type": "WORD", "start": 4}, {"type": "TONE", "score": 0.4}])
    assert [(index, m.type, m.start, m.end, m.score) for index, m in found.matches] == [
        (0, "WORD", 4, 7, 1.0), (TOGETHER, "TONE", 0, 0, 0.4)]  # fmt: skip
    assert reply(action="rewrite", texts=[{"index": 0, "text": "x"}]).rewrites == ((0, "x"),)
    assert reply(action="rewrite", texts=[{"index": 0, "text": "one two"}]) == Reply()
    assert reply(action="flag", texts=[{"index": 0, "text": "x"}]).rewrites == ()


@pytest.mark.parametrize(
    ("findings", "types"),
    [([], ["REWRITTEN"]), ([{"type": "TONE"}], ["TONE"]), ([{"index": 0, "type": "WORD", "end": 3}], ["WORD"])],
)
def test_a_text_that_is_rewritten_has_a_finding(findings: list[dict[str, object]], types: list[str]) -> None:
    """A rule acts on findings. That of no text in particular had stood for the last one, which was masked whole in the
    place of the text that had another wording."""
    texts = [*TEXTS, Text("user", "the last", "messages[1].content")]
    answer = {"action": "rewrite", "findings": findings, "texts": [{"index": 0, "text": "1 2"}]}
    said = Webhook(config_of("webhook", "http://x")).reply(texts, 200, json.dumps(answer).encode())
    assert [(index, match.type) for index, match in said.matches] == [(0, kind) for kind in types]
    assert (said.flagged, said.rewrites) == (True, ((0, "1 2"),))


@pytest.mark.parametrize("answer", [{"action": "maybe"}, {"action": "flag", "findings": [{"index": 1, "type": "A"}]},
                                    {"action": "rewrite", "texts": [{"index": -1, "text": ""}]}])  # fmt: skip
def test_unknown_actions_and_indexes_are_refused(answer: dict[str, object]) -> None:
    with pytest.raises(WrongAnswer):
        reply(**answer)


@given(st.binary(max_size=50), st.binary(min_size=1, max_size=40))
def test_any_key_and_body_can_be_signed(body: bytes, key: bytes) -> None:
    """ "HMAC-SHA256 of `{id}.{timestamp}.{body}`": another body has another signature."""
    assert signature(key, "i", "1", body) != signature(key, "i", "1", body + b"x")
