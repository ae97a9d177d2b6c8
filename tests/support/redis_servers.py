"""Real Redis servers on free ports, started by the tests that need them: one, a pair, a sentinel, a Cluster."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import hiredis

from tests.support.served import wait_for


def free_port() -> int:
    """A port nobody listens on, whose Cluster bus port, 10,000 higher, is free too. Both are below those that Linux
    gives to connections and to who asks for any port, so that nobody gets them before a server listens there."""
    while True:
        port = random.SystemRandom().randrange(12_000, 22_000)
        with contextlib.suppress(OSError):
            for each in (port, port + 10_000):
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", each))
            return port


class Connection:
    """A plain blocking connection, for what a test asks a server itself."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._reader = hiredis.Reader()

    def ask(self, *command: str | int | bytes) -> object:
        self._socket.sendall(hiredis.pack_command(command))
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def close(self) -> None:
        self._socket.close()


class RedisServer:
    """`redis-server` in a directory of its own. Kept in memory only, unless an option says otherwise."""

    def __init__(self, directory: Path, *options: str, port: int = 0, program: str = "redis-server") -> None:
        found = shutil.which(program)
        assert found is not None, f"{program} is not installed (Debian: redis-server)"
        self.port = port or free_port()
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        plain = () if "--port" in options else ("--port", str(self.port))
        self.command = [found, *plain, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *options]
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.directory, stdout=log, stderr=log)
        wait_for(self.listens, f"redis-server on port {self.port}")

    def listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "log").read_text()[-2000:]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def ask(self, *command: str | int | bytes) -> object:
        connection = Connection(self.port)
        try:
            return connection.ask(*command)
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None

    def pause(self) -> None:
        """It says nothing more, and keeps its connections."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running(directory: Path, *options: str, port: int = 0) -> Iterator[RedisServer]:
    server = RedisServer(directory, *options, port=port)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def replicated(directory: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    """A master and its replica, in step."""
    with (
        running(directory / "master", "--repl-diskless-sync-delay", "0") as master,
        running(
            directory / "replica", "--replicaof", f"127.0.0.1 {master.port}", "--repl-diskless-sync-delay", "0"
        ) as replica,
    ):
        wait_for(lambda: b"master_link_status:up" in replica.ask("INFO", "replication"), "the replica to be in step")
        yield master, replica


def in_step(master: RedisServer, replica: RedisServer) -> bool:
    """The replica has everything the master had a moment ago."""
    return _offset(replica, b"slave_repl_offset") >= _offset(master, b"master_repl_offset")


def _offset(server: RedisServer, name: bytes) -> int:
    text = server.ask("INFO", "replication")
    assert isinstance(text, bytes)
    return int(text.split(name + b":")[1].split(b"\r")[0])


@contextlib.contextmanager
def sentinel(directory: Path, master: RedisServer) -> Iterator[RedisServer]:
    """One sentinel that alone may decide, about a master it calls `tollway`."""
    directory.mkdir(parents=True)
    port = free_port()
    configuration = directory / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor tollway 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds tollway 400\nsentinel failover-timeout tollway 2000\n"
    )
    server = RedisServer.__new__(RedisServer)
    server.port, server.directory, server.process = port, directory, None
    found = shutil.which("redis-server")
    assert found is not None
    server.command = [found, str(configuration), "--sentinel"]
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def cluster(directory: Path, nodes: int = 3) -> Iterator[list[RedisServer]]:
    """A Cluster of masters that share the slots evenly."""
    servers = [
        RedisServer(
            directory / str(number), "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
        )
        for number in range(nodes)
    ]  # fmt: skip
    try:
        size = 16384 // nodes
        for number, server in enumerate(servers):
            last = 16383 if number == nodes - 1 else (number + 1) * size - 1
            server.ask("CLUSTER", "ADDSLOTSRANGE", number * size, last)
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in servers[1:]:
            server.ask("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
        for server in servers:
            wait_for(lambda server=server: b"cluster_state:ok" in server.ask("CLUSTER", "INFO"), "the Cluster")
        yield servers
    finally:
        for server in servers:
            server.stop()
