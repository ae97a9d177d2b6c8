"""One worker process: builds the World, serves on given sockets, and leaves in order.

Leaving (SIGTERM, SIGINT): no new connections, no new requests, open exchanges run on for `server.drain` seconds; what
is left then gets an SSE error event or a 503, and a settled record. SIGHUP reloads the configuration.
"""

import asyncio
import contextlib
import gc
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import cast

import uvicorn

from gateway.admin.app import admin_app
from gateway.app import App
from gateway.clock import SystemClock
from gateway.ledger.journal import Journal
from gateway.link import Link
from gateway.settings.reload import Configuration
from gateway.settings.snapshot import Snapshot
from gateway.telemetry.logs import alert, info, setup_logs
from gateway.telemetry.metrics import Metrics
from gateway.tracing import open_traces
from gateway.world import World

SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread beside the event loop must let it run again (Python's default is ten times that): they
look at the database, and a first token must not wait for them."""
SAME_SIGNAL = 1.0
"""Seconds within which a second signal is the first one again: a terminal and systemd signal every process of a group,
and the supervisor passes its own on."""
SWEEP = 0.5
"""Seconds between two looks at all connections for time-outs."""
STOOD_STILL = 2.0
"""Seconds by which a look is late when the process did not run. A shorter one is the fault of much to do."""


class Server(uvicorn.Server):
    """uvicorn's server, with our signals, our drain, and our start and stop."""

    def __init__(
        self,
        config: uvicorn.Config,
        world: World,
        links: type[Link],
        beside: Callable[[], object] | None = None,
        lifeline: int | None = None,
    ) -> None:
        """`lifeline`: a descriptor that reaches its end when the supervisor is gone; then this worker leaves too."""
        super().__init__(config)
        self._lifeline = lifeline
        self.world = world
        self.links = links
        self._beside = beside
        self._told_at = -math.inf
        """When the last signal to leave came (monotonic seconds)."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Unlike uvicorn's, signals are not raised again afterwards: a drained process has ended well."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.leave)
        loop.add_signal_handler(signal.SIGINT, self.leave, False)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        if self._lifeline is not None:
            loop.add_reader(self._lifeline, self._orphaned, self._lifeline)
        yield

    def leave(self, give_notice: bool = True) -> None:
        """First signal: say so on `/readyz`, and drain after `server.notice` if that is given. The next: do not wait
        any longer, for the end of the notice or of the drain."""
        now = self.world.clock.monotonic()
        if now - self._told_at < SAME_SIGNAL:
            return
        self._told_at = now
        if self.should_exit:
            self.world.stop_all("shutdown")
            self.force_exit = True
            return
        notice = self.world.snapshot.server.notice
        if notice and give_notice and not self.world.leaving:
            self.world.leaving = True
            info("leaving", seconds=notice)
            asyncio.get_running_loop().call_later(notice, self._drain)
        else:
            self._drain()

    def _drain(self) -> None:
        """No new requests from now on; `shutdown` waits for the ones under way."""
        self.should_exit = self.world.leaving = self.world.draining = True
        self.links.leaving = True

    def _orphaned(self, lifeline: int) -> None:
        asyncio.get_running_loop().remove_reader(lifeline)
        alert("supervisor_gone")
        self.leave(give_notice=False)

    def reload(self) -> None:
        self.world.tasks.start(self.world.reload("SIGHUP"), "reload")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.world.start(sockets[0].getsockname()[1] if sockets else 0)
        await super().startup(sockets)
        self.world.tasks.start(self._sweep(), "sweep connections")
        settle_heap()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.world.leaving = self.world.draining = True
        drain = self.world.snapshot.server.drain
        info("draining", seconds=drain, exchanges=len(self.world.live))
        timer = asyncio.get_running_loop().call_later(drain, self.world.stop_all, "shutdown")
        await super().shutdown(sockets)
        timer.cancel()
        await self.world.aclose()
        info("stopped")

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + SWEEP
            await asyncio.sleep(SWEEP)
            if self._beside is not None:
                self._beside()
            options = self.world.snapshot.server
            now = loop.time()
            for connection in list(self.server_state.connections):
                link = cast(object, connection)
                if isinstance(link, Link):
                    link.sweep(now, options, stood_still=now - due > STOOD_STILL)


def run_worker(
    configuration: Configuration,
    sockets: list[socket.socket],
    beside: Callable[[], object] | None = None,
    lifeline: int | None = None,
) -> None:
    """Serve until told to leave. Blocks. `beside` is called about twice a second (the only worker of a gateway looks
    after its ledger loader; several have a supervisor that does)."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    snapshot = configuration.snapshot
    setup_logs(snapshot.telemetry.log_level, snapshot.telemetry.log_format).start()
    world = build_world(configuration)
    links = _links(snapshot)
    server = Server(_uvicorn_config(world, snapshot, links), world, links, beside, lifeline)
    for warning in snapshot.warnings:
        alert("configuration_warning", warning=warning)
    server.run(sockets)


def build_world(configuration: Configuration) -> World:
    """The World of this process, not yet started."""
    snapshot = configuration.snapshot
    clock = SystemClock()
    ledger = snapshot.ledger
    journal = None
    if ledger is not None:
        journal = Journal(
            Path(ledger.journal),
            clock=clock,
            fsync_interval=ledger.fsync_seconds,
            segment_bytes=ledger.segment_bytes,
        )
    shared = Path(snapshot.server.runtime_dir) / "metrics" if snapshot.server.workers > 1 else None
    metrics = Metrics(shared) if snapshot.telemetry.metrics else None
    return World(configuration, clock, journal, metrics, open_traces(snapshot))


def settle_heap() -> None:
    """What start-up made stays for good: the collector need not look at it again. A request leaves hardly any cycles,
    so looking every 700 allocations (Python's default) costs more than it finds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _links(snapshot: Snapshot) -> type[Link]:
    """The protocol class of this process, with its bounds."""

    class BoundLink(Link):
        max_head = snapshot.server.max_headers
        keep_alive = snapshot.server.keep_alive

    return BoundLink


def _uvicorn_config(world: World, snapshot: Snapshot, links: type[Link]) -> uvicorn.Config:
    return uvicorn.Config(
        App(world, admin_app(world)),
        http=links,
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="error",
        backlog=4096,
        timeout_keep_alive=int(snapshot.server.keep_alive),
        timeout_graceful_shutdown=int(snapshot.server.drain) + 5,
    )


def bind(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A listening socket's address, bound. Raises `OSError` when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host, port))
    sock.set_inheritable(True)
    return sock


def worker_main() -> None:
    """Entry of a worker that a supervisor started: configuration path and bound socket come by environment, and
    standard input is the lifeline."""
    workers = int(os.environ["TOLLWAY_WORKERS"])
    configuration = Configuration(Path(os.environ["TOLLWAY_CONFIG"]), clock=SystemClock(), workers=workers)
    sock = socket.socket(fileno=int(os.environ["TOLLWAY_SOCKET"]))
    run_worker(configuration, [sock], lifeline=0)
