"""Judging a configuration that is not there: pasted text, read as if it stood in the place of the one in force.

The text is put into a directory of its own, beside links to everything that stands beside the real file, so that what
it includes is found. Nothing is put in force, kept, or made known but what is wrong with it, by its place.
"""

import tempfile
from pathlib import Path

import msgspec

from gateway.errors import ConfigError
from gateway.seams import Clock
from gateway.settings.compile import compile_snapshot
from gateway.settings.diff import difference
from gateway.settings.gate_files import GateFiles
from gateway.settings.load import Written, load_config
from gateway.settings.reload import gates_of
from gateway.settings.workshop import Workshop

MOST = 1024 * 1024
"""Characters."""


class Judgement(msgspec.Struct, frozen=True):
    """What came of it. `difference`: to what is in force, without secrets."""

    problems: list[str]
    """`file:line:column: what is wrong; what is allowed`; empty: it can be used."""
    warnings: list[str]
    difference: list[str]


def judge(text: str, current: Written, clock: Clock) -> Judgement:
    """Blocks for some milliseconds; for seconds where it has guardrails of its own. Raises `OSError` when there is no
    place for temporary files."""
    with tempfile.TemporaryDirectory(prefix="tollway-candidate-") as name:
        directory = Path(name)
        real = current.path.absolute()
        for neighbour in real.parent.iterdir():
            if neighbour.name != real.name:
                (directory / neighbour.name).symlink_to(neighbour)
        path = directory / real.name
        path.write_text(text, "utf-8")
        try:
            written = load_config(path, workers=current.workers)
            workshop = Workshop(GateFiles(gates_of(current), write=False))
            snapshot = compile_snapshot(written, clock=clock, workshop=workshop)
        except ConfigError as error:
            return Judgement([problem.replace(f"{directory}/", "") for problem in error.problems], [], [])
        return Judgement([], list(snapshot.warnings), difference(current, written))
