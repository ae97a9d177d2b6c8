"""Recipes of the comparison."""

import tomllib
from pathlib import Path

import pytest
import yaml

from loadtest.peers import Launch, Peer, all_peers


@pytest.mark.parametrize("peer", all_peers(), ids=lambda peer: peer.name)
def test_recipes_write_configurations_that_name_the_upstream_and_their_port(peer: Peer, tmp_path: Path) -> None:
    launch = peer.launch("/bin/program", tmp_path, 4321, "http://127.0.0.1:1234")
    written = [path.read_text() for path in tmp_path.iterdir()]
    everything = " ".join([*launch.command, *launch.environment.values(), *launch.headers.values(), *written])
    assert "4321" in everything
    assert "http://127.0.0.1:1234" in everything
    for path in tmp_path.iterdir():
        tomllib.loads(path.read_text()) if path.suffix == ".toml" else yaml.safe_load(path.read_text())


def test_what_is_not_installed_is_not_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    peer = Peer("some-peer", "no-such-program", "pip install it", "/", lambda *_: Launch([]))
    assert peer.find() is None
    program = tmp_path / "there"
    program.touch()
    monkeypatch.setenv("LOADTEST_SOME_PEER", str(program))
    assert peer.find() == str(program)
