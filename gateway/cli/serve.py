"""`tollway serve`: run the gateway until SIGTERM or Ctrl-C."""

import contextlib
import errno
import os
import resource
import signal
import socket
import sys
from pathlib import Path

import typer

from gateway.cli.options import ConfigOption

MOST_DESCRIPTORS = 1 << 20


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(
    config: ConfigOption = Path("config/gateway.yaml"),
    host: str | None = typer.Option(None, help="Address to listen on; overrides server.host."),
    port: int | None = typer.Option(None, min=0, max=65535, help="Port; overrides server.port; 0 takes a free one."),
    workers: int | None = typer.Option(None, min=1, help="Processes; overrides server.workers."),
) -> None:
    """Run the gateway.

    SIGTERM or Ctrl-C drains: open requests run on for server.drain, then end with an error. SIGHUP reloads.
    Exit code 0 after a drain, 2 when the configuration, the journal's directory or the address cannot be used.
    """
    # Until somebody reloads on it, SIGHUP would end the process: whoever saves a file and signals does not know that it
    # is only starting. What changed meanwhile the file watch finds. Workers inherit this.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _allow_descriptors()
    from gateway.clock import SystemClock
    from gateway.errors import ConfigError, LedgerError
    from gateway.ledger.findings import FindingsOptions
    from gateway.ledger.loader_process import LoaderOptions, LoaderProcess
    from gateway.ledger.segments import make_directory
    from gateway.server import run_worker
    from gateway.settings.reload import Configuration

    try:
        configuration = Configuration(config, clock=SystemClock(), workers=workers)
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    options = configuration.snapshot.server
    host, workers = host or options.host, workers or options.workers
    ledger = configuration.snapshot.ledger
    loader = None
    if ledger is not None:
        try:
            make_directory(Path(ledger.journal))
        except LedgerError as error:
            print(f"tollway: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        loader = LoaderProcess(
            ledger.url,
            Path(ledger.journal),
            options=LoaderOptions(
                retain_events=ledger.retention_days * 86400,
                retain_findings=(ledger.findings or FindingsOptions()).retention_days * 86400,
            ),
            nice=19,
            died=_loader_died,
        )
    listening = _listening(host, options.port if port is None else port, shared=workers > 1)
    bound: int = listening.getsockname()[1]
    if loader is not None:
        loader.start()
    print(
        f"tollway: listening on http://{host}:{bound} (pid {os.getpid()}, {workers} worker{'s' * (workers > 1)})",
        flush=True,
    )
    try:
        if workers == 1:
            run_worker(configuration, [listening], beside=loader.poll if loader is not None else None)
        else:
            from gateway.supervisor import Supervisor
            from gateway.telemetry.logs import setup_logs

            telemetry = configuration.snapshot.telemetry
            setup_logs(telemetry.log_level, telemetry.log_format)
            Supervisor(config, host, listening, workers, loader.poll if loader is not None else bool).run()
    finally:
        if loader is not None:
            loader.stop()


def _allow_descriptors() -> None:
    """Have as many descriptors as the system lets us, for a request takes two: the usual soft limit of 1,024 is for
    programs that use select(2). Workers inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _loader_died(pid: int, status: int, seconds: float) -> None:
    from gateway.telemetry.logs import alert

    alert("loader_died", loader=pid, status=status, seconds=seconds)


def _listening(host: str, port: int, *, shared: bool) -> socket.socket:
    """The bound socket; `shared` among workers, but with no other gateway, which would silently get half of the
    requests. Ends the command where it cannot be had."""
    from gateway.server import bind

    try:
        if shared and port:
            bind(host, port).close()
        return bind(host, port, reuse_port=shared)
    except OSError as error:
        hint = "; --port takes another" if error.errno == errno.EADDRINUSE else ""
        print(f"tollway: cannot listen on {host}:{port}: {error.strerror}{hint}", file=sys.stderr)
        raise typer.Exit(2) from None
