"""A provider on a thread of the test process: it answers what the test says next, and keeps what it was sent.

For tests with the synchronous SDKs: nothing here needs the test's own event loop, so that one gateway can serve a whole
module of tests, each with its own script.
"""

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HEAD_LIMIT = 1 << 20


@dataclass
class Seen:
    """One request as the provider got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)


Play = Callable[["Wire", Seen], None]


@dataclass
class Wire:
    """The provider's end of one connection."""

    socket: socket.socket
    left: threading.Event
    """The other side closed while this script was watching."""
    spare: bytes = b""
    keep: bool = True

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def head(self, status: int = 200, **headers: str) -> None:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.send(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode())

    def whole(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.head(status, content_length=str(len(body)), **{"content_type": "application/json", **headers})
        self.send(body)

    def open_stream(self) -> None:
        self.head(content_type="text/event-stream", transfer_encoding="chunked")

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        self.send(b"0\r\n\r\n")

    def broken(self) -> None:
        """End the connection without ending the answer."""
        self.keep = False

    def wait_until_left(self, limit: float = 60.0) -> bool:
        """Whether the other side closes within `limit` seconds."""
        self.keep = False
        try:
            while select.select([self.socket], [], [], limit)[0]:
                if not self.socket.recv(65536):
                    self.left.set()
                    return True
        except OSError:
            self.left.set()
            return True
        return False

    def request(self) -> Seen | None:
        """The next request; None: the other side has closed."""
        data = self.spare
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(65536)
            if not more or len(data) > HEAD_LIMIT:
                return None
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        pieces, size = [rest], len(rest)
        while size < length:
            more = self.socket.recv(1 << 20)
            if not more:
                return None
            pieces.append(more)
            size += len(more)
        body = b"".join(pieces)
        self.spare = body[length:]
        method, path, _ = first.split(" ", 2)
        return Seen(method, path, headers, body[:length])


@dataclass
class Scripted:
    """The provider. `play` is what every following request is answered with."""

    url: str
    play: Play
    seen: list[Seen] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list)

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    def says(self, play: Play | dict) -> None:
        """Answer with this from now on; forget what was seen."""
        self.play = unary(play) if isinstance(play, dict) else play
        self.seen.clear()
        self.left = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            wire = Wire(connection, self.left)
            try:
                while wire.keep and (request := wire.request()) is not None:
                    wire.left = self.left
                    self.seen.append(request)
                    self.play(wire, request)
            except (BrokenPipeError, ConnectionError):
                wire.left.set()
            except BaseException as error:
                self.failures.append(error)
                raise


def unary(answer: dict | bytes, status: int = 200, **headers: str) -> Play:
    """One whole answer."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return lambda wire, _: wire.whole(body, status, **headers)


def streamed(events: bytes, cut: int = 0, *, ends: bool = True) -> Play:
    """An event stream, in writes of `cut` bytes (0: one write). `ends` False: the connection breaks instead."""

    def play(wire: Wire, _: Seen) -> None:
        wire.open_stream()
        for at in range(0, len(events), cut or len(events)):
            wire.chunk(events[at : at + (cut or len(events))])
        wire.end() if ends else wire.broken()

    return play


def by_stream(answer: dict, events: bytes, cut: int = 0) -> Play:
    """The same answer whole or streamed, as the request asks."""
    whole, stream = unary(answer), streamed(events, cut)
    return lambda wire, seen: (stream if seen.json.get("stream") else whole)(wire, seen)


@contextmanager
def scripted(play: Play = unary({})) -> Iterator[Scripted]:
    listening = socket.create_server(("127.0.0.1", 0))
    state = Scripted(f"http://127.0.0.1:{listening.getsockname()[1]}", play)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=state.serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield state
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
