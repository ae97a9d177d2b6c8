"""Lines of the log: their shape, their order, what is dropped, and what must never be in them."""

import ast
import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.telemetry import logs
from gateway.telemetry.logs import LogHandler, alert, info, setup_logs


class Stream(io.StringIO):
    """A stream that can be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        self.waiting = threading.Event()

    def write(self, text: str) -> int:
        self.waiting.set()
        self.free.wait(60)
        return super().write(text)


@pytest.fixture
def stream() -> Iterator[Stream]:
    root = logging.getLogger()
    names = ("tollway", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
    saved = root.level, {name: logging.getLogger(name).level for name in names}
    yield Stream()
    for handler in [handler for handler in root.handlers if isinstance(handler, LogHandler)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(saved[0])
    for name, level in saved[1].items():
        logging.getLogger(name).setLevel(level)


def lines(stream: Stream, handler: LogHandler) -> list[dict]:
    handler.flush()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line(stream: Stream) -> None:
    handler = setup_logs(stream=stream)
    alert("provider_credential_refused", provider="openai", status=401)
    (line,) = lines(stream, handler)
    assert (line["event"], line["level"], line["provider"], line["status"]) == (
        "provider_credential_refused",
        "warning",
        "openai",
        401,
    )
    assert line["time"].endswith("Z")
    assert "logger" not in line


def test_levels_and_order(stream: Stream) -> None:
    handler = setup_logs("warning", stream=stream)
    info("unseen")
    for number in range(100):
        alert("seen", number=number)
    assert [line["number"] for line in lines(stream, handler)] == list(range(100))


def test_canaries(stream: Stream) -> None:
    handler = setup_logs(stream=stream)
    alert(
        "defect",
        api_key="canary-1",
        detail="Bearer canary-2-secret",
        nested={"messages": ["canary-3"]},
        error=ValueError("canary-4"),
    )
    logging.getLogger("some.library").warning("url %s", "postgresql://u:canary-5@db/x")
    try:
        raise ValueError("canary-6 prompt text")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    handler.flush()
    assert "canary" not in stream.getvalue()
    last = lines(stream, handler)[-1]
    assert (last["event"], last["exception"], last["logger"]) == (
        "Exception in ASGI application",
        "ValueError",
        "uvicorn.error",
    )
    assert "test_canaries" in last["at"][0]


def test_no_field_takes_our_place(stream: Stream) -> None:
    handler = setup_logs(stream=stream)
    alert("real", level="fake", time="fake", pid="fake")
    (line,) = lines(stream, handler)
    assert line["level"] == "warning"
    assert "fake" not in (line["time"], line["pid"])


def test_libraries_are_heard_from_warning_on(stream: Stream) -> None:
    handler = setup_logs("debug", stream=stream)
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").warning("odd %s", "thing")
    assert [line["event"] for line in lines(stream, handler)] == ["odd thing"]


def test_console(stream: Stream) -> None:
    handler = setup_logs(format="console", stream=stream)
    alert("draining", seconds=3)
    handler.flush()
    assert "draining" in stream.getvalue()
    assert "seconds=3" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_the_last_set_up_counts(stream: Stream) -> None:
    first = Stream()
    setup_logs(stream=first)
    handler = setup_logs(stream=stream)
    alert("once")
    assert len(lines(stream, handler)) == 1
    assert first.getvalue() == ""


def test_a_full_pipe_holds_up_nobody(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "QUEUE", 10)
    stream.free.clear()
    handler = setup_logs(stream=stream)
    alert("first")
    assert stream.waiting.wait(60)
    for number in range(50):
        alert("more", number=number)
    assert handler.dropped >= 39
    stream.free.set()
    found = lines(stream, handler)
    told = [line for line in found if line["event"] == "log_lines_dropped"]
    assert sum(line["lines"] for line in told) == handler.dropped
    assert len([line for line in found if line["event"] == "more"]) + handler.dropped == 50


def test_a_writer_that_cannot_start_is_tried_again(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container out of memory or of threads: nothing is raised, and the line is written later."""
    handler = setup_logs(stream=stream)
    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", raise_(RuntimeError("can't start new thread")))
        alert("first")
        alert("second")
    assert stream.getvalue() == ""
    alert("third")
    assert [line["event"] for line in lines(stream, handler)] == ["first", "second", "third"]


def test_a_line_waits_for_memory(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = setup_logs(stream=stream)
    free = threading.Event()
    write = stream.write

    def short(text: str) -> int:
        if not free.is_set():
            free.set()
            raise MemoryError
        return write(text)

    monkeypatch.setattr(stream, "write", short)
    alert("out_of_memory")
    assert [line["event"] for line in lines(stream, handler)] == ["out_of_memory"]
    assert handler.dropped == 0


def test_no_memory_for_a_record_raises_nothing(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    setup_logs(stream=stream)
    monkeypatch.setattr(logging.Logger, "makeRecord", raise_(MemoryError()))
    alert("out_of_memory")


def raise_(error: Exception) -> Callable[..., None]:
    def raises(*_args: object, **_named: object) -> None:
        raise error

    return raises


def test_a_closed_stream_raises_nothing(stream: Stream) -> None:
    handler = setup_logs(stream=stream)
    stream.close()
    alert("to nobody")
    handler.flush()
    assert handler.dropped == 1


def test_nothing_is_lost_at_the_end_of_the_process_and_nothing_heavy_imported_before() -> None:
    code = (
        "import atexit, os, sys\n"
        # Registered before logging's own, and so called after it has written what was left.
        "atexit.register(lambda: os._exit('structlog' in sys.modules))\n"
        "from gateway.telemetry.logs import alert, setup_logs\n"
        "setup_logs()\n"
        "assert 'structlog' not in sys.modules\n"
        "[alert('last_words', number=n) for n in range(200)]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert [json.loads(line)["number"] for line in done.stderr.splitlines()] == list(range(200))


def test_every_event_is_in_the_manual_and_no_other() -> None:
    """Rule: "`event` is a fixed name": what is handed to `alert`, to `info`, or to a `Report` that is one of them."""
    root = Path(__file__).resolve().parents[3]
    named = {"access", "log_lines_dropped"}
    for path in (root / "gateway").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("alert", "info", "self._report"):
                named |= {
                    part.value for name in call.args[:1] for part in ast.walk(name) if isinstance(part, ast.Constant)
                }
    manual = (root / "docs/operations.md").read_text("utf-8")
    tables = re.findall(r"^\| event \| means \|\n(.*?)\n\n", manual, re.MULTILINE | re.DOTALL)
    cells = [line.split("|")[1] for table in tables for line in table.splitlines()]
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == named
