"""Work that goes on after its answer is told from answers that are over."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.jobs import Job, costs_nothing, job_in, job_in_stream
from gateway.facts import Usage

TOLD = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
USED = Usage(input_tokens=5, output_tokens=3)
RESPONSE = {
    "id": "resp_1", "object": "response", "background": True, "status": "completed", "model": "gpt-5",
    "usage": TOLD, "service_tier": "flex",
}  # fmt: skip


def job(shown: dict[str, Any]) -> Job | None:
    return job_in(json.dumps(shown).encode())


def test_background_responses_batches_and_runs_are_jobs() -> None:
    assert job(RESPONSE) == Job("resp_1", "gpt-5", True, USED, "flex")
    assert job({**RESPONSE, "status": "in_progress", "usage": None}) == Job("resp_1", "gpt-5", False, None, "flex")
    batch = {"id": "b", "object": "batch", "status": "expired", "model": "gpt-5", "usage": TOLD}
    assert job(batch) == Job("b", "gpt-5", True, USED, "batch")
    run = {"id": "r", "object": "thread.run", "status": "requires_action", "model": "gpt-4o", "usage": None}
    assert job(run) == Job("r", "gpt-4o", False, None, None)


def test_searches_of_a_response_are_counted() -> None:
    found = job({**RESPONSE, "output": [{"type": "web_search_call"}, {"type": "message"}]})
    assert found is not None
    assert found.usage is not None
    assert found.usage.web_searches == 1


@pytest.mark.parametrize(
    "changed", [{"background": False}, {"background": None}, {"object": "chat.completion"}, {"id": ""}]
)
def test_what_is_over_with_its_answer_is_none(changed: dict[str, Any]) -> None:
    assert job({**RESPONSE, **changed}) is None


def test_the_last_event_of_a_stream_shows_its_job() -> None:
    events = b"".join(
        b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, "response": response}).encode())
        for kind, response in (
            ("response.created", {**RESPONSE, "status": "queued", "usage": None}),
            ("response.completed", RESPONSE),
        )
    )
    assert job_in_stream(events) == Job("resp_1", "gpt-5", True, USED, "flex")
    assert job_in_stream(events[: events.index(b"response.completed")]) is None


def test_what_is_made_without_tokens_costs_nothing() -> None:
    assert costs_nothing(b'{"object":"response.input_tokens","input_tokens":11}')
    assert not costs_nothing(b'{"object":"list"}')


NAMES = st.sampled_from(["object", "id", "status", "model", "usage", "background", "response"])
VALUES = st.recursive(st.none() | st.text(max_size=5) | st.integers(), lambda inner: st.dictionaries(NAMES, inner))


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_nothing_raises(body: bytes) -> None:
    job_in(body)
    costs_nothing(body)
    job_in_stream(b'data: {"type":"response.completed","response":' + body + b"}\n\n")
