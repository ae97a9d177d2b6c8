"""`tollway` itself: what it lists, how it ends, and that it starts fast."""

import json
import re
import subprocess
import sys

import pytest

from gateway import __version__
from gateway.cli.main import COMMANDS, flow


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)


def test_version_is_the_package_s() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"tollway {__version__}\n")


def test_help_lists_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    listed = re.findall(r"^\W*([a-z][a-z-]*)  ", done.stdout.split("Commands")[1], re.MULTILINE)
    assert set(COMMANDS) <= set(listed)


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[int, str]]:
    """Exit code and output of `tollway NAME --help`, for every name: of one process, for each takes half a second."""
    script = (
        "import contextlib, io, json, sys\n"
        "from gateway.cli.main import COMMANDS, app, main\n"
        "said = {}\n"
        "for name in COMMANDS:\n"
        "    sys.argv, out = ['tollway', name, '--help'], io.StringIO()\n"
        "    try:\n"
        "        with contextlib.redirect_stdout(out): app() if said else main()\n"
        "    except SystemExit as end: said[name] = (end.code, out.getvalue())\n"
        "print(json.dumps(said))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_stands_alone(helps: dict[str, tuple[int, str]], name: str) -> None:
    code, shown = helps[name]
    assert code == 0
    assert f"Usage: tollway {name} " in shown
    assert len(shown.splitlines()) > 5


def test_wrong_use_ends_with_two() -> None:
    for arguments in ([], ["no-such-command"], ["serve", "--no-such-option"]):
        done = run(*arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr


def test_a_command_line_loads_no_more_than_it_needs() -> None:
    """What is slow to import is imported by the command that needs it."""
    script = (
        "import sys, gateway.cli.main as m; sys.argv = ['tollway', '--version']\n"
        "try: m.main()\n"
        "finally: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    slow = {
        "sqlalchemy",
        "alembic",
        "uvicorn",
        "httpx",
        "openai",
        "anthropic",
        "tiktoken",
        "genai_prices",
        "pyarrow",
        "starlette",
    }
    assert slow & set(done.stdout.split()) == set()


def test_help_breaks_where_the_terminal_ends() -> None:
    """Lines of a paragraph flow together; examples stand as they are written."""
    written = "Do it.\n\nOne\ntwo.\n\n  tollway a\n  tollway b\n\n\b\ntollway c\ntollway d"
    assert flow(written) == "Do it.\n\nOne two.\n\n  tollway a\n  tollway b\n\ntollway c\ntollway d"
    done = run("check", "--help")
    assert "prints every problem as file:line:column" in " ".join(done.stdout.split())
    assert not [line for line in done.stdout.splitlines() if line.strip() == "problem as"]
