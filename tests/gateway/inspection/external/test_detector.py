"""Every wire shape over a real socket, and everything that can go wrong on the way."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.clock import ManualClock, SystemClock
from gateway.inspection.external import Context
from gateway.inspection.external.detector import ExternalDetector, _batches
from gateway.inspection.external.shape import Text
from gateway.inspection.report import Report, Spend, Spent
from gateway.tasks import TaskGroup
from guardrails.interface import Segment
from tests.support.detector_services import FAKES, KEY, WORD, config_of
from tests.support.raw import RawServer, raw_server, read_request

GUILTY = [Segment("messages[0].content", "user", "hello"), Segment("messages[1].content", "user", f"🦓 a {WORD} came")]
INNOCENT = [Segment("messages[0].content", "user", "hello")]
Handler = Callable[[RawServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(fake: Callable[..., Any], seen: list[bytes] | None = None) -> Handler:
    """Plays a fake on every connection, request after request."""

    async def handler(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            if seen is not None:
                seen.append(body)
            lines = head.decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            answer = fake(lines[0].split(" ")[1], headers, body)
            writer.write(response(418 if answer is None else 200, json.dumps(answer).encode()))
            await writer.drain()

    return handler


def response(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "content-type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def raw(data: bytes, stall: bool = False) -> Handler:
    """Answers every request with these bytes, then closes or says no more."""

    async def handler(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(data)
        await writer.drain()
        if stall:
            await server.until_closed(reader)

    return handler


def silent() -> Handler:
    return raw(b"", stall=True)


@asynccontextmanager
async def detector_of(kind: str, url: str, clock: Any = None, **changes: Any) -> AsyncIterator[ExternalDetector]:
    defects: list[str] = []
    tasks = TaskGroup(lambda name, error: defects.append(f"{name}: {error!r}"))
    config = config_of(kind, url, **changes)
    detector = ExternalDetector(config, clock=clock or SystemClock(), tasks=tasks, key=b"k" * 32)
    yield detector
    await tasks.close()
    await detector.aclose()
    assert defects == []


async def ask(detector: ExternalDetector, segments: list[Segment], spend: Spend | None = None) -> Report:
    return await asyncio.wait_for(detector.check(segments, Context(team="t", request_id="r"), spend).report(), 60)


@pytest.mark.parametrize("kind", FAKES)
async def test_every_service_is_spoken_to_in_its_own_words(kind: str) -> None:
    async with raw_server(answering(FAKES[kind])) as server, detector_of(kind, server.url) as detector:
        innocent = await ask(detector, INNOCENT)
        assert (innocent.outcome, innocent.error, innocent.flagged) == ("ok", "", False)
        assert innocent.findings == ()
        spent: list[Spent] = []
        guilty = await ask(detector, GUILTY, lambda each, seconds: spent.append(each))
    assert (guilty.outcome, guilty.flagged, guilty.refused) == ("ok", True, False)
    places = {(finding.path, finding.start, finding.end) for finding in guilty.findings}
    exact = {(GUILTY[1].path, 4, 4 + len(WORD))}
    whole = {(GUILTY[1].path, 0, len(GUILTY[1].text))}
    expected = {"llama-guard": {("", 0, 0)}, "openai-moderations": whole, "azure-content-safety": whole,
                "litellm": whole}.get(kind, exact)  # fmt: skip
    assert places == expected
    if kind in ("bedrock", "litellm"):
        assert [(s.path, WORD in s.text) for s in guilty.rewrites] == [(GUILTY[1].path, False)]
        assert guilty.rewrites[0].text.startswith("🦓 a ")
    else:
        assert guilty.rewrites == ()
    if kind == "llama-guard":
        assert [(s.model, s.input_tokens, s.output_tokens) for s in spent] == [("judge-8b", 210, 5)]


FAULTS: list[tuple[str, Handler, str]] = [
    ("slow", silent(), "timeout"),
    ("stalls in the body", raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", stall=True), "timeout"),
    ("500", raw(response(500, b"oops")), "wrong_answer"),
    ("garbage", raw(response(200, b"<html>\xff")), "wrong_answer"),
    ("no HTTP", raw(b"SSH-2.0-x\r\n"), "unavailable"),
    ("closes", raw(b""), "unavailable"),
    ("closes in the body", raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), "unavailable"),
    ("redirects", raw(response(307, b"", "location: http://127.0.0.1:1/elsewhere")), "wrong_answer"),
    ("huge", raw(response(200, b"[" + b" " * 3_000_000 + b"]")), "wrong_answer"),
    ("encodes", raw(response(200, b"x", "content-encoding: gzip")), "wrong_answer"),
]


@pytest.mark.parametrize(
    ("handler", "costs"),
    [(silent(), True), (raw(b""), True), (raw(response(500, b"oops")), False), (None, False)],
    ids=["slow", "closes", "500", "not there"],
)
async def test_a_call_that_is_not_answered_is_paid_for_once_if_it_was_heard(
    handler: Handler | None, costs: bool
) -> None:
    """A provider that has the whole request may be at work on it, and charges for the prompt."""
    async with raw_server(handler or silent()) as server:
        url = server.url if handler is not None else "http://127.0.0.1:1"
        async with detector_of("llama-guard", url, deadline=0.3) as detector:
            spent: list[Spent] = []
            await ask(detector, GUILTY, lambda each, seconds: spent.append(each))
    assert spent == ([Spent("judge", 0, 0, told=False)] if costs else [])


async def test_a_call_that_is_cut_off_is_paid_for_at_once() -> None:
    """So that it is in the books of the request, which are closed in the same turn."""
    heard = asyncio.Event()

    async def handler(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        heard.set()
        await server.until_closed(reader)

    async with raw_server(handler) as server, detector_of("llama-guard", server.url, deadline=30) as detector:
        spent: list[Spent] = []
        check = detector.check(GUILTY, Context(team="t", request_id="r"), lambda each, seconds: spent.append(each))
        await heard.wait()
        check.cancel()
        assert spent == [Spent("judge", 0, 0, told=False)]
        with pytest.raises(asyncio.CancelledError):
            await check.report()
    assert len(spent) == 1


@pytest.mark.parametrize("on_failure", ["open", "closed"])
@pytest.mark.parametrize(("name", "handler", "outcome"), FAULTS, ids=[name for name, *_ in FAULTS])
async def test_a_fault_is_reported_by_the_rule(name: str, handler: Handler, outcome: str, on_failure: str) -> None:
    async with (
        raw_server(handler) as server,
        detector_of("presidio", server.url, on_failure=on_failure, deadline=0.3) as detector,
    ):
        report = await ask(detector, GUILTY)
    assert report.outcome == outcome, report
    assert report.error
    assert report.refused is (on_failure == "closed")
    assert (report.flagged, report.findings) == (False, ())


async def test_nobody_there() -> None:
    async with raw_server(silent()) as server:
        url = server.url
    async with detector_of("presidio", url) as detector:
        report = await ask(detector, GUILTY)
    assert (report.outcome, report.error) == ("unavailable", "could not connect")


async def test_the_circuit_opens_probes_and_closes() -> None:
    clock = ManualClock()
    answers = [b"no"] * 3 + [b"[[]]", b"[[]]"]

    async def handler(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(response(200, answers.pop(0)))

    async with (
        raw_server(handler) as server,
        detector_of("presidio", server.url, clock, failures=2, back_off=1.0, cache_seconds=0) as detector,
    ):
        outcomes = [(await ask(detector, INNOCENT)).outcome for _ in range(3)]
        assert outcomes == ["wrong_answer", "wrong_answer", "open"]
        assert detector.state == "open"
        clock.advance(1.0)
        assert [(await ask(detector, INNOCENT)).outcome for _ in range(2)] == ["wrong_answer", "open"]
        clock.advance(2.0)
        assert [(await ask(detector, INNOCENT)).outcome for _ in range(2)] == ["ok", "ok"]
        assert detector.state == "closed"


async def test_one_clients_text_does_not_open_the_circuit_for_all() -> None:
    async def handler(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(response(413, b""))

    async with raw_server(handler) as server, detector_of("presidio", server.url, failures=1) as detector:
        for _ in range(3):
            assert (await ask(detector, INNOCENT)).error == "answered with status 413"
        assert detector.state == "closed"


async def test_a_service_that_names_a_pause_is_left_alone() -> None:
    clock = ManualClock()
    async with (
        raw_server(raw(response(429, b"", "retry-after: 7"))) as server,
        detector_of("presidio", server.url, clock) as detector,
    ):
        await ask(detector, INNOCENT)
        clock.advance(6.9)
        assert (await ask(detector, INNOCENT)).outcome == "open"
        clock.advance(0.1)
        assert detector.state == "half-open"


async def test_verdicts_are_remembered_by_text_and_only_the_rest_is_asked() -> None:
    clock, seen = ManualClock(), list[bytes]()
    async with (
        raw_server(answering(FAKES["presidio"], seen)) as server,
        detector_of("presidio", server.url, clock, cache_seconds=60.0) as detector,
    ):
        first = await ask(detector, GUILTY)
        third = Segment("messages[2].content", "user", "a third")
        moved = await ask(detector, [third, Segment("elsewhere", "tool", GUILTY[1].text)])
        assert [json.loads(body)["text"] for body in seen] == [[s.text for s in GUILTY], ["a third"]]
        assert (first.cached, moved.cached) == (0, 1)
        assert {(f.path, f.start, f.end) for f in moved.findings} == {("elsewhere", 4, 9)}
        assert moved.flagged
        clock.advance(60.0)
        await ask(detector, GUILTY)
        assert len(seen) == 3


async def test_a_conversation_is_remembered_for_the_team_it_was_judged_for() -> None:
    seen: list[bytes] = []
    async with (
        raw_server(answering(FAKES["webhook"], seen)) as server,
        detector_of("webhook", server.url) as detector,
    ):
        for team in ("a", "a", "b"):
            await detector.check(GUILTY, Context(team=team)).report()
        assert [json.loads(body)["team"] for body in seen] == ["a", "b"]


async def test_what_holds_text_is_not_remembered() -> None:
    seen: list[bytes] = []
    async with (
        raw_server(answering(FAKES["bedrock"], seen)) as server,
        detector_of("bedrock", server.url) as detector,
    ):
        await ask(detector, GUILTY)
        again = await ask(detector, GUILTY)
        assert again.cached == 1
        assert again.rewrites
        assert detector.remembered[0] == 1


async def test_a_long_text_is_asked_for_in_windows() -> None:
    """Azure takes 10,000 characters: the word at the end is found all the same."""
    seen: list[bytes] = []
    async with (
        raw_server(answering(FAKES["azure-content-safety"], seen)) as server,
        detector_of("azure-content-safety", server.url) as detector,
    ):
        report = await ask(detector, [Segment("input", "user", "word " * 5000 + WORD)])
    assert report.outcome == "ok"
    assert report.flagged
    assert report.calls == len(seen) == 3
    assert report.findings[0].end == 25_005


async def test_a_guilty_part_counts_though_another_failed() -> None:
    def fake(target: str, headers: dict[str, str], body: bytes) -> Any:
        return FAKES["azure-content-safety"](target, headers, body) if WORD in body.decode() else None

    async with (
        raw_server(answering(fake)) as server,
        detector_of("azure-content-safety", server.url, on_failure="open") as detector,
    ):
        report = await ask(detector, GUILTY)
    assert (report.outcome, report.flagged, report.refused) == ("wrong_answer", True, False)


async def test_the_queue_is_bounded() -> None:
    async with (
        raw_server(silent()) as server,
        detector_of("presidio", server.url, concurrency=1, queue=1, deadline=0.4) as detector,
    ):
        checks = [detector.check([Segment("p", "user", f"text {n}")], Context()) for n in range(3)]
        outcomes = [(await check.report()).outcome for check in checks]
        assert outcomes == ["timeout", "overloaded", "overloaded"]
        assert detector.waiting == 0


async def test_a_body_of_many_texts_does_not_fill_the_queue_alone() -> None:
    async with (
        raw_server(answering(FAKES["azure-content-safety"])) as server,
        detector_of("azure-content-safety", server.url, concurrency=3, queue=1) as detector,
    ):
        report = await ask(detector, [Segment(f"p{n}", "user", f"text {n}") for n in range(40)])
    assert (report.outcome, report.calls) == ("ok", 40)


async def test_after_a_failure_the_rest_is_not_asked() -> None:
    async with (
        raw_server(raw(response(500, b""))) as server,
        detector_of("azure-content-safety", server.url, concurrency=1, failures=99) as detector,
    ):
        report = await ask(detector, [Segment(f"p{n}", "user", f"text {n}") for n in range(40)])
    assert (report.outcome, report.calls) == ("wrong_answer", 1)


async def test_too_much_text_is_not_sent() -> None:
    async with raw_server(silent()) as server, detector_of("presidio", server.url, max_text=10) as detector:
        report = await ask(detector, [Segment("p", "user", "x" * 11)])
        assert (report.outcome, report.calls, report.refused) == ("too_large", 0, True)
        assert server.connections == 0


async def test_alongside_the_verdict_is_there_when_it_is_asked_for() -> None:
    async with raw_server(answering(FAKES["presidio"])) as server, detector_of("presidio", server.url) as detector:
        check = detector.check(GUILTY, Context())
        while not check.done():
            await asyncio.sleep(0.001)
        assert (await check.report()).flagged
        check.cancel()
        assert (await check.report()).flagged


@pytest.mark.parametrize("how", ["check", "waiter", "tasks"])
async def test_a_check_nobody_asks_for_ends_with_its_connection(how: str) -> None:
    """Cancelled is not failed: the breaker, closed after one failure here, stays closed."""
    asked = asyncio.Event()

    async def handler(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await server.until_closed(reader)

    tasks = TaskGroup(lambda name, error: None)
    async with raw_server(handler) as server:
        config = config_of("presidio", server.url, failures=1)
        detector = ExternalDetector(config, clock=SystemClock(), tasks=tasks, key=b"k" * 32)
        check = detector.check(GUILTY, Context())
        waiter = tasks.start(check.report(), "waiter")
        await asyncio.wait_for(asked.wait(), 60)
        {"check": check.cancel, "waiter": waiter.cancel, "tasks": lambda: None}[how]()
        if how == "tasks":
            await tasks.close()
        await asyncio.wait_for(server.closed_by_peer.wait(), 60)
        await asyncio.gather(waiter, return_exceptions=True)
        assert check.done()
        assert detector.state == "closed"
        await detector.aclose()


async def test_a_threshold_decides_in_the_place_of_the_service() -> None:
    async with (
        raw_server(answering(FAKES["openai-moderations"])) as server,
        detector_of("openai-moderations", server.url, threshold=0.95) as strict,
        detector_of("openai-moderations", server.url, threshold=0.01) as wide,
    ):
        assert not (await ask(strict, GUILTY)).flagged
        report = await ask(wide, INNOCENT)
        assert report.flagged
        assert [(f.type, f.score) for f in report.findings] == [("VIOLENCE", 0.02)]


async def test_a_defect_of_ours_does_not_let_the_text_through() -> None:
    async with raw_server(silent()) as server, detector_of("presidio", server.url) as detector:
        detector._shape.request = None  # type: ignore[method-assign, assignment]
        report = await ask(detector, GUILTY)
    assert (report.outcome, report.error, report.refused) == ("defect", "TypeError", True)


async def test_nothing_to_inspect_asks_nobody() -> None:
    async with raw_server(silent()) as server, detector_of("lakera", server.url) as detector:
        assert (await ask(detector, [Segment("p", "user", "")])).outcome == "ok"
        assert server.connections == 0


async def test_neither_text_nor_credential_is_logged_or_reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    reports: list[Report] = []
    for kind in FAKES:
        for handler in (raw(response(500, f"echo {WORD} {KEY}".encode())), answering(FAKES[kind])):
            async with raw_server(handler) as server, detector_of(kind, server.url) as detector:
                report = await ask(detector, GUILTY)
                reports.append(report)
                assert server.url not in report.error
    shown = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpcore"))
    for secret in (WORD, KEY):
        assert secret not in shown
        assert all(secret not in f"{report.error} {report.findings}" for report in reports)


def test_batches_hold_windows_of_several_texts() -> None:
    cut = _batches([Text("user", "a" * 10), Text("user", "b" * 25)], 20, 2)
    assert [[(index, start) for index, start, _ in batch] for batch in cut] == [[(0, 0), (1, 0)], [(1, 15)]]


@pytest.mark.parametrize("name", ["jane@firm.example", "Jane Doe", "A\r\nx-evil: 1", "", "x" * 200, "ü"])
async def test_a_name_that_may_quote_the_text_is_not_taken(name: str) -> None:
    """Types and rules of a service stand in headers, metrics and the ledger: "never carries the matched text"."""
    found = {"index": 0, "type": name, "start": 0, "end": 3, "rule": name}
    body = json.dumps({"action": "block", "findings": [found]}).encode()
    async with raw_server(raw(response(200, body))) as server, detector_of("webhook", server.url) as detector:
        report = await ask(detector, GUILTY)
    assert [(each.type, each.rule) for each in report.findings] == [("FLAGGED", "zoo/FLAGGED")]
