"""Rolling back: the files as they were, checked first; every reason not to is said and changes nothing."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.clock import ManualClock
from gateway.ledger.config_history import ConfigEvent, digest_of
from gateway.settings.load import load_config
from gateway.settings.rollback import Prepared, RollbackError, prepare, put
from gateway.settings.versions import kept_files

TEAM = "teams:\n  search: {limits: {requests_per_minute: 100}}\n"
CLOCK = ManualClock()


@pytest.fixture
def path(write: Callable[..., Path], minimal: str) -> Path:
    return write(f"# ours\n{minimal}prices: off\ninclude: teams/*.yaml\n", teams__a=TEAM)


def event(path: Path, version: int = 1) -> ConfigEvent:
    """What a history has of the files as they are."""
    written = load_config(path, env={})
    files = kept_files(written)
    return ConfigEvent(
        id=1, version=version, at_ns=0, hash=written.hash, digest=digest_of(files), cause="start", actor="", reason="",
        changes=[], files=files,
    )  # fmt: skip


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def back(path: Path, target: ConfigEvent, *known: ConfigEvent, discard: bool = False) -> Prepared:
    return prepare(path, target, {target.digest, *(each.digest for each in known)}, CLOCK, env={}, discard=discard)


def test_files_are_put_back_as_they_were(path: Path) -> None:
    first = event(path)
    before = path.read_bytes()
    team = path.parent / "teams" / "a.yaml"
    os.chmod(team, 0o640)
    edit(team, "100", "200")
    edit(path, "# ours", "# theirs")
    edit(path, "api_key: k", "api_key: rotated")
    second = event(path, 2)
    prepared = back(path, first, second)
    assert list(prepared.texts) == [team, path], "the main file comes last"
    assert prepared.difference == ["team search: limits.requests_per_minute 200 → 100"]
    assert prepared.notes, "the secret is another one"
    put(prepared.texts)
    assert team.read_text() == TEAM
    assert team.stat().st_mode & 0o777 == 0o640
    assert path.read_bytes() == before.replace(b"api_key: k", b"api_key: rotated")
    assert sorted(each.name for each in path.parent.rglob("*") if each.is_file()) == ["a.yaml", "gateway.yaml"]
    put(prepared.before)
    assert event(path) == msgspec.structs.replace(second, version=1)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lambda path, team: edit(team, "200", "300"), "was never in force"),
        (lambda path, team: edit(path, "version: 1", "version: 1\nbogus: 1"), "was never in force"),
        (lambda path, team: team.unlink(), "was read from teams/a.yaml, too, and that file is not there"),
        (lambda path, team: (team.parent / "b.yaml").write_text("teams: {b: {}}\n"), "Other files are included now"),
        (lambda path, team: team.chmod(0o444), "is read-only: its mode says"),
        (lambda path, team: edit(path, "api_key: k", "api_key: '${env:K:-x}'"), "providers.openai.api_key"),
    ],
)
def test_what_is_refused_changes_nothing(path: Path, broken: Callable[[Path, Path], object], why: str) -> None:
    """ "refused clearly when the file is read-only or includes changed"."""
    first, team = event(path), path.parent / "teams" / "a.yaml"
    edit(team, "100", "200")
    second = event(path, 2)
    broken(path, team)
    files = {each: each.read_bytes() for each in path.parent.rglob("*.yaml")}
    with pytest.raises(RollbackError, match=re.escape(why)):
        back(path, first, second, discard="never" not in why)
    assert files == {each: each.read_bytes() for each in path.parent.rglob("*") if each.is_file()}


def test_edits_are_only_discarded_when_one_says_so(path: Path) -> None:
    """Also those of a file that is broken: to go back from there is what it is for."""
    first = event(path)
    before = path.read_bytes()
    path.write_text(path.read_text() + "bogus: [\n")
    with pytest.raises(RollbackError, match="never in force"):
        back(path, first)
    prepared = back(path, first, discard=True)
    assert prepared.difference == []
    put(prepared.texts)
    assert path.read_bytes() == before
    with pytest.raises(RollbackError, match="already as version 1"):
        back(path, first)


def test_a_running_gateway_lends_its_secrets(path: Path) -> None:
    """Where the file says nothing any more."""
    first, in_force = event(path), load_config(path, env={})
    before = path.read_bytes()
    path.write_text("")
    with pytest.raises(RollbackError, match="literal secrets"):
        back(path, first, discard=True)
    prepared = prepare(path, first, {first.digest}, CLOCK, in_force=in_force, env={}, discard=True)
    put(prepared.texts)
    assert path.read_bytes() == before


def test_what_cannot_be_used_any_more(path: Path) -> None:
    """Checked first: here, a variable is gone."""
    edit(path, "api_key: k", "api_key: '${env:KEY}'")
    written = load_config(path, env={"KEY": "x"})
    files = kept_files(written)
    first = msgspec.structs.replace(event_of(files, written.hash), version=1)
    edit(path, "api_key: '${env:KEY}'", "api_key: k")
    with pytest.raises(RollbackError, match="KEY is not set"):
        back(path, first, event(path, 2))
    assert "api_key: k" in path.read_text()


def event_of(files: list, hash: str) -> ConfigEvent:
    return ConfigEvent(
        id=1, version=1, at_ns=0, hash=hash, digest=digest_of(files), cause="", actor="", reason="", changes=[],
        files=files,
    )  # fmt: skip


def test_texts_that_are_not_kept(path: Path) -> None:
    with pytest.raises(RollbackError, match="too large"):
        back(path, msgspec.structs.replace(event(path), files=None))


def test_a_failure_on_the_way_puts_back_what_was_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    team = path.parent / "teams" / "a.yaml"
    real = os.replace

    def replace(made: Path, to: Path) -> None:
        if to == path:
            raise OSError(30, "Read-only file system", str(to))
        real(made, to)

    monkeypatch.setattr("gateway.settings.rollback.os.replace", replace)
    with pytest.raises(RollbackError, match=r"Read-only file system\. Nothing was changed"):
        put({team: b"teams: {}\n", path: b"version: 1\n"})
    assert team.read_text() == TEAM
    assert sorted(each.name for each in path.parent.rglob("*") if each.is_file()) == ["a.yaml", "gateway.yaml"]


def test_a_link_stays_one(path: Path) -> None:
    """What a symbolic link points at is replaced."""
    first = event(path)
    real = path.parent / "real"
    real.mkdir()
    os.rename(path, real / "main")
    path.symlink_to(real / "main")
    edit(path, "# ours", "# theirs")
    put(back(path, first, event(path, 2)).texts)
    assert path.is_symlink()
    assert path.read_text().startswith("# ours")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 900), min_size=2, max_size=5, unique=True), st.integers(0, 3))
def test_any_version_comes_back_byte_by_byte(path: Path, limits: list[int], which: int) -> None:
    """Rule: after a roll back, the files are what they were when that version was in force."""
    team = path.parent / "teams" / "a.yaml"
    versions: list[tuple[ConfigEvent, bytes]] = []
    for number, limit in enumerate(limits):
        team.write_text(TEAM.replace("100", str(limit)) + f"# {number}\n")
        versions.append((event(path, number + 1), team.read_bytes()))
    target, content = versions[which % (len(versions) - 1)]
    put(back(path, target, *(each for each, _ in versions)).texts)
    assert team.read_bytes() == content
