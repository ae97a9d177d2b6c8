"""The log: one JSON line (or a coloured one) per event worth a person's attention; nothing on the success path.

A caller only puts a record into a bounded queue: a thread renders and writes it, so that a slow terminal or a full pipe
never holds up a request. structlog makes the coloured lines; it takes 0.1 s to import, so it is imported when the first
of them is due, and never for JSON. Lines of uvicorn and other libraries come through the same door, and everything
passes `redaction.py`.
"""

import contextlib
import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO, cast

from gateway.telemetry.redaction import redact_fields, redact_text

LOGGER = "tollway"
ACCESS = "tollway.access"
"""The access log's own logger: whoever asks for its lines gets them, whatever `telemetry.log_level` is."""
QUEUE = 2000
"""Lines that may wait for the writer; more are dropped and counted."""
FLUSH = 2.0
"""Seconds the process waits at its end for lines that were not written yet."""
MEMORY_WAITS = 100
"""Times 0.1 s that a line waits for memory before it is dropped."""
_FIELDS = "tollway_fields"

Render = Callable[[MutableMapping[str, Any]], str]


def alert(event: str, **fields: object) -> None:
    """Log something a person should look at, at level warning. `event` is a fixed name such as `defect`, never a text
    made of data. Never raises, never blocks."""
    with contextlib.suppress(MemoryError):  # Not even a record could be made: what it tells of goes on all the same.
        logging.getLogger(LOGGER).warning(event, extra={_FIELDS: fields})


def info(event: str, **fields: object) -> None:
    """Log a step in the life of the process, such as `draining`. Not for requests."""
    logging.getLogger(LOGGER).info(event, extra={_FIELDS: fields})


def access(**fields: object) -> None:
    """Log a finished exchange (`telemetry.access_log`)."""
    logging.getLogger(ACCESS).info("access", extra={_FIELDS: fields})


def setup_logs(
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["json", "console"] = "json",
    stream: TextIO | None = None,
) -> "LogHandler":
    """Send every logger's lines to `stream` (standard error when None). May be called again; the last call counts.

    `level` is ours; of libraries only warnings and errors are shown.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, LogHandler)]:
        root.removeHandler(old)
        old.close()
    handler = LogHandler(stream or sys.stderr, format)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(LOGGER).setLevel(level.upper())
    logging.getLogger(ACCESS).setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    return handler


class LogHandler(logging.Handler):
    """Hands records to a thread that renders and writes them."""

    def __init__(self, stream: TextIO, format: Literal["json", "console"]) -> None:
        super().__init__()
        self.dropped = 0
        """Lines lost because the writer could not follow."""
        self._stream = stream
        self._format: Literal["json", "console"] = format
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(QUEUE)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._told = 0

    def start(self) -> None:
        """Start the writer, which the first line does otherwise: a process that serves has it before memory is short.
        Where the system gives no thread, lines wait for the next try."""
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="log writer", daemon=True)
                with contextlib.suppress(RuntimeError, MemoryError):
                    thread.start()
                    self._thread = thread

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1
        if self._thread is None or not self._thread.is_alive():
            self.start()

    def flush(self) -> None:
        """Wait until what was logged is written, at most `FLUSH` seconds."""
        if self._thread is not None and self._thread.is_alive():
            with self._queue.all_tasks_done:
                self._queue.all_tasks_done.wait_for(lambda: self._queue.unfinished_tasks == 0, FLUSH)

    def close(self) -> None:
        self.flush()
        if self._thread is not None and self._thread.is_alive():
            try:
                self._queue.put_nowait(None)
            except queue.Full:
                pass  # The stream takes nothing; the thread is a daemon and ends with the process.
            else:
                self._thread.join(FLUSH)
        super().close()

    def _run(self) -> None:
        render = make_renderer(self._format, colors=not self._stream.closed and self._stream.isatty())
        while True:
            record = self._queue.get()
            try:
                if record is None:
                    return
                self._write(render, record)
            finally:
                self._queue.task_done()

    def _write(self, render: Render, record: logging.LogRecord) -> None:
        for _ in range(MEMORY_WAITS):
            with contextlib.suppress(MemoryError):
                self._try_write(render, record)
                return
            time.sleep(0.1)
        self.dropped += 1

    def _try_write(self, render: Render, record: logging.LogRecord) -> None:
        try:
            lost = self.dropped - self._told
            if lost:
                self._told += lost
                self._stream.write(render({"level": "warning", "event": "log_lines_dropped", "lines": lost}) + "\n")
            self._stream.write(render(event_of(record)) + "\n")
            self._stream.flush()
        except MemoryError:
            raise
        except Exception:
            self.dropped += 1


def event_of(record: logging.LogRecord) -> dict[str, Any]:
    """A record as fields, redacted. Exceptions are told by class and place: their text might quote a request."""
    event: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "event": redact_text(_message(record)),
        "pid": record.process,
    }
    if record.name not in (LOGGER, ACCESS):
        event["logger"] = record.name
    fields: object = getattr(record, _FIELDS, None)
    if isinstance(fields, Mapping):
        # No field takes the place of one of ours.
        event = {**event, **redact_fields(cast("Mapping[str, object]", fields)), **event}
    if record.exc_info and record.exc_info[1] is not None:
        event["exception"] = type(record.exc_info[1]).__name__
        event["at"] = _places(record.exc_info[2])
    return event


def make_renderer(format: Literal["json", "console"], colors: bool) -> Render:
    """What makes a line of an event: JSON, or structlog's for a console."""
    if format == "json":
        return json.JSONEncoder(ensure_ascii=False, default=str).encode
    import structlog

    render = structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="time", sort_keys=False)
    return lambda event: str(render(None, "", event))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return str(record.msg)


def _places(traceback: TracebackType | None) -> list[str]:
    """`file:line function` from the outermost to the innermost frame; the last ten."""
    places: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return places[-10:]
