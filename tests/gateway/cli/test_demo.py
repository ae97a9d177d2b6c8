"""`tollway demo`, as a user runs it: a process, its output and its exit code."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time

import httpx

COMMAND = [sys.executable, "-m", "gateway.cli.main", "demo"]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)


def read_until(process: subprocess.Popen[bytes], wanted: bytes, seconds: float = 120.0) -> str:
    """Output up to and including `wanted`; fails with what came when it does not come."""
    assert process.stdout is not None
    got = b""
    end = time.monotonic() + seconds
    while wanted not in got:
        ready, _, _ = select.select([process.stdout], [], [], max(end - time.monotonic(), 0))
        piece = os.read(process.stdout.fileno(), 65536) if ready else b""
        assert piece, f"no {wanted!r} in {got.decode()}"
        got += piece
    return got.decode()


def test_once_shows_traffic_refusals_and_books_that_agree() -> None:
    done = run("--once", "--port", "0")
    shown = done.stdout
    assert done.returncode == 0, shown + done.stderr
    for team in ("search", "support", "research"):
        assert re.search(rf"^  {team} .* 200 .*\d+ → \d+ ", shown, re.MULTILINE), team
    for call in ("chat,", "chat streamed,", "chat with personal data,", "chat with a tool,",
                 "structured output,", "embeddings,", "responses,",
                 "messages,", "messages streamed,"):  # fmt: skip
        assert re.search(rf"^  \w+ +{call} .* 200 ", shown, re.MULTILINE), call
    for what, status in (("a wrong key", 401), ("does not exist", 404), ("may not use", 403),
                         ("beyond the budget", 402), ("max_body", 413)):  # fmt: skip
        assert re.search(rf"{what} +{status} ", shown), what
    assert "request=mask:CREDIT_CARD+EMAIL_ADDRESS" in shown
    assert "Did you mean 'gpt-4o-mini'" in " ".join(shown.split()), "the nearest name is shown"
    lines = [line for line in shown.splitlines() if "▸" not in line]
    assert max(map(len, lines)) <= 80, "it is read in a terminal of 80 columns"
    assert "Try it" not in shown, "nothing serves any more"
    assert re.search(r"The mock provider says 9 requests, [\d,]+ tokens: the books agree\.", shown)
    assert "\x1b[" not in shown, "plain text when it is not a terminal"


def test_serves_until_ctrl_c_and_leaves_nothing() -> None:
    # Who runs the tests in the background has SIGINT ignored, and children inherit that.
    with subprocess.Popen(
        [*COMMAND, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            shown = read_until(process, b"Serving until Ctrl-C")
            url = re.search(r"gateway +(http://\S+)", shown)[1]
            with httpx.Client(trust_env=False) as client:
                assert client.get(f"{url}/readyz").status_code == 200
                process.send_signal(signal.SIGINT)
                assert process.wait(120) == 0
                port = int(url.rsplit(":", 1)[1])
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0
        finally:
            process.kill()


def test_a_gateway_that_does_not_start_is_shown_with_its_log() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("--once", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "The demo failed" in done.stdout
    assert "cannot listen" in done.stdout


def test_says_what_to_install_when_the_sdks_are_missing() -> None:
    script = (
        "import sys; sys.modules['openai'] = None; sys.argv = ['tollway', 'demo']\n"
        "from gateway.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=180)
    assert done.returncode == 1
    assert "pip install 'tollway[demo]'" in done.stdout


def test_wrong_use_is_two() -> None:
    done = run("--port", "70000")
    assert done.returncode == 2
