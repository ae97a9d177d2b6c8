"""Load scenarios: what is allowed, and where it says what is wrong."""

from pathlib import Path

import pytest

from loadtest.generator.scenario import load_names, read_load
from loadtest.markedyaml import ScenarioError


@pytest.mark.parametrize("name", load_names())
def test_bundled_scenarios_load(name: str) -> None:
    assert read_load(name).stages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages:\n- {duration: 1s}\n", "2:3: a stage has either `concurrency` (closed loop) or `rate` (open loop)"),
        ("stages:\n- {duration: 1s, rate: 5, concurrency: 3}\n", "a stage has either"),
        ("stages:\n- {duration: 0s, rate: 5}\n", "`duration` is above 0"),
        ("stages:\n- {duration: 1s, concurrency: 0}\n", "`concurrency`, `rate` and `max_connections` are above 0"),
        ("stages:\n- {duration: 1s, rate: .nan}\n", "`concurrency`, `rate` and `max_connections` are above 0"),
        ("stages:\n- {duration: 1s, rate: .inf}\n", "`concurrency`, `rate` and `max_connections` are above 0"),
        ("version: 2\nstages: []\n", "1:10: Invalid enum value 2; allowed are 1 (at version)"),
        (
            "stages:\n- {duration: 1s, rate: 5, request: {operation: chatt}}\n",
            "2:48: Invalid enum value 'chatt'; allowed are chat, completions, responses, messages, embeddings",
        ),
        ("stages: []\n", "at least one stage"),
        ("stages:\n- {duration: 1s, rat: 5}\n", "2:18: Object contains unknown field `rat`; did you mean `rate`?"),
        ("processes: 0\nstages:\n- {duration: 1s, rate: 5}\n", "between 1 and 64"),
        (
            "request: {prompt_bytes: [9, 1]}\nstages:\n- {duration: 1s, rate: 5}\n",
            "1:10: `prompt_bytes` is [least, most]",
        ),
        (
            "stages:\n- {duration: 1s, rate: 5}\nrequest: {operation: embeddings, stream: true}\n",
            "embeddings are not streamed",
        ),
    ],
)
def test_mistakes_are_named_with_their_place(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_load(text)
    assert message in str(caught.value)


def test_a_name_that_is_neither_file_nor_bundled(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"one of: .*load-smoke"):
        read_load("nonesuch")
    path = tmp_path / "mine.yaml"
    path.write_text("stages:\n- {duration: 1s, rate: 5}\n")
    assert read_load(str(path)).name == "mine"
