"""Bodies of requests: what is read, and what is said of those that cannot be."""

import httpx
import msgspec
import pytest

from gateway.admin.endpoint import MAX_BODY

KEYS = "/admin/v1/keys"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "`team`"),
        (b"{", 400, "not valid JSON"),
        (b"\xff\xfe", 400, "not valid JSON"),
        (b"[]", 400, "Expected `object`"),
        (b'{"team": 5}', 400, "$.team"),
        (b'{"team": "search", "modells": []}', 400, "modells"),
        (b'{"team": "search", "models": "gpt-4o-mini"}', 400, "$.models"),
        (b'{"team": "' + b"x" * MAX_BODY + b'"}', 413, "larger than"),
    ],
)
async def test_a_body_that_cannot_be_used(admin: httpx.AsyncClient, body: bytes, status: int, says: str) -> None:
    answer = await admin.post(KEYS, content=body)
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]


async def test_values_are_not_repeated(admin: httpx.AsyncClient) -> None:
    answer = await admin.post(KEYS, content=msgspec.json.encode({"team": ["sk-canary-value"]}))
    assert answer.status_code == 400
    assert "canary" not in answer.text
