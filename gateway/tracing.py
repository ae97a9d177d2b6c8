"""Joins telemetry to the configuration: who is traced, which providers spans speak of, and who sends them where."""

import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path

from gateway import __version__
from gateway.routing.table import RouteTable
from gateway.seams import Clock
from gateway.settings.snapshot import Snapshot, TelemetryOptions
from gateway.telemetry.exporter import Exporter
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.otlp_http import METRICS_PATH, HttpSender
from gateway.telemetry.push import Push
from gateway.telemetry.sampling import Sampling, sampling
from gateway.telemetry.semconv import SCHEMA_URL, names_of, provider_name
from gateway.telemetry.span import Value
from gateway.telemetry.spans import Peer
from gateway.telemetry.traces import Traces


def open_traces(snapshot: Snapshot) -> Traces | None:
    """The traces of this process, not yet started; None: `telemetry.otlp` is empty, and nothing is traced."""
    options = snapshot.telemetry
    if not options.otlp:
        return None
    encoder = Encoder(_resource(), ("tollway", __version__), SCHEMA_URL if options.semconv == "v1_41" else "")
    headers = {"user-agent": f"tollway/{__version__}", **dict(options.headers)}
    exporter = Exporter(encoder, HttpSender(options.otlp, headers))
    return Traces(sampling_of(options), names_of(options.semconv), peers_of(snapshot.routes), encoder, exporter)


def open_push(snapshot: Snapshot, metrics: Metrics, clock: Clock) -> Push | None:
    """What sends this gateway's metrics to the collector; None: they are not to be sent."""
    options = snapshot.telemetry
    if not options.otlp or not options.otlp_metrics:
        return None
    encoder = Encoder(_service(), ("tollway", __version__), "")
    headers = {"user-agent": f"tollway/{__version__}", **dict(options.headers)}
    sender = HttpSender(options.otlp, headers, METRICS_PATH)
    return Push(metrics, encoder, sender, clock, options.otlp_metrics, Path(snapshot.server.runtime_dir))


def follow(traces: Traces, snapshot: Snapshot) -> None:
    """Put in force what a reload may change: `sample`, `keep`, `slow`, and the providers."""
    traces.sampling, traces.peers = sampling_of(snapshot.telemetry), peers_of(snapshot.routes)


def sampling_of(options: TelemetryOptions) -> Sampling:
    return sampling(options.sample, options.keep, options.slow)


def peers_of(routes: RouteTable) -> dict[str, Peer]:
    """What spans say of each provider."""
    return {
        provider.name: Peer(
            provider_name(provider.origin.host, provider.wire), provider.origin.host, provider.origin.port
        )
        for provider in routes.providers()
    }


def _resource() -> Mapping[str, Value]:
    """Each worker process is an instance of the service."""
    return {**_service(), "service.instance.id": str(uuid.uuid4()), "process.pid": os.getpid()}


def _service() -> Mapping[str, Value]:
    """A gateway with all its workers: whose figures these are must not change with the worker that sends them."""
    host = socket.gethostname()
    return {"service.name": "tollway", "service.version": __version__, "service.instance.id": host, "host.name": host}
