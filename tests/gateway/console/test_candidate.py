from pathlib import Path

import pytest
import yaml

from gateway.clock import ManualClock
from gateway.console.candidate import Judgement, judge
from gateway.settings.load import Written, load_config
from tests.gateway.admin.fakes import written


@pytest.fixture
def current(tmp_path: Path) -> Written:
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams" / "more.yaml").write_text("teams: {extra: {}}\n")
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump({**written(tmp_path), "include": ["teams/*.yaml"]}))
    return load_config(tmp_path / "gateway.yaml")


def test_the_text_in_force_is_judged_to_mean_the_same(current: Written):
    text = current.path.read_text()
    assert judge(text, current, ManualClock()) == Judgement([], judge(text, current, ManualClock()).warnings, [])


def test_problems_have_their_place_in_the_text_and_name_no_temporary_file(current: Written):
    """ "errors file:line:column": as `tollway check` says them."""
    found = judge("version: 1\nprovders: {}\nserver:\n  port: many\n", current, ManualClock())
    assert any(problem.startswith("gateway.yaml:2:1: ") and "providers" in problem for problem in found.problems)
    assert any(problem.startswith("gateway.yaml:4:9: ") for problem in found.problems)
    assert not any("tollway-candidate" in problem for problem in found.problems)


def test_what_it_includes_is_found_beside_the_real_file_and_changes_are_told(current: Written):
    data = yaml.safe_load(current.path.read_text())
    data["models"]["new-model"] = {"targets": [{"provider": "openai"}]}
    found = judge(yaml.safe_dump(data), current, ManualClock())
    assert found.problems == []
    assert any("new-model" in line for line in found.difference)
    assert not any("extra" in line for line in found.difference)
    data["teams"]["extra"] = {"models": ["gpt-4o-mini"]}
    clash = yaml.safe_dump({**data, "version": 2})
    assert judge(clash, current, ManualClock()).problems


@pytest.mark.parametrize("text", ["", "\0", "{", "- a", "a: &x [*x]", "version: 1\n" * 3, "\ufeffversion: 2"])
def test_no_text_breaks_it(current: Written, text: str):
    assert judge(text, current, ManualClock()).problems


def test_nothing_secret_is_told(current: Written, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CANARY", "canary-value-42")
    for text in ("version: ${env:CANARY}\n", "version: 1\nproviders: {a: {dialect: '${env:CANARY}'}}\n"):
        found = judge(text, current, ManualClock())
        assert found.problems
        assert "canary-value-42" not in "".join([*found.problems, *found.warnings, *found.difference])


def test_nothing_is_left_behind_or_put_in_force(current: Written, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    before = sorted(current.path.parent.iterdir())
    judge(current.path.read_text(), current, ManualClock())
    assert not list(place.iterdir())
    assert sorted(current.path.parent.iterdir()) == before
