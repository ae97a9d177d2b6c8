"""Scenario files: what is allowed, and where it says what is wrong."""

from pathlib import Path

import pytest

from loadtest.mock import ScenarioError
from loadtest.mock.scenario import bundled_names, load_scenario


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_scenarios_load(name: str) -> None:
    assert load_scenario(name).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defaults:\n  latncy: 3s\n", "2:3: Object contains unknown field `latncy`; did you mean `latency`?"),
        ("defaults:\n  latency: soon\n", "2:12: 'soon' is not a duration; write 20ms, 1.5s, 2m"),
        ("defaults:\n  gap: {uniform: [5s, 1s]}\n", "2:8: `uniform` is [low, high]"),
        ("defaults:\n  gap: {fixed: 1s, uniform: [1s, 2s]}\n", "exactly one of `fixed`, `uniform`, `lognormal`"),
        ("rules:\n- then:\n    error: {status: 200}\n", "3:12: `status` of an error is 400 to 599"),
        ("rules:\n- then: {fault: {kind: explode}}\n", "2:24: Invalid enum value 'explode'"),
        ("rules:\n- {when: {probability: 2}, then: {}}\n", "2:10: `probability` is between 0 and 1"),
        ("rules:\n- {when: {nth: 0}, then: {}}\n", "`nth` counts from 1"),
        ("defaults: {gap: 1s, token_rate: 3}\n", "1:11: `gap` and `token_rate` say the same thing"),
        ("defaults: {output: {chars_per_token: 0}}\n", "`chars_per_token` is at least 1"),
        ("defaults: {fault: {kind: huge_event, bytes: big}}\n", "1:45: 'big' is not a size; write 512, 64KiB or 1MB"),
        ("version: 2\n", "Invalid enum value 2"),
        ("defaults: [\n", "not valid YAML"),
    ],
)
def test_mistakes_are_named_with_their_place(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("<text>:")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_scenario(tmp_path / "none.yaml")
    with pytest.raises(ScenarioError, match=r"bundled are: .*flaky"):
        load_scenario("nonesuch")
