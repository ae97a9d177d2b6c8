"""Processes, ports and cores of this machine, for the comparison: started, pinned, waited for, stopped."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec


class Started(msgspec.Struct):
    """A process that we started, and where its output goes."""

    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        """The end of its output, on one line."""
        text = self.log.read_text(encoding="utf-8", errors="replace").strip()
        return " | ".join(text.splitlines()[-3:])[-400:] or "nothing"


@contextmanager
def start(command: list[str], log: Path, environment: dict[str, str]) -> Generator[Started]:
    """Run a command in a process group of its own; the group is ended with the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - recipes of this package
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield Started(process, log)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
        return


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, seconds: float, started: Started | None = None) -> bool:
    """Whether `url` answered anything below 500 within `seconds`; false at once if the process has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if started is not None and started.process.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback, made by us
                return True
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return True
        except OSError:
            pass
        time.sleep(0.05)
    return False


def first_answer(url: str, body: bytes, headers: dict[str, str], seconds: float) -> str:
    """Post once, with all the time a cold start may need; the empty string if the answer was 200, else what came."""
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - loopback, made by us
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            answer.read()
            return ""
    except urllib.error.HTTPError as error:
        return f"status {error.code}: {error.read(200).decode(errors='replace')}"
    except OSError as error:
        return str(error)


def which_cores() -> tuple[int | None, int | None]:
    """(core of the gateways, core of load and upstream), or Nones where cores cannot be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


@contextmanager
def pinned(core: int | None) -> Generator[None]:
    """Processes started inside run on `core` only; None changes nothing."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float | None:
    """CPU seconds that a process and its children have used; None where /proc does not tell."""
    total, todo, known = 0, [pid], False
    while todo:
        process = todo.pop()
        try:
            fields = (
                Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
            )
            total += int(fields[11]) + int(fields[12])
            known = True
            for task in Path(f"/proc/{process}/task").glob("*/children"):
                todo += [int(child) for child in task.read_text(encoding="ascii").split()]
        except (OSError, IndexError, ValueError):
            continue
    return total / os.sysconf("SC_CLK_TCK") if known else None
