"""A provider that fails time and again behind a served gateway: it is left alone, told of, tried, and taken back."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.answers import chat, chat_stream
from tests.support.scripted import Scripted, by_stream, scripted, streamed, unary
from tests.support.served import Gateway, configuration, get_json, wait_for

USUAL = by_stream(chat("fine"), chat_stream(chat("fine")))
ADMIN = {"authorization": "Bearer sk-admin"}
BACK_OFF = 1.0
"""Seconds. What must be seen while a circuit is open is looked at again where they were over in between."""


@pytest.fixture(scope="module")
def shaky() -> Iterator[Scripted]:
    with scripted(USUAL) as state:
        yield state


@pytest.fixture(scope="module")
def sound() -> Iterator[Scripted]:
    with scripted(USUAL) as state:
        yield state


@pytest.fixture(scope="module")
def served(shaky: Scripted, sound: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data: Path = tmp_path_factory.mktemp("breaker")
    written = configuration(shaky.url, data)
    written["providers"] = {
        name: {
            "dialect": "openai", "base_url": f"{at.url}/v1",
            "breaker": {"failures": 3, "back_off": f"{BACK_OFF:g}s", "longest": f"{BACK_OFF:g}s"},
        }
        for name, at in (("shaky", shaky), ("sound", sound))
    }  # fmt: skip
    written["models"] = {
        "first": {"targets": [{"provider": "shaky"}], "fallbacks": ["second"]},
        "second": {"targets": [{"provider": "sound"}]},
        "alone": {"targets": [{"provider": "shaky"}]},
    }
    del written["teams"]["support"]
    written["incidents"] = {"interval": "1s"}
    config = data / "gateway.yaml"
    config.write_text(yaml.safe_dump(written))
    gateway = Gateway(config)
    yield gateway
    assert gateway.stop() == 0


def ask(gateway: Gateway, model: str = "first", **more: object) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
    return httpx.post(
        gateway.v1 + "/chat/completions", json=body, headers={"authorization": "Bearer sk-search"}, timeout=60
    )


def state(gateway: Gateway, model: str = "first") -> float:
    text = httpx.get(gateway.url + "/metrics").text
    found = re.search(rf'^tollway_breaker_state{{model="{model}",provider="shaky"}} (\S+)$', text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def logged(gateway: Gateway, event: str, model: str) -> list[dict]:
    """The lines that tell of it, once there is one: they are written beside the requests."""

    def lines() -> list[dict]:
        every = [json.loads(text) for text in (gateway.data / "gateway.log").read_text().splitlines()]
        return [line for line in every if (line["event"], line.get("model")) == (event, model)]

    wait_for(lines, f"the line that tells of {event}")
    return lines()


def open_circuits(gateway: Gateway) -> list[str]:
    views = get_json(gateway.url + "/admin/v1/providers", ADMIN)["providers"]
    return next(view for view in views if view["name"] == "shaky")["open_circuits"]


def test_it_is_left_alone_told_of_tried_and_taken_back(served: Gateway, shaky: Scripted, sound: Scripted) -> None:
    assert (ask(served).status_code, len(sound.seen), state(served)) == (200, 0, 0)
    shaky.says(lambda wire, seen: wire.broken())
    assert [ask(served).headers["x-tollway-provider"] for _ in range(3)] == ["sound"] * 3

    def left_alone() -> bool:
        ask(served)  # where the back-off was over this was the probe, which failed: it is open anew
        asked, seen_open = len(shaky.seen), state(served) == 2 and open_circuits(served) == ["first"]
        return seen_open and ask(served).status_code == 200 and len(shaky.seen) == asked

    wait_for(left_alone, "a request while its circuit is open, which does not reach its socket")
    assert {(line["provider"], line["level"]) for line in logged(served, "breaker_opened", "first")} == {
        ("shaky", "warning")
    }
    wait_for(lambda: state(served) == 1, "the back-off to be over")
    shaky.says(USUAL)
    assert ask(served).headers["x-tollway-provider"] == "shaky"
    assert (len(shaky.seen), state(served)) == (1, 0)
    assert len(logged(served, "breaker_closed", "first")) == 1


def test_a_model_with_no_other_target_is_tried_all_the_same(served: Gateway, shaky: Scripted) -> None:
    shaky.says(unary({"error": {"message": "down"}}, 500))
    assert [ask(served, "alone").status_code for _ in range(6)] == [500] * 6
    assert len(shaky.seen) == 6
    assert state(served, "alone") > 0
    shaky.says(USUAL)
    assert ask(served, "alone").status_code == 200
    assert state(served, "alone") == 0


def test_streams_that_break_in_the_middle_count(served: Gateway, shaky: Scripted) -> None:
    shaky.says(streamed(chat_stream(chat("hello there"))[:200], ends=False))
    for _ in range(3):
        ask(served, "alone", stream=True)
    wait_for(lambda: ask(served, "alone", stream=True).status_code == 200 and state(served, "alone") > 0, "it to open")
    shaky.says(USUAL)
    wait_for(lambda: ask(served, "alone").status_code == 200 and state(served, "alone") == 0, "it to close")
