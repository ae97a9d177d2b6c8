"""What is looked at of an answer that is passed through, and when. Whole ways: `tests/served/test_passed.py`."""

from types import SimpleNamespace
from typing import cast

import pytest

from gateway.client import Client
from gateway.dialects.ending import Ending
from gateway.facts import UNPRICED, Exchange
from gateway.measured import ONE_REQUEST
from gateway.passed import EVENTS, TAIL, Tally, keeps, settle_unread
from gateway.routing.table import Provider
from gateway.settings.snapshot import Snapshot
from gateway.settle import FREE_OF_CHARGE


class Asked:
    """As much of a client as is asked here."""

    def __init__(self, method: str, path: str = "/v1/images/generations") -> None:
        self.method, self.path = method, path


def kept(method: str, path: str, kind: bytes) -> Ending | Tally | None:
    snapshot = SimpleNamespace(server=SimpleNamespace(max_body=1_000_000))
    client = cast(Client, Asked(method, path))
    x = Exchange("id", "id", 0, 0.0)
    return keeps(client, x, cast(Snapshot, snapshot), cast(Provider, None), [(b"content-type", kind)])


@pytest.mark.parametrize(
    ("method", "path", "kind", "most"),
    [
        ("POST", "/v1/images/generations", b"application/json", TAIL),
        ("POST", "/v1/images/generations", b"text/event-stream; charset=utf-8", EVENTS),
        ("POST", "/v1/audio/transcriptions", b"application/json", EVENTS),
        ("GET", "/v1/responses/resp_1", b"application/json", 500_000),
        ("POST", "/v1/responses/resp_1/cancel", b"application/json; charset=utf-8", 500_000),
    ],
)
def test_the_end_of_an_answer_is_kept_and_all_of_what_is_read(method: str, path: str, kind: bytes, most: int) -> None:
    ending = kept(method, path, kind)
    assert isinstance(ending, Ending)
    ending.add(b"x" * 2 * most)
    assert ending.whole
    ending.add(b"x")
    assert not ending.whole
    assert len(ending.bytes) == most


def test_nothing_is_kept_of_a_file() -> None:
    assert kept("GET", "/v1/files/f/content", b"application/json") is None
    assert kept("POST", "/v1/audio/speech", b"audio/mpeg") is None
    assert isinstance(kept("GET", "/v1/messages/batches/b/results", b"application/x-jsonl"), Tally)


@pytest.mark.parametrize(("method", "free"), [("GET", True), ("DELETE", True), ("POST", False)])
def test_reading_is_free_and_making_is_not(method: str, free: bool) -> None:
    x = Exchange("id", "id", 0, 0.0)
    snapshot = cast(Snapshot, SimpleNamespace(prices=None))
    settle_unread(x, snapshot, cast(Provider, None), cast(Client, Asked(method)), ONE_REQUEST, 1.0)
    assert x.cost is (FREE_OF_CHARGE if free else UNPRICED)
