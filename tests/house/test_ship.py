"""What ships is what the repository says: image, compose file, locks, make's targets, licence."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.prometheus import promtool

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
WITHOUT_HEALTHCHECK = {"otel-collector"}
"""Its image holds no program that could ask."""
PASSWORDS = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$")


def dockerfile() -> list[tuple[str, str]]:
    """Instructions in order: name and the rest, continued lines joined."""
    lines = (line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not line.startswith("#"))
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (word.upper(), rest.strip()) for word, _, rest in (x.partition(" ") for x in text.splitlines() if x.strip())
    ]


def final_stage() -> list[tuple[str, str]]:
    found = dockerfile()
    last = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    return found[last:]


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def pins(lock: str) -> dict[str, Requirement]:
    lines = (line.split("#")[0].strip() for line in (ROOT / lock).read_text("utf-8").splitlines())
    return {canonicalize_name((found := Requirement(line)).name): found for line in lines if line}


def test_image_is_built_in_stages() -> None:
    froms = [rest for word, rest in dockerfile() if word == "FROM"]
    assert len(froms) >= 2
    assert re.search(r" AS \w+$", froms[0], re.IGNORECASE)


def test_image_runs_as_a_number_that_is_not_root() -> None:
    users = [rest for word, rest in final_stage() if word == "USER"]
    assert users
    assert re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1])


def test_final_stage_installs_nothing() -> None:
    runs = " ".join(rest for word, rest in final_stage() if word == "RUN")
    assert not re.search(r"\b(pip|apt-get|apt|gcc|make|curl|wget)\b", runs)


def test_image_says_whether_it_is_healthy_with_what_it_has() -> None:
    checks = [rest for word, rest in final_stage() if word == "HEALTHCHECK"]
    assert len(checks) == 1
    assert '"python", "-c"' in checks[0]
    assert "/healthz" in checks[0]


def test_image_serves_with_the_configuration_that_is_mounted() -> None:
    said = dict(final_stage())
    assert yaml.safe_load(said["ENTRYPOINT"]) == ["tollway"]
    assert yaml.safe_load(said["CMD"])[:3] == ["serve", "--config", "/etc/tollway/gateway.yaml"]
    assert said["VOLUME"].endswith("/var")


def test_what_the_image_copies_is_there_and_sent() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    for word, rest in dockerfile():
        if word in {"COPY", "ADD"} and "--from=" not in rest:
            *names, _target = [part for part in rest.split() if not part.startswith("--")]
            assert [name for name in names if not (ROOT / name).exists()] == []
            assert set(names) <= sent


def test_image_holds_every_package_of_ours() -> None:
    copied = {rest.split()[0] for word, rest in dockerfile() if word == "COPY"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert wanted <= copied


def test_compose_starts_gateway_and_database_unless_asked_for_more() -> None:
    services = compose()["services"]
    assert {name for name, service in services.items() if not service.get("profiles")} == {"gateway", "postgres"}
    assert services.keys() >= {"mock", "redis", "prometheus", "grafana", "otel-collector"}
    assert {n for n, s in services.items() if "observability" in s.get("profiles", [])} == {
        "prometheus",
        "alertmanager",
        "grafana",
        "otel-collector",
    }


def test_every_compose_service_has_a_healthcheck() -> None:
    services = compose()["services"]
    without = {name for name, service in services.items() if not service.get("healthcheck")}
    assert without == WITHOUT_HEALTHCHECK


def test_compose_has_no_default_password() -> None:
    for service in compose()["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if PASSWORDS.search(name):
                assert re.fullmatch(r"\$\{\w+(:\?[^}]+|:-)\}", str(value)), f"{name} must come from outside"
            for password in re.findall(r"://\w+:([^@]*)@", str(value)):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", password), f"{name} holds a password"


def test_compose_publishes_to_loopback_unless_told_otherwise() -> None:
    for name, service in compose()["services"].items():
        for port in service.get("ports", []):
            assert re.match(r"127\.0\.0\.1:|\$\{\w+:-127\.0\.0\.1\}:", port), f"{name}: {port}"


def test_every_image_of_compose_has_a_version() -> None:
    images = [service["image"] for service in compose()["services"].values()]
    assert [image for image in images if not re.search(r":[\w.-]+$", image) or image.endswith(":latest")] == []


def test_files_that_compose_mounts_are_there() -> None:
    for service in compose()["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), source
            assert source.startswith(".") or source in compose()["volumes"], source


def test_every_variable_that_compose_needs_is_in_the_example() -> None:
    needed = set(re.findall(r"\$\{(\w+):\?", (ROOT / "compose.yaml").read_text("utf-8")))
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    given = {line.partition("=")[0]: line.partition("=")[2] for line in lines if not line.startswith("#")}
    assert needed <= given.keys()
    assert set(given.values()) == {""}


@pytest.mark.parametrize("path", sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "config").rglob("*.y*ml")))
def test_every_yaml_of_config_can_be_read(path: str) -> None:
    assert isinstance(yaml.safe_load((ROOT / path).read_text("utf-8")), dict)


def test_the_gateway_accepts_the_configuration_of_compose() -> None:
    from gateway.settings.load import load_config

    environment = {
        "TOLLWAY_SECRET": "sixteen bytes or more",
        "TOLLWAY_DATABASE_URL": "postgresql://tollway:made-up@postgres:5432/tollway",
    }
    written = load_config(ROOT / "config/compose/gateway.yaml", env=environment)
    assert written.root.providers.keys() == {"openai", "anthropic", "mock"}
    given = compose()["services"]["gateway"]["environment"].keys()
    asked = re.findall(r"\$\{env:(\w+)", (ROOT / "config/compose/gateway.yaml").read_text("utf-8"))
    assert set(asked) <= given


def test_collector_pipelines_name_what_is_defined() -> None:
    written = yaml.safe_load((ROOT / "config/otel-collector.yaml").read_text("utf-8"))
    for pipeline in written["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= written[kind].keys()


def test_prometheus_takes_the_configuration_and_the_rules_of_compose() -> None:
    """Relative paths lead to the same files in the repository and in the container."""
    done = promtool("check", "config", ROOT / "config/prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tollway-slo.yaml" in done.stdout
    mounts = compose()["services"]["prometheus"]["volumes"]
    assert "./config/prometheus:/etc/prometheus/prometheus:ro" in mounts


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_every_package_to_one_version(lock: str) -> None:
    for name, pin in pins(lock).items():
        assert re.fullmatch(r"==[\w.+!]+", str(pin.specifier)), name


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_says_nothing_of_where_packages_come_from(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert not re.search(r"^\s*-|--(extra-)?index-url|find-links|trusted-host|https?:|file:| @ ", text, re.MULTILINE)


def test_locks_agree() -> None:
    runtime, dev = pins(LOCKS[0]), pins(LOCKS[1])
    assert {name: str(pin) for name, pin in runtime.items()} == {name: str(dev[name]) for name in runtime}


@pytest.mark.parametrize(("lock", "extras"), [(LOCKS[0], ["postgres", "parquet", "demo"]), (LOCKS[1], ["dev"])])
def test_lock_holds_what_the_project_asks_for(lock: str, extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    pinned = pins(lock)
    for text in asked:
        wanted = Requirement(text)
        pin = pinned.get(canonicalize_name(wanted.name))
        assert pin is not None, f"{wanted.name} is not in {lock}: run `make lock`"
        version = str(pin.specifier).removeprefix("==")
        assert wanted.specifier.contains(version, prereleases=True), f"{text} is not {version}: run `make lock`"


def test_make_lists_its_targets() -> None:
    shown = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)[1].split())
    assert targets == set(re.findall(r"^  make ([\w-]+) +\S", shown, re.MULTILINE))
    assert targets >= {"install", "demo", "test", "check", "fuzz", "bench", "loadtest", "lock", "clean", "help"}


@pytest.mark.parametrize("script", ["install", "system-packages", "lock", "bench", "loadtest"])
def test_tools_are_programs_a_plain_shell_can_read(script: str) -> None:
    path = ROOT / "tools" / script
    assert os.access(path, os.X_OK)
    subprocess.run(["sh", "-n", path], check=True)


def test_install_says_what_is_wrong_with_an_old_python(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$1" in --version) echo "Python 3.9.2";; *) exit 1;; esac\n', encoding="utf-8")
    old.chmod(0o755)
    done = subprocess.run(
        [ROOT / "tools/install", ROOT / "requirements.lock"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(old)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "3.11 or newer" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert not (tmp_path / ".venv").exists()


def choose(place: Path, **paces: int) -> str:
    """What `tools/install` chooses where `python3` (of 3.12) and the system's interpreters run the fixed piece of work
    in so many microseconds. Its functions are run as they are, on programs that play interpreters."""

    def play(path: Path, pace: int, venvs: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"""#!/bin/sh
case "$2" in *timeit*) echo {pace};; *ensurepip*) exit {0 if venvs else 1};; *'print("%d.%d"'*) echo 3.12;; esac
""",
            encoding="utf-8",
        )
        path.chmod(0o755)

    for name, pace in paces.items():
        path = place / {"python3": "path/python3", "system": "usr/bin/python3.12", "local": "local/python3.12"}[name]
        play(path, abs(pace), pace > 0)
    (place / "path/id").write_text("#!/bin/sh\necho 1000\n", encoding="utf-8")
    (place / "path/id").chmod(0o755)
    script = (ROOT / "tools/install").read_text("utf-8")
    functions = script[: script.index('if ! "$venv/bin/python"')].replace("lock=$1\n", "")
    functions = functions.replace("/usr/bin/python$", f"{place}/usr/bin/python$")
    functions = functions.replace("/usr/local/bin/python$", f"{place}/local/python$")
    done = subprocess.run(
        ["sh", "-c", functions + "find_python"],
        env={"PATH": f"{place}/path:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().removeprefix(f"{place}/")


@pytest.mark.parametrize(
    ("paces", "chosen"),
    [
        ({"python3": 1000}, "python3"),
        ({"python3": 1000, "system": 900}, "usr/bin/python3.12"),
        ({"python3": 1000, "system": 930}, "python3"),
        ({"python3": 1000, "system": 1200}, "python3"),
        ({"python3": 1000, "system": -500}, "python3"),
        ({"python3": 1200, "system": 1000, "local": 800}, "local/python3.12"),
        ({"python3": 1200, "system": 800, "local": 790}, "usr/bin/python3.12"),
    ],
)
def test_install_takes_the_systems_python_where_it_is_clearly_faster(
    tmp_path: Path, paces: dict[str, int], chosen: str
) -> None:
    """ "the system's own of the same version if that runs Python clearly faster" (a twelfth), and can make environments
    (a negative pace here: it cannot, and nobody may install what it lacks)."""
    assert choose(tmp_path, **paces) == chosen


def test_ci_checks_then_tests() -> None:
    text = (ROOT / ".ci/run").read_text("utf-8")
    assert re.findall(r"^make (\w+)$", text, re.MULTILINE) == ["check", "test"]
    assert "set -euo pipefail" in text
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_licence_is_apache() -> None:
    assert (ROOT / "LICENSE").read_text("utf-8").split()[:4] == ["Apache", "License", "Version", "2.0,"]


def test_the_running_python_is_one_we_support() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert Requirement(f"x{project['requires-python']}").specifier.contains(".".join(map(str, sys.version_info[:3])))


def test_every_decision_is_in_the_index_and_numbered_without_gaps() -> None:
    folder = ROOT / "docs/decisions"
    index = (folder / "README.md").read_text("utf-8")
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [name[:4] for name in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    assert re.findall(r"^\| \[(\d{4})\]\((\S+)\) \|", index, re.MULTILINE) == [(name[:4], name) for name in records]
    for name in records:
        text = (folder / name).read_text("utf-8")
        title = re.search(rf"^\| \[{name[:4]}\]\(\S+\) \| (.+) \|$", index, re.MULTILINE)[1]
        assert text.startswith(f"# {int(name[:4])}. {title}\n")
        assert "\n## Context\n" in text
        assert "\n## Decision\n" in text


def test_pages_link_to_what_is_there() -> None:
    """Relative links of our Markdown lead to a file, and their anchors to a heading."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken: list[str] = []
    for page in pages:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!https?://|mailto:)([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            found = (page.parent / path).resolve() if path else page
            if not found.exists() or (anchor and anchor not in anchors(found)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Names that headings of a page get: lower case, no punctuation, `-` for spaces."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_passwords_of_compose_are_never_committed() -> None:
    subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=ROOT, check=True)


def test_missing_system_packages_are_named_when_we_cannot_install_them(tmp_path: Path) -> None:
    somebody = tmp_path / "id"
    somebody.write_text("#!/bin/sh\necho 1000\n", encoding="utf-8")
    somebody.chmod(0o755)
    done = subprocess.run(
        [ROOT / "tools/system-packages", "a-package-that-is-not", "another-one"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "a-package-that-is-not another-one" in done.stderr


def test_deploy_names_the_alerts_that_are_shipped() -> None:
    """Those of the machinery, all and in the column of their severity."""
    page = (ROOT / "docs/deploy.md").read_text("utf-8").split("## Watch")[1]
    rows = [row.strip("|").split("|") for row in page.splitlines() if row.startswith("|")][2:]
    shipped = yaml.safe_load((ROOT / "config/prometheus/tollway-alerts.yaml").read_text("utf-8"))
    for column, severity in enumerate(("page", "ticket")):
        told = set(re.findall(r"`(Tollway\w+)`", " ".join(row[column] for row in rows)))
        told = {name for name in told if not name.endswith("Burn")}
        rules = [rule for group in shipped["groups"] for rule in group["rules"]]
        assert told == {rule["alert"] for rule in rules if rule["labels"]["severity"] == severity}


def test_what_training_learns_from_is_locked_or_named() -> None:
    """Who trains is told beforehand what to install: `tools/train_injection.py`'s own words name what no lock has."""
    tree = ast.parse((ROOT / "tools/injection/corpus.py").read_text("utf-8"))
    lists = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LIBRARIES"
    ]
    (libraries,) = map(ast.literal_eval, lists)
    locked = set(re.findall(r"^([\w.-]+)(?:\[.*\])?==", (ROOT / "requirements-dev.lock").read_text("utf-8"), re.M))
    given = {
        name
        for name, made_by in packages_distributions().items()
        if locked.intersection(map(canonicalize_name, made_by))
    }
    said = ast.get_docstring(ast.parse((ROOT / "tools/train_injection.py").read_text("utf-8"))) or ""
    assert [name for name in libraries if name not in given and not re.search(rf"\b{name}\b", said)] == []
