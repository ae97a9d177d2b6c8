"""Several files as one tree."""

from collections.abc import Callable
from pathlib import Path

from gateway.settings.load import load_config

Complaints = Callable[..., list[str]]
BASE = """\
version: 1
include: [teams/*.yaml, models.yaml]
providers: {openai: {dialect: openai, base_url: "https://h/v1"}}
"""
MODELS = "models: {gpt-4o: {targets: [{provider: openai}]}}\n"


def test_mappings_of_the_same_name_are_merged(write: Callable[..., Path]) -> None:
    path = write(
        BASE,
        models=MODELS,
        teams__a="version: 1\nteams: {a: {models: [gpt-4o]}}\n",
        teams__b="teams:\n  b: {}\n  a: {tags: {x: y}}\n",
    )
    root = load_config(path, env={}).root
    assert sorted(root.teams) == ["a", "b"]
    assert root.teams["a"].models == ["gpt-4o"]
    assert root.teams["a"].tags == {"x": "y"}


def test_the_same_name_twice_names_both_places(complaints_of: Complaints) -> None:
    found = complaints_of(
        BASE + "server: {port: 1}\n",
        models=MODELS + "server:\n  port: 2\n",
        teams__a="teams:\n  a:\n    models: [gpt-4o]\n",
        teams__b="teams:\n  a:\n    models: []\n",
    )
    assert found == [
        "teams/b.yaml:3:5: 'models' is already written at teams/a.yaml:3:5; allowed is each name once",
        "models.yaml:3:3: 'port' is already written at gateway.yaml:4:10; allowed is each name once",
    ]


def test_a_problem_is_placed_in_the_file_it_stands_in(complaints_of: Complaints) -> None:
    assert complaints_of(BASE, models=MODELS, teams__a="teams:\n  a: {modles: []}\n") == [
        "teams/a.yaml:2:7: unknown key 'modles'; did you mean 'models'?"
    ]


def test_includes_may_include_and_are_relative_to_their_file(write: Callable[..., Path]) -> None:
    path = write(
        BASE.replace("teams/*.yaml", "teams/all.yaml"),
        models=MODELS,
        teams__all="include: deep/more.yaml\n",
        teams__deep__more="teams: {x: {}}\n",
    )
    assert list(load_config(path, env={}).root.teams) == ["x"]


def test_a_file_is_read_once_and_a_pattern_may_meet_the_file_itself(write: Callable[..., Path]) -> None:
    path = write(
        BASE.replace("[teams/*.yaml, models.yaml]", "['*.yaml', models.yaml]"), models=MODELS, other="teams: {x: {}}\n"
    )
    assert list(load_config(path, env={}).root.teams) == ["x"]


def test_a_circle_is_refused(complaints_of: Complaints) -> None:
    found = complaints_of(BASE, models=MODELS + "include: [sub/again.yaml]\n", sub__again="include: ../models.yaml\n")
    assert found == [
        "sub/again.yaml:1:10: this file includes itself: gateway.yaml → models.yaml → again.yaml → models.yaml; "
        "allowed is a tree of files"
    ]


def test_what_is_not_there(complaints_of: Complaints) -> None:
    """A pattern may match nothing; a name must exist."""
    found = complaints_of(BASE)
    assert found == [
        "gateway.yaml:2:25: this file cannot be read: No such file or directory; allowed is a readable YAML file"
    ]


def test_what_an_included_file_must_be(complaints_of: Complaints) -> None:
    assert complaints_of(BASE, models="- a\n")[0].startswith("models.yaml:1:1: the file does not hold a mapping")
    assert complaints_of(BASE, models="")[0].startswith("models.yaml:1:1: the file is empty")
    assert complaints_of(BASE, models="a: [\n")[0].startswith("models.yaml:2:1: this is not valid YAML")


def test_include_takes_file_names_only(complaints_of: Complaints) -> None:
    assert complaints_of("version: 1\ninclude: [{a: b}]\n") == [
        "gateway.yaml:2:11: this is not a file name; allowed are names and patterns such as teams/*.yaml",
        "gateway.yaml:2:11: this is not text; allowed is text",
    ]


def test_a_name_may_hold_a_variable(write: Callable[..., Path]) -> None:
    path = write(
        BASE.replace("models.yaml", "${env:WHICH:-models}.yaml"), models=MODELS, other=MODELS.replace("4o", "5")
    )
    assert list(load_config(path, env={}).root.models) == ["gpt-4o"]
    assert list(load_config(path, env={"WHICH": "other"}).root.models) == ["gpt-5"]


def test_versions_must_agree(complaints_of: Complaints) -> None:
    assert complaints_of(BASE, models=MODELS + "version: 2\n") == [
        "models.yaml:2:1: 'version' is already written at gateway.yaml:1:1; allowed is each name once"
    ]
