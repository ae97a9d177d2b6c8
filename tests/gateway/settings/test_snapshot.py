"""The snapshot cannot be changed, so that a request which holds one sees one configuration."""

import pytest

from gateway.auth.keys import KeyIndex
from gateway.routing.table import RouteTable
from gateway.settings.snapshot import ServerOptions, Snapshot, TelemetryOptions


def test_a_snapshot_cannot_be_changed() -> None:
    snapshot = Snapshot(
        hash="0" * 16, source="x", loaded_ns=0, server=ServerOptions(), keys=KeyIndex([]), routes=RouteTable([], []),
        prices=None, ledger=None, telemetry=TelemetryOptions(),
    )  # fmt: skip
    for value, field in ((snapshot, "hash"), (snapshot.server, "port"), (snapshot.telemetry, "metrics")):
        with pytest.raises(AttributeError):
            setattr(value, field, "other")
