"""The same totals everywhere: what the provider served, what the command says, and what the console shows."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal

import httpx
from anthropic import Anthropic
from openai import OpenAI

from gateway.console import wording
from tests.support.served import Gateway, Process, get_json

CLAUDE = "claude-3-7-sonnet-20250219"
HELLO = [{"role": "user", "content": "Hello"}]


def test_the_page_the_command_and_the_provider_agree(
    own_mock: Callable[..., Process], serve: Callable[..., Gateway]
) -> None:
    """ "Totals on the page equal `tollway spend` equal the mock provider's `/stats`." """
    mock = own_mock()
    gateway = serve(upstream=mock.url)
    openai = OpenAI(base_url=gateway.v1, api_key="sk-search")
    for most in range(5, 15):
        openai.chat.completions.create(model="gpt-4o-mini", messages=HELLO, max_tokens=most)  # pyright: ignore
        list(openai.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=most, stream=True))  # pyright: ignore
    Anthropic(base_url=gateway.url, api_key="sk-search").messages.create(model=CLAUDE, max_tokens=9, messages=HELLO)  # pyright: ignore

    report = gateway.settled(21, "--by", "model")
    served = get_json(mock.url + "/stats")
    assert served["completed"] == served["requests"] == report["total"]["requests"] == 21
    assert served["input_tokens"] == report["total"]["input_tokens"]
    assert served["output_tokens"] == report["total"]["output_tokens"]
    assert {name: counted["output_tokens"] for name, counted in served["by_model"].items()} == {
        row["model"]: row["output_tokens"] for row in report["rows"]
    }

    with httpx.Client(base_url=gateway.url, follow_redirects=True) as browser:
        page = browser.post("/console/login", data={"key": "sk-admin"}).text
    shown = re.search(r'id="spend">([^<]+)<', page)
    assert shown is not None
    assert shown[1] == wording.dollars(int(Decimal(report["total"]["cost_usd"]).scaleb(9)))
    assert re.search(r"\b21\b", page), "and how many requests that was"


def test_an_answer_without_usage_is_counted_whole_or_streamed(
    own_mock: Callable[..., Process], serve: Callable[..., Gateway]
) -> None:
    """ "The provider did not report usage …, so tokens were counted by the gateway": a whole answer was booked as
    nothing, and passed every budget."""
    mock = own_mock()
    gateway = serve(upstream=mock.url)
    openai = OpenAI(base_url=gateway.v1, api_key="sk-search")
    openai.chat.completions.create(model="mock-nousage", messages=HELLO, max_tokens=12)  # pyright: ignore
    list(openai.chat.completions.create(model="mock-nousage", messages=HELLO, max_tokens=12, stream=True))  # pyright: ignore
    gateway.settled(2)
    with closing(sqlite3.connect(gateway.data / "tollway.db")) as books:
        booked = books.execute("SELECT estimated, input_tokens, output_tokens FROM events").fetchall()
    assert len(booked) == 2
    for estimated, counted_in, counted_out in booked:
        assert estimated
        assert counted_in > 0
        assert counted_out >= 8
