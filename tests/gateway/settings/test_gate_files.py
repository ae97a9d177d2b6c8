"""Compiled gates on disk: used when they are right, ignored when they are not, and never a reason to fail."""

import os
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.settings.gate_files import KEPT, GateFiles
from guardrails.detector import Expression
from guardrails.matching.gate import HyperscanGate

WORDS = (Expression("acme[0-9]{3}"), Expression("globex", caseless=True))


def gate(files: GateFiles, expressions: tuple[Expression, ...] = WORDS) -> HyperscanGate:
    found = files.open(expressions)
    assert isinstance(found, HyperscanGate)
    assert {index for index, _ in found.scan(b"acme123 GLOBEX")} == set(range(len(expressions)))
    return found


def test_the_second_start_compiles_nothing(tmp_path: Path) -> None:
    assert not gate(GateFiles(tmp_path / "gates")).loaded
    assert gate(GateFiles(tmp_path / "gates")).loaded
    assert not gate(GateFiles(tmp_path / "gates"), WORDS[:1]).loaded
    (file, _) = sorted((tmp_path / "gates").iterdir())
    assert file.stat().st_mode & 0o077 == 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_ignored_and_replaced(tmp_path: Path, data: st.DataObject) -> None:
    """'One that is damaged … is ignored', wherever and however."""
    files = GateFiles(tmp_path)
    gate(files)
    (file,) = tmp_path.glob("*.gate")
    whole = file.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    file.write_bytes(data.draw(st.sampled_from([flipped, whole[:at], b"", whole + b"x"])))
    assert not gate(files).loaded
    assert file.read_bytes() == whole


def test_what_others_could_have_written_is_ignored(tmp_path: Path) -> None:
    files = GateFiles(tmp_path)
    gate(files)
    (file,) = tmp_path.glob("*.gate")
    file.chmod(0o666)
    assert not gate(files).loaded
    assert file.stat().st_mode & 0o022 == 0
    other = file.rename(tmp_path / "elsewhere")
    file.symlink_to(other)
    assert not gate(files).loaded
    assert not file.is_symlink()


def test_a_directory_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "gates").write_text("a file where the directory should be")
    assert not gate(GateFiles(tmp_path / "gates")).loaded
    gate(GateFiles(tmp_path / "other", write=False))
    assert not (tmp_path / "other").exists()


def test_old_files_go(tmp_path: Path) -> None:
    files = GateFiles(tmp_path)
    for number in range(KEPT + 3):
        files.open((Expression(f"word{number}"),))
        for age, file in enumerate(sorted(tmp_path.glob("*.gate"), key=lambda file: file.stat().st_mtime_ns)):
            os.utime(file, ns=(age, age))
    assert len(list(tmp_path.iterdir())) == KEPT
