import html
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.pages.guardrails import MOST, marked
from gateway.telemetry.page import Page
from guardrails.governor import Governor
from guardrails.policy import Bounds
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import log_in, post, visitor

PAGE = "/console/guardrails"
RULES = {
    "standard": [
        {"detect": "pii", "entities": ["EMAIL_ADDRESS"], "action": "mask", "mode": "enforce"},
        {"detect": "secrets", "on": ["request"], "action": "block", "mode": "shadow"},
    ]
}


@pytest.fixture
def guarded(make_world: Callable[..., FakeWorld]) -> FakeWorld:
    return make_world(guardrails=RULES)


async def test_what_a_rule_looks_for_does_not_repeat_its_id(make_world: Callable[..., FakeWorld]):
    rules = [{"detect": "terms", "id": "customers", "terms": ["Globex"], "mode": "enforce"}]
    async with visitor(make_world(guardrails={"standard": rules})) as client:
        await log_in(client, "viewer")
        page = (await client.get(PAGE)).text
    assert "<td>terms</td>" in page
    assert "terms:customers" not in page


async def test_rules_and_their_counts_by_mode(guarded: FakeWorld):
    metrics = guarded.metrics
    assert metrics is not None
    counted = Page(guardrails={("standard.pii.1", "request", "enforce", "mask"): [7, 9],
                               ("standard.secrets.1", "request", "shadow", "block"): [3, 4]})  # fmt: skip
    metrics._page.add(counted)
    async with visitor(guarded) as client:
        await log_in(client, "viewer")
        text = " ".join((await client.get(PAGE)).text.split())
    assert '<td class="number">7</td><td class="number">0</td><td class="number quiet">9</td>' in text
    assert '<td class="number">0</td><td class="number warn">3</td><td class="number quiet">4</td>' in text


async def test_a_rule_beyond_its_bounds_is_said_to_only_watch(make_world: Callable[..., FakeWorld]):
    rule = {"detect": "pii", "id": "mails", "action": "mask", "mode": "enforce", "bounds": {"match_rate": "5%"}}
    world = make_world(guardrails={"standard": [rule]})
    world.governor = Governor({"mails": Bounds(micros=1, at_least=1)})
    async with visitor(world) as client:
        await log_in(client, "viewer")
        assert "only watches" not in (await client.get(PAGE)).text
        world.governor.tell("mails", False, 2, world.clock.monotonic())
        assert "only watches in 1 worker<" in (await client.get(PAGE)).text


async def test_a_text_is_tried_as_the_command_does_and_is_stored_nowhere(guarded: FakeWorld):
    async with visitor(guarded) as client:
        await log_in(client, "viewer")
        fields = {"policy": "standard", "direction": "request", "role": "user"}
        answer = await post(client, f"{PAGE}/try", PAGE, text="mail <b>jane@acme.io</b> now", **fields)
        text = html.unescape(answer.text)
        assert "It would pass with changes." in text
        assert "<mark>jane@acme.io</mark>" in text
        assert "<b>jane" not in answer.text
        plain = await post(client, f"{PAGE}/try", PAGE, text="hello", **fields)
        assert "Nothing was found." in plain.text
    assert guarded.metrics is not None
    assert guarded.metrics.page().guardrails == {}


@pytest.mark.parametrize(
    "fields",
    [{"policy": "x"}, {"direction": "up"}, {"role": "king"}, {"text": ""}, {"text": "x" * (MOST + 1)}],
)
async def test_wrong_fields_are_refused(guarded: FakeWorld, fields: dict[str, str]):
    async with visitor(guarded) as client:
        await log_in(client)
        right = {"text": "hello", "policy": "standard", "direction": "request", "role": "user"}
        assert (await post(client, f"{PAGE}/try", PAGE, **{**right, **fields})).status_code == 400


async def test_without_guardrails_the_page_says_how_to_begin(world: FakeWorld):
    async with visitor(world) as client:
        await log_in(client)
        assert "No policy is written" in (await client.get(PAGE)).text
        assert (await post(client, f"{PAGE}/try", PAGE, text="x")).status_code == 400


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(0, 35), st.integers(0, 35)), max_size=6))
def test_pieces_joined_are_the_text(text: str, spans: list[tuple[int, int]]):
    inside = [(start, min(end, len(text))) for start, end in spans]
    pieces = marked(text, inside)
    assert "".join(piece for piece, _ in pieces) == text
    hit = {at for start, end in inside for at in range(start, end)}
    at = 0
    for piece, is_hit in pieces:
        assert all((at + step in hit) == is_hit for step in range(len(piece)))
        at += len(piece)
