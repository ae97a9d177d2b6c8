"""What the operating system says of this process: CPU time, memory, open files, under Prometheus's usual names."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from gateway.telemetry.metrics import Metrics
from gateway.telemetry.page import Family, Labels

_CPU = Family("process_cpu_seconds", "CPU time of all workers, user and system.", "counter")
_MEMORY = Family("process_resident_memory_bytes", "Resident memory of all workers.", "gauge")
_FILES = Family("process_open_fds", "Open files and sockets of all workers.", "gauge")


def pull_process(metrics: Metrics) -> None:
    """Add the families to `metrics`. Where there is no /proc, memory and files are left out."""
    metrics.pull_one(_CPU, _cpu_seconds)
    metrics.pull(_MEMORY, _resident_bytes)
    metrics.pull(_FILES, _open_files)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_bytes() -> Iterator[tuple[Labels, float]]:
    statm = Path("/proc/self/statm")
    if statm.exists():
        yield (), int(statm.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> Iterator[tuple[Labels, float]]:
    listing = Path("/proc/self/fd")
    if listing.exists():
        yield (), len(os.listdir(listing)) - 1
