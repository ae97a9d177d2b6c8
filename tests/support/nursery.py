"""Programs of ours that start at once: forked from one process that has imported them, instead of importing anew.

A gateway's imports are two thirds of what its start costs, and the suite starts hundreds. From `main` on all is as
ever: arguments, environment, directory, streams, signals, threads and exit code are the program's own, and what it
starts itself (loader, workers, detectors) is executed. That our programs start from nothing, by `python -m`, is proved
where that is the point: `tests/gateway/cli/test_main.py`, `test_demo.py` (whose gateway is executed) and
`tests/loadtest/mock/test_server.py`.

    with Nursery(["gateway.cli.main"]) as nursery:
        assert nursery.start("gateway.cli.main", ["--version"]).wait(60) == 0
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
READY = b"ready"


class Forked:
    """A program that runs; the part of `subprocess.Popen` that tests use."""

    def __init__(self, args: Sequence[str], pid: int, status: int, stdout: int | None) -> None:
        """`status`: a pipe on which the nursery writes the exit code."""
        self.args = args
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = os.fdopen(stdout, encoding="utf-8") if stdout is not None else None
        self._status = status

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; minus the signal's number if one ended it. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._status, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            if self.returncode is None:  # Another thread may have waited, too.
                self.returncode = int(os.read(self._status, 16) or b"-9")  # nothing: the nursery was killed
                os.close(self._status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that was imported into. It ends with whoever holds it, and what it forked lives on."""

    def __init__(self, modules: Sequence[str]) -> None:
        """`modules`: each has a `main`, except for those that are only to be imported."""
        self._turn = threading.Lock()
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "tests.support.nursery", str(theirs.fileno()), *modules]
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        assert self._socket.recv(64) == READY, "the nursery did not start"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.wait(60)

    def start(
        self,
        module: str,
        args: Sequence[str],
        *,
        stdout: int | None = None,
        stderr: int = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
    ) -> Forked:
        """Run `module.main()` as `python -m module ARGS` would. `stdout` and `stderr` are descriptors; where `stdout`
        is None, read `Forked.stdout`. `env` is the whole environment."""
        mine = None
        closing: list[int] = []
        if stdout is None:
            mine, stdout = os.pipe()
            closing.append(stdout)
        if stderr == subprocess.DEVNULL:
            stderr = os.open(os.devnull, os.O_WRONLY)
            closing.append(stderr)
        status, told = os.pipe()
        closing.append(told)
        asked = {"module": module, "args": list(args), "env": dict(env or os.environ), "cwd": os.getcwd()}
        try:
            with self._turn:
                self._ask(json.dumps(asked).encode() + b"\n", [stdout, stderr, told])
                pid = int(self._socket.recv(64))
        finally:
            for descriptor in closing:
                os.close(descriptor)
        return Forked([module, *args], pid, status, mine)

    def _ask(self, message: bytes, given: list[int]) -> None:
        sent = socket.send_fds(self._socket, [message], given)
        self._socket.sendall(message[sent:])


def main() -> None:
    """Import, then fork whatever is asked for until nobody can ask any more. Returns in the children, as their end."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    for module in sys.argv[2:]:
        importlib.import_module(module)
    if (threads := len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1) > 1:
        raise RuntimeError(f"{threads} threads run after the imports: a fork would lose all but one")
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children: dict[int, int] = {}
    gc.freeze()  # the collector of a child need not look at, and so copy, what all share
    asked.send(READY)
    while True:
        readable, _, _ = select.select([asked, ended], [], [])
        if ended in readable:
            os.read(ended, 4096)
            _bury(children)
        if asked in readable:
            message, given, _, _ = socket.recv_fds(asked, 1 << 20, 3)
            if not message:
                return
            while not message.endswith(b"\n"):
                message += asked.recv(1 << 20)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for descriptor in (ended, wake, *children.values()):
                    os.close(descriptor)
                asked.close()
                os.close(given[2])
                _become(json.loads(message), *given[:2])
                return
            os.close(given[0])
            os.close(given[1])
            children[pid] = given[2]
            asked.send(str(pid).encode())


def _bury(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        told = children.pop(pid)
        os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(told)


def _become(asked: dict, stdout: int, stderr: int) -> None:
    """Be the program that was asked for, down to the end of its `main`."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = [asked["module"], *asked["args"]]
    sys.exit(importlib.import_module(asked["module"]).main())


if __name__ == "__main__":
    main()
