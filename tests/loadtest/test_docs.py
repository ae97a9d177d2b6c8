"""The page on load stays true: its examples are read, its lists are whole."""

import hashlib
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from loadtest.generator.scenario import load_names, read_load
from loadtest.mock.scenario import FaultKind, Wire, bundled_names, load_scenario
from loadtest.peers import KEY, all_peers
from tests.support.served import tollway

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/loadtest.md").read_text(encoding="utf-8")


def test_the_examples_are_valid() -> None:
    provider, load = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    load_scenario(provider)
    assert len(read_load(load).stages) == 3


def test_everything_bundled_and_every_option_is_named() -> None:
    names = [*bundled_names(), *load_names(), *get_args(FaultKind), *(f.name for f in msgspec.structs.fields(Wire))]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    assert [peer.name for peer in all_peers()[2:] if peer.name not in PAGE.lower()] == []


@pytest.mark.parametrize("name", ["rig.yaml", "rig-bare.yaml"])
def test_the_rigs_configurations_are_accepted_and_their_key_is_the_benchs(name: str) -> None:
    path = ROOT / "loadtest" / name
    assert hashlib.sha256(KEY.encode()).hexdigest() in path.read_text(encoding="utf-8")
    ended = tollway("check", "--config", str(path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
