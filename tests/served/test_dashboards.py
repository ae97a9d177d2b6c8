"""Every panel and every rule, asked of a real Prometheus that scrapes a served gateway under load."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from gateway.slo.boards import BOARDS
from gateway.slo.promql import selector
from gateway.slo.render import ALERTS, RULES, render, write
from gateway.slo.rules import SLOWLY
from tests.gateway.slo.helpers import asked, shipped
from tests.support.prometheus import Prometheus, promtool, scraping
from tests.support.redis_servers import RedisServer
from tests.support.served import Gateway, Process, configuration, key_hash, wait_for

PATIENCE = 150.0
"""Seconds for all panels to have data; a slow machine may need many, a quick one needs few."""
SHADOW = {"detect": "pii", "entities": ["EMAIL_ADDRESS"], "action": "mask", "mode": "shadow", "id": "mail-shadow"}
BLOCK = {"detect": "pii", "entities": ["CREDIT_CARD"], "action": "block", "mode": "enforce", "id": "cards"}
MAIL, CARD = "Write to jane.doe@example.com", "Pay with 4111 1111 1111 1111"


def sections(mock_url: str, redis_url: str) -> dict[str, object]:
    """Limits in Redis, guardrails in two modes, a provider of limited capacity: something for every panel."""
    base = configuration(mock_url, Path("unused"))
    base["providers"]["mock"]["capacity"] = {"concurrent": 4, "queue": 50, "wait": "5s"}
    return {
        "providers": base["providers"],
        "limits": {"store": redis_url},
        "guardrails": {"standard": [SHADOW, BLOCK]},
        "teams": {
            "search": {"guardrails": "standard", "keys": [{"id": "search-dev", "hash": key_hash("sk-search")}]},
            "support": {
                "limits": {"requests_per_minute": 1},
                "keys": [{"id": "support-dev", "hash": key_hash("sk-support")}],
            },
        },
    }


def chat(client: httpx.Client, text: str, key: str = "sk-search", model: str = "gpt-4o-mini", **more: object) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 20, **more}
    client.post("/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})


def one_round(client: httpx.Client) -> None:
    """A little of everything that happens to a gateway."""
    chat(client, "Hello")
    chat(client, "Hello", stream=True)
    chat(client, MAIL)
    chat(client, CARD)
    chat(client, "Hello", "sk-wrong")
    chat(client, "Hello", "sk-support")
    chat(client, "Hello", model="mock-e500")
    chat(client, "Hello", model="mock-e429")
    chat(client, "Hello", model="mock-reset")
    chat(client, "Hello", model="mock-nousage")
    chat(client, "Hello", model="mock-metered")
    embedding = {"model": "text-embedding-3-small", "input": "Hello"}
    client.post("/embeddings", json=embedding, headers={"authorization": "Bearer sk-search"})


@pytest.fixture
def loaded(serve: Callable[..., Gateway], mock: Process, redis_server: RedisServer) -> Iterator[Gateway]:
    """A gateway with traffic until the test is over."""
    gateway = serve(**sections(mock.url, redis_server.url))
    stop = threading.Event()

    def drive() -> None:
        with httpx.Client(base_url=gateway.v1, timeout=60) as client:
            while not stop.wait(0.05):
                one_round(client)

    with ThreadPoolExecutor(2) as pool:
        drivers = [pool.submit(drive) for _ in range(2)]
        try:
            yield gateway
        finally:
            stop.set()
    for driver in drivers:
        driver.result()


def filled(expr: str) -> str:
    """The expression with Grafana's variables as they would be a minute after the start."""
    return expr.replace("$__rate_interval", "20s").replace("$__range", "1m").replace("$team", ".*")


def test_every_panel_and_rule_has_data_under_load(loaded: Gateway, tmp_path: Path) -> None:
    """ "every expression in every panel refers to an existing metric and returns data from a real Prometheus scraping a
    gateway under load" """
    files = render(shipped())
    files[RULES] = files[RULES].replace(f"interval: {SLOWLY}", "interval: 1s")
    write(files, tmp_path)
    rules = [tmp_path / RULES, tmp_path / ALERTS]
    panels = {
        f"{board.title}: {panel.title}: {query.expr}": (filled(query.expr), panel.quiet)
        for board in BOARDS
        for row in board.rows
        for panel in row.panels
        for query in panel.queries
    }
    with scraping(loaded.url.removeprefix("http://"), rules, tmp_path / "prometheus") as prometheus:
        wanted = {name: expr for name, (expr, quiet) in panels.items() if not quiet}

        def all_have_data() -> bool:
            for name in [name for name, expr in wanted.items() if has_data(prometheus, expr)]:
                del wanted[name]
            return not wanted

        try:
            wait_for(all_have_data, "data in every panel", PATIENCE)
        except AssertionError:
            pytest.fail("no data:\n" + "\n".join(sorted(wanted)))
        for expr, _ in panels.values():
            prometheus.query(expr)
        check_rules(prometheus)
        known = set(prometheus.get("/api/v1/label/__name__/values")["data"])
        unknown = {name for expr, quiet in panels.values() for name in asked(expr) if name not in known and not quiet}
        assert unknown == set()
    # It knows the conventions of names too.
    linted = promtool("check", "metrics", said=httpx.get(loaded.url + "/metrics").text)
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


def has_data(prometheus: Prometheus, expr: str) -> bool:
    return any(series["value"][1] != "NaN" for series in prometheus.query(expr))


def check_rules(prometheus: Prometheus) -> None:
    """Every rule is evaluated without an error, every recorded series is there, and what should alert, does."""
    groups = prometheus.get("/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")} == {}
    assert {rule["health"] for rule in rules} == {"ok"}
    for rule in rules:
        if rule["type"] == "recording":
            series = selector(rule["name"], {name: f'="{value}"' for name, value in rule["labels"].items()})
            wait_for(partial(prometheus.query, series), series, PATIENCE)
    pages = 'ALERTS{alertname="TollwayAvailabilityBurn",severity="page",alertstate="firing"}'
    wait_for(lambda: prometheus.query(pages), "the page for a provider that fails", PATIENCE)
