"""The loader as a child process of the gateway: started, watched, restarted with back-off, ended by its lifeline."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from gateway.clock import SystemClock
from gateway.ledger.options import LoaderOptions
from gateway.seams import Clock

_FIRST_BACK_OFF = 0.5
_MOST_BACK_OFF = 30.0
_STEADY_SECONDS = 60.0
"""A child that ran so long was well: the next back-off starts from the beginning."""


class LoaderProcess:
    """One loader child. Call `poll()` about once a second. All methods are synchronous; only `stop` waits."""

    def __init__(
        self,
        url: str,
        directory: Path | str,
        *,
        options: LoaderOptions | None = None,
        retention_days: float | None = None,
        nice: int = 19,
        clock: Clock | None = None,
        died: Callable[[int, int, float], None] | None = None,
    ) -> None:
        """`retention_days` stands for `options.retain_events`, in the configuration's unit. `died` is told the process
        id and the exit status of a child that ended by itself, and the seconds until it is replaced."""
        self.restarts = 0
        self._url = url
        self._directory = Path(directory)
        self._options = options or LoaderOptions()
        if retention_days is not None:
            self._options = msgspec.structs.replace(self._options, retain_events=retention_days * 86_400)
        self._nice = nice
        self._clock = clock or SystemClock()
        self._died = died
        self._child: subprocess.Popen[bytes] | None = None
        self._back_off = _FIRST_BACK_OFF
        self._started_at = 0.0
        self._restart_at = float("inf")

    @property
    def pid(self) -> int | None:
        """The running child's process id."""
        return self._child.pid if self._child is not None else None

    def start(self) -> None:
        """Start the child. The URL goes through its standard input: arguments are visible to every user."""
        command = [
            *(sys.executable, "-m", "gateway.ledger.loader"),
            *("--journal", str(self._directory)),
            *("--options", msgspec.json.encode(self._options).decode()),
            *("--nice", str(self._nice)),
        ]
        self._started_at = self._clock.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # noqa: S603 (our module)
        self._child = child
        assert child.stdin is not None
        with suppress(BrokenPipeError):  # It died at once: poll() finds out.
            child.stdin.write(self._url.encode() + b"\n")
            child.stdin.flush()

    def poll(self) -> bool:
        """Whether the child runs; restarts one that ended, after a back-off of 0.5 to 30 s."""
        now = self._clock.monotonic()
        if self._child is not None:
            if self._child.poll() is None:
                return True
            pid, status = self._child.pid, self._child.returncode
            self._release()
            if now - self._started_at >= _STEADY_SECONDS:
                self._back_off = _FIRST_BACK_OFF
            self._restart_at = now + self._back_off
            if self._died is not None:
                self._died(pid, status, self._back_off)
            self._back_off = min(self._back_off * 2, _MOST_BACK_OFF)
        if now < self._restart_at:
            return False
        self.restarts += 1
        self.start()
        return True

    def stop(self, timeout: float = 15.0) -> int | None:
        """Close the lifeline and wait for the child to load what is left; after `timeout` seconds end it.

        Returns its exit code. What was not loaded stays in the journal for the next start.
        """
        child = self._child
        self._restart_at = float("inf")
        if child is None:
            return None
        assert child.stdin is not None
        child.stdin.close()
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._child = None
        return child.returncode

    def _release(self) -> None:
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()
        self._child = None
