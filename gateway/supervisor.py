"""Several workers on one port: starts them, passes signals on, and replaces one that died.

A worker's standard input is a pipe that nobody writes to: it ends with the supervisor, and then the worker leaves.

Workers share nothing but the listening port: each binds it itself (SO_REUSEPORT), so that the kernel spreads
connections; where the system has no SO_REUSEPORT they inherit one socket.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from gateway.server import bind
from gateway.telemetry.logs import alert

RESTART_PAUSE = 1.0
"""Seconds between a worker's death and its replacement, doubled up to a minute while it keeps dying young."""
YOUNG = 10.0


class _Worker:
    def __init__(self, config: Path, host: str, port: int, workers: int) -> None:
        self.config, self.host, self.port, self.workers = config, host, port, workers
        self.pause = RESTART_PAUSE
        self.due = 0.0
        self.start()

    def start(self) -> None:
        sock = bind(self.host, self.port, reuse_port=True)
        env = {
            **os.environ,
            "TOLLWAY_CONFIG": str(self.config),
            "TOLLWAY_SOCKET": str(sock.fileno()),
            "TOLLWAY_WORKERS": str(self.workers),
        }
        command = [sys.executable, "-c", "from gateway.server import worker_main; worker_main()"]
        # A handler is not inherited, and without one SIGHUP ends a process that is starting; that it is ignored is.
        handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter
                command, env=env, pass_fds=[sock.fileno()], stdin=subprocess.PIPE
            )
        finally:
            signal.signal(signal.SIGHUP, handler)
        sock.close()
        self.born = time.monotonic()

    def look(self, now: float) -> None:
        """Replace it if it has died, after a pause, and say so."""
        if self.process.poll() is None:
            return
        if not self.due:
            self.pause = min(self.pause * 2, 60.0) if now - self.born < YOUNG else RESTART_PAUSE
            self.due = now + self.pause
            alert("worker_died", worker=self.process.pid, status=self.process.returncode, seconds=self.pause)
        elif now >= self.due:
            self.due = 0.0
            self.start()


class Supervisor:
    """Runs `count` workers until it is told to leave."""

    def __init__(self, config: Path, host: str, holder: socket.socket, count: int, tick: Callable[[], object]) -> None:
        """`holder` is bound to the port, for several (`bind`). `tick` is called some ten times a second while the
        workers run."""
        self._tick = tick
        # Held open, never listened on: keeps the port ours from the first moment on, while workers come and go. Let go
        # of for a moment, it could become another gateway's, and each would get half of the other's requests.
        self._holder = holder
        self.port: int = holder.getsockname()[1]
        self._workers = [_Worker(config, host, self.port, count) for _ in range(count)]
        self._leaving = False

    def run(self) -> None:
        """Blocks until every worker has left."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._leave)
        signal.signal(signal.SIGHUP, self._reload)
        while not (self._leaving and all(worker.process.poll() is not None for worker in self._workers)):
            time.sleep(0.1)
            self._tick()
            if not self._leaving:
                for worker in self._workers:
                    worker.look(time.monotonic())
        self._holder.close()

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self._leaving = True
        self._pass_on(signal.SIGTERM)

    def _reload(self, number: int, frame: FrameType | None) -> None:
        self._pass_on(signal.SIGHUP)

    def _pass_on(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.send_signal(number)
