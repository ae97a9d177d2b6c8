"""`tollway guardrails`, as a person and as a script meet it."""

import json
import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner, Result

from gateway.cli.guardrails import register
from tests.support.served import tollway

CONFIG = """\
providers: {openai: {dialect: openai, base_url: "https://h/v1"}}
models: {gpt-4o: {targets: [{provider: openai}]}}
prices: off
server: {runtime_dir: "%s/run"}
secrets: {key_hash: server-secret-0123456789}
teams: {search: {guardrails: [mail, own]}, free: {}}
guardrails:
  mail:
    - {detect: pii, entities: [EMAIL_ADDRESS], action: mask, mode: enforce}
  own:
    - {detect: terms, terms: [Acme], type: CUSTOMER, action: block, mode: enforce, teams: [search], message: Not here.}
    - {detect: patterns, patterns: [{name: id, regex: 'C-[0-9]{4}'}], action: redact, mode: shadow}
"""
ROWS = [
    {"text": "write to jane@example.org", "label": "attack", "source": "ours"},
    {"text": "write to nobody", "label": "benign", "source": "ours"},
    {"text": "C-1234 of joe@example.org", "spans": [{"type": "EMAIL_ADDRESS", "start": 10, "end": 25}]},
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "gateway.yaml").write_text(CONFIG % tmp_path)
    return tmp_path / "gateway.yaml"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return tmp_path / "corpus.jsonl"


def run(*arguments: object, text: str = "") -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return CliRunner().invoke(app, ["guardrails", *map(str, arguments)], input=text, env={"COLUMNS": "100"})


def test_what_a_text_meets_and_why(config: Path) -> None:
    done = run("test", "-c", config, "-p", "mail", "-p", "own", "C-1234 of jane@example.org")
    assert done.exit_code == 0, done.output
    assert "policy mail, own, request, role user: mask" in done.stdout
    assert "EMAIL_ADDRESS “jane@example.org”, 10-26: acted on" in done.stdout
    assert "pii.email_address.1 (list), score 1.00 ≥ 0.40\n    mail.pii.1: mask, enforce; digest " in done.stdout
    assert "ID “C-1234”, 0-6: recorded only" in done.stdout
    assert "passes on as: C-1234 of <EMAIL_ADDRESS>" in done.stdout


def test_as_a_script_meets_it(config: Path) -> None:
    done = run("test", "--json", "-c", config, "--team", "search", "-", text="jane@example.org of Acme")
    found = json.loads(done.stdout)
    assert (found["policies"], found["direction"], found["role"]) == (["mail", "own"], "request", "user")
    assert [match["type"] for match in found["matches"]] == ["EMAIL_ADDRESS", "CUSTOMER"]
    assert (found["verdict"]["enforced"], found["verdict"]["message"], found["text"]) == ("block", "Not here.", None)
    mail = found["matches"][0]
    again = json.loads(run("test", "--json", "-c", config, "-p", "mail", "JANE@example.org").stdout)
    assert again["matches"][0]["digest"] == mail["digest"]
    shown = run("test", "-c", config, "--team", "search", "Acme").stdout
    assert "the text does not pass" in shown
    assert "error instead: Not here." in shown


def test_without_a_policy_the_built_in_detectors_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("test", "to jane@example.org")
    assert done.exit_code == 0, done.output
    assert "passes on as: to <EMAIL_ADDRESS>" in done.stdout
    faint = run("test", "hello").stdout
    assert "nothing was found" in faint
    assert "--all shows all" in faint
    assert "safety.hate (model)" in run("test", "--all", "hello").stdout


def test_the_json_that_scripts_rely_on(corpus: Path, config: Path) -> None:
    """contract.md: the shape of `tollway guardrails eval --json`."""
    for arguments, names in (
        ((), ["pii", "secrets", "prompt_injection", "moderation"]),
        (("-p", "mail", "-p", "own", "-c", config), ["pii", "terms:own.terms.1", "patterns:own.patterns.2"]),
    ):
        done = run("eval", corpus, "--json", *arguments)
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        assert [name for name in found["detectors"] if name.split(":")[0] in {n.split(":")[0] for n in names}]
        pii = found["detectors"]["pii"]
        assert {"threshold", "by_source", "recall", "false_positive_rate", "latency_us"} <= pii.keys()
        assert pii["by_source"]["ours"] == {
            "attacks": 1, "recall": 1.0, "benign": 1, "false_positive_rate": 0.0,
            "recall_interval": pii["by_source"]["ours"]["recall_interval"],
            "false_positive_rate_interval": pii["by_source"]["ours"]["false_positive_rate_interval"],
        }  # fmt: skip
        assert pii["latency_us"].keys() == {"p50", "p99"}
        mail = found["entities"]["EMAIL_ADDRESS"]
        assert (mail["gold"], mail["recall"], mail["precision"]) == (1, 1.0, 1.0)


def test_a_report_for_people_and_as_a_page(corpus: Path, config: Path, tmp_path: Path) -> None:
    done = run("eval", corpus, "-p", "mail", "-c", config, "--html", tmp_path / "report.html")
    assert done.exit_code == 0, done.output
    assert "pii, from score 0.4" in done.stdout
    assert "100.0 % (20.7–100.0)" in done.stdout
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Entities</h2>" in page
    assert "jane" not in page


def test_what_a_change_would_do(corpus: Path, config: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.yaml"
    text = config.read_text().replace("action: redact, mode: shadow", "action: redact, mode: enforce")
    allowing = "entities: [EMAIL_ADDRESS], allow: {values: [jane@example.org]}"
    new.write_text(text.replace("entities: [EMAIL_ADDRESS]", allowing))
    done = run("diff", config, new, "--corpus", corpus, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["mail"]["no_longer_acted_on"], found["mail"]["newly_acted_on"]) == (1, 0)
    assert found["own"]["newly_acted_on"] == 1
    assert found["own"]["changed"] == [
        {"number": 3, "change": "newly_acted_on", "old": "allow", "new": "redact", "rules": ["own.patterns.1"]}
    ]
    assert found["mail"]["rules"]["mail.pii.1"] == {"old_found": 2, "new_found": 1, "old_acted": 2, "new_acted": 1}
    assert "example.org" not in done.stdout
    shown = run("diff", config, new, "--corpus", corpus, "--show")
    assert "policy mail: 2 of 3 texts are acted on, 1 would be" in shown.stdout
    assert "write to jane@example.org" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["test", "-p", "mial", "-c", "{config}", "a"], 2, "unknown guardrail policy 'mial'; did you mean 'mail'?"),
        (["test", "--team", "serch", "-c", "{config}", "a"], 2, "unknown team 'serch'; did you mean 'search'?"),
        (["test", "--team", "free", "-c", "{config}", "a"], 2, "team 'free' has no guardrails; name a policy"),
        (["test", "--direction", "up", "a"], 2, "--direction 'up' is not known; allowed are request, response"),
        (["test", "--operation", "chat", "a"], 2, "--operation 'chat' is not known; allowed are chat.completions"),
        (["test", "--role", "boss", "a"], 2, "--role 'boss' is not known; allowed are system"),
        (["test", "-p", "p", "-c", "nowhere.yaml", "a"], 2, "nowhere.yaml"),
        (["eval", "nowhere.jsonl"], 1, "nowhere.jsonl cannot be read: No such file"),
        (["eval", "{config}"], 1, "gateway.yaml: line 1: JSON is malformed"),
        (["eval", "{empty}"], 1, "holds no rows"),
        (["diff", "{config}", "{config}", "--corpus", "{empty}", "-p", "x"], 2, "unknown guardrail policy 'x'"),
        (["diff", "{config}", "{config}", "--corpus", "{empty}"], 1, "empty.jsonl holds no rows"),
        (["diff", "{config}"], 2, "Missing argument"),
    ],
)
def test_wrong_use_and_failure(config: Path, tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    (tmp_path / "empty.jsonl").touch()
    filled = [each.format(config=config, empty=tmp_path / "empty.jsonl") for each in arguments]
    done = run(*filled)
    assert done.exit_code == code, done.output
    assert message in done.stderr


def test_standard_input_that_is_no_text_is_told() -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    done = CliRunner().invoke(app, ["guardrails", "test", "-"], input=b"\x89PNG jane@example.org")
    assert done.exit_code == 0
    assert "standard input is not UTF-8 (byte 1)" in done.stderr
    assert "<EMAIL_ADDRESS>" in done.stdout


def test_help_stands_alone() -> None:
    done = tollway("guardrails", "--help")
    assert done.returncode == 0
    for name in ("test", "eval", "diff"):
        assert name in done.stdout
        assert "tollway guardrails" in run(name, "--help").stdout


def test_a_configuration_that_is_named_and_not_used_is_told(corpus: Path, config: Path, tmp_path: Path) -> None:
    """Without --policy every built-in detector looks; who named a file may think that its policies did."""
    for command in (("test", "mail me"), ("eval", corpus)):
        told = run(*command, "--config", config)
        assert told.exit_code == 0
        assert f"no policy of {config}" in " ".join(told.stderr.split())
        assert "no policy of" not in run(*command, "--config", config, "-p", "mail").stderr
        assert run(*command, "--config", tmp_path / "none.yaml").exit_code == 2


SHOWN = re.compile(r"tollway guardrails ([a-z]+)([^`]*)")


def test_every_command_that_a_page_shows_is_there() -> None:
    """With the options it is shown with; `tollway guardrails NAME`, one or two lines long, in words and in blocks."""
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    commands = get_command(app).commands["guardrails"].commands  # type: ignore[attr-defined]
    root = Path(__file__).parents[3]
    seen: set[str] = set()
    for page in (*root.glob("docs/*.md"), root / "README.md", root / "config/gateway.yaml"):
        for line in re.findall(r"`([^`]*)`|^\$ (.*)$", page.read_text("utf-8"), re.MULTILINE):
            for name, rest in SHOWN.findall(" ".join(line)):
                assert name in commands, (page.name, name)
                known = {option for parameter in commands[name].params for option in parameter.opts}
                assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest)) <= known, (page.name, name, rest)
                seen.add(name)
    assert seen == set(commands)


def test_a_type_of_spans_that_is_not_known_is_told_with_what_was_meant(config: Path, tmp_path: Path) -> None:
    """It would be a recall of 0 without a word."""
    file = tmp_path / "slips.jsonl"
    spans = [{"type": name, "start": 0, "end": 4} for name in ("EMIAL_ADDRESS", "PERSON", "Zebra")]
    row = {"text": "jane, or john"}
    lines = [
        {**row, "spans": [{**spans[0], "type": "EMAIL_ADDRESS"}]},
        {**row, "spans": spans},
        {**row, "spans": spans[:1]},
    ]
    file.write_text("\n".join(json.dumps(each) for each in lines))
    for arguments in ((), ("-p", "mail", "-c", config)):
        done = run("eval", file, "--json", *arguments)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["entities"]["EMIAL_ADDRESS"]["recall"] == 0.0
        told = done.stderr.splitlines()
        assert [each.removeprefix(f"{file}: line 2: ") for each in told[:2]] == [
            "span type 'EMIAL_ADDRESS' is not known (2 spans); did you mean 'EMAIL_ADDRESS'?",
            "no detector that is judged here reports PERSON (1 span): its recall is 0",
        ]
        assert "span type 'Zebra' is not known (1 span); known are " in told[2]
        assert len(told) == 3
