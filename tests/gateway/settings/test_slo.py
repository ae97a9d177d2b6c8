"""Files of objectives: what may be written, and what a mistake is told, with its place."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.settings import schema_slo
from gateway.settings.schema_base import Section
from gateway.settings.schema_slo import SloRoot
from gateway.settings.slo import BOUNDS, duration_text, load_slo, teams_of
from gateway.settings.units import parse_duration

ROOT = Path(__file__).resolve().parents[3]
HEAD = "version: 1\nteams: {gold: [search]}\nobjectives:\n"


def load(directory: Path, text: str, **env: str) -> SloRoot:
    path = directory / "slo.yaml"
    path.write_text(text, encoding="utf-8")
    return load_slo(path, env=env)


def problems(directory: Path, text: str) -> list[str]:
    """What is wrong, each with line and column and without the file's name."""
    with pytest.raises(ConfigError) as error:
        load(directory, text)
    return [problem.partition("slo.yaml:")[2] for problem in error.value.problems]


def test_what_is_shipped_is_right() -> None:
    root = load_slo(ROOT / "config/slo.yaml", env={})
    assert {objective.sli for objective in root.objectives.values()} == {
        "availability", "first_byte", "overhead", "guardrails", "ledger",
    }  # fmt: skip
    assert root.objectives["availability"].target == 0.995
    assert root.runbooks == "docs/slo.md"


def test_classes_lists_and_variables(tmp_path: Path) -> None:
    root = load(
        tmp_path,
        HEAD + "  a: {sli: availability, target: 99%, teams: gold}\n"
        "  b: {sli: availability, target: 99%, teams: [x, y]}\n  c: {sli: overhead, target: 99%, within: 10ms}\n"
        "notify: {page: [{webhook: '${env:HOOK}'}]}\n",
        HOOK="https://example.com/hook",
    )
    assert teams_of(root, root.objectives["a"]) == ("search",)
    assert teams_of(root, root.objectives["b"]) == ("x", "y")
    assert teams_of(root, root.objectives["c"]) == ()
    assert root.notify.page[0].webhook == "https://example.com/hook"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("  a: {sli: availability, target: 99%, within: 1s}", "4:47: availability has no time; allowed is no 'within'"),
        (
            "  a: {sli: first_byte, target: 99%}",
            "4:3: 'within' is missing: from when on is an event bad? allowed are 25ms, 50ms, 100ms, 250ms, 500ms, 1s, "
            "2.5s, 5s, 10s, 30s, 1m",
        ),
        ("  a: {sli: ledger, target: 99%}", "4:3: 'within' is missing: from when on is an event bad? allowed are a "
         "duration such as 60s"),
        (
            "  a: {sli: overhead, target: 99%, within: 3ms}",
            "4:43: no histogram has a bound there; allowed are 0.1ms, 0.25ms, 0.5ms, 1ms, 2.5ms, 5ms, 10ms, 25ms, "
            "100ms, 1s",
        ),
        ("  a: {sli: overhead, target: 99%, within: 1ms, teams: [x]}",
         "4:55: the metric of overhead is not kept apart by teams; allowed are: operations, mode"),
        ("  a: {sli: guardrails, target: 99%, within: 25ms, mode: stream}",
         "4:57: the metric of guardrails is not kept apart by mode; allowed are: none"),
        ("  a: {sli: availability, target: 99%, teams: golt}",
         "4:46: there is no class of teams 'golt'; did you mean 'gold'?"),
        ("  a: {sli: availability, target: 99%, models: []}",
         "4:47: this list is empty; allowed is a list with one name or more, or none at all"),
        ("  a: {sli: availability, target: 100%}",
         "4:34: this is no target one can keep or miss; allowed is 50% to 99.999%"),
        ("  a: {sli: availability, target: 0.99}",
         "4:34: this is not a percentage; allowed is a percentage from 0% to 100%, such as 5% or 99.5%"),
        ("  a: {sli: uptime, target: 99%}", "4:12: this value is not known; allowed are 'availability', 'first_byte', "
         "'overhead', 'guardrails', 'ledger'"),
        ("  a: {sli: availability, taget: 99%}", "4:26: unknown key 'taget'; did you mean 'target'?"),
        ("  a: {sli: availability, target: 99%}\nlabels: {a-b: x}",
         "5:10: this is not a name of a Prometheus label; allowed are letters, digits and '_'"),
        ("  a: {sli: availability, target: 99%}\nnotify: {page: [{}]}", "5:17: a receiver is one of webhook, "
         "webhook_file, pagerduty_key_file, slack_url_file; here are none"),
        ("  a: {sli: availability, target: 99%}\nnotify: {page: [{slack_url_file: f}]}",
         "5:17: slack_url_file and slack_channel belong together; allowed are both"),
        ("  a: {sli: availability, target: 99%}\nnotify: {page: [{webhook: example.com}]}",
         "5:17: this webhook is not a URL; allowed is one that starts with https:// or http://"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(tmp_path: Path, line: str, said: str) -> None:
    assert said in problems(tmp_path, HEAD + line + "\n")


def test_labels_of_alerts_keep_their_meaning(tmp_path: Path) -> None:
    text = HEAD + "  a: {sli: availability, target: 99%}\nlabels: {slo: x, service: tollway}\n"
    assert problems(tmp_path, text) == ["5:10: alerts have a label of this name already; allowed is any other"]


def test_the_examples_of_the_manual_can_be_used(tmp_path: Path) -> None:
    page = (ROOT / "docs/slo.md").read_text("utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    written = [block for block in blocks if block.startswith(("version:", "notify:"))]
    assert len(written) == 2
    root = load(tmp_path, "".join(written))
    assert len(root.objectives) == 5
    assert root.notify.ticket[0].slack_channel == "#llm-platform"


def test_every_option_is_in_the_manual() -> None:
    page = (ROOT / "docs/slo.md").read_text("utf-8")
    sections = [each for each in Section.__subclasses__() if each.__module__ == schema_slo.__name__]
    assert len(sections) == 5
    fields = {name for section in sections for name in section.model_fields}
    assert [name for name in sorted(fields) if not re.search(rf"\b{name}\b", page)] == []


def test_only_alerts_that_exist_can_be_switched_off(tmp_path: Path) -> None:
    text = HEAD + "  a: {sli: availability, target: 99%}\nalerts: {off: [TollwayUnpriced, TollwayUp]}\n"
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("5:33: this value is not known; allowed are 'TollwayDown', 'TollwayCredentialDown', ")


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = "version: 2\nobjectives:\n  a: {sli: nothing, target: 99%}\n  b: {sli: ledger, target: 1%, within: 9}\n"
    found = problems(tmp_path, text)
    assert [problem.partition(": ")[0] for problem in found] == ["1:10", "3:12", "4:28", "4:40"]
    assert found[0] == "1:10: this version of the objectives is not known; allowed is 1"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"slo\.yaml:1:1: .*No such file"):
        load_slo(tmp_path / "slo.yaml")


@given(st.sampled_from(sorted({bound for bounds in BOUNDS.values() for bound in bounds})) | st.integers(1, 10**6))
def test_a_duration_is_written_as_it_is_read(seconds: float) -> None:
    assert parse_duration(duration_text(seconds)) == pytest.approx(seconds)


@given(st.text(max_size=200))
def test_any_text_gives_objectives_or_problems(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """ "Raises `ConfigError` with every problem found", and nothing else."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with contextlib.suppress(ConfigError):
        load_slo(path, env={})
