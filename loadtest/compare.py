"""Measures gateways side by side in one run: ours, peers that are installed, and nginx's reverse proxy as the limit.

Every gateway and nginx share one core, the upstream and the load another (where there are two). Runs alternate, so that
what else the machine does hits all alike; medians count, and each run's rate is divided by nginx's of the same round.
Unary load comes from wrk, and the upstream is nginx with a fixed answer, where they are installed: both cost less than
any gateway. Streams, and machines without them, use the mock provider and the generator of this package.
"""

import asyncio
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from loadtest.generator import LoadError, LoadScenario, Run
from loadtest.generator.scenario import RequestMix, Stage
from loadtest.machine import Started, cpu_seconds, first_answer, free_port, pinned, start, wait_for, which_cores
from loadtest.peers import KEY, Launch, Peer, all_peers
from loadtest.units import Seconds, Size

_ROOT = Path(__file__).resolve().parent.parent  # so that an uninstalled checkout works
_PROMPT = 900
_TOKENS = 100
_STREAM_SCENARIO = f"version: 1\ndefaults: {{gap: 5ms, output: {{tokens: {_TOKENS}}}}}\n"
_NGINX = """worker_processes 1; daemon off; pid {dir}/{name}.pid; error_log {dir}/{name}.err;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 600s; client_body_buffer_size 64k;
client_body_temp_path {dir}/{name}-b; proxy_temp_path {dir}/{name}-p; fastcgi_temp_path {dir}/{name}-f;
uwsgi_temp_path {dir}/{name}-u; scgi_temp_path {dir}/{name}-s; {server} }}
"""
_WRK = """function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. args[1]
  for i = 3, #args, 2 do wrk.headers[args[i]] = args[i + 1] end
  wrk.body = args[2]
end
"""


class CompareError(Exception):
    """A comparison that cannot start; the message is for the person at the terminal."""


class Settings(msgspec.Struct, frozen=True):
    """What to compare, and how long."""

    names: list[str]
    seconds: int = 4
    runs: int = 3
    concurrency: int = 32
    stream: bool = False


class Measure(msgspec.Struct, frozen=True):
    """One run: requests (events, for streams) a second, CPU µs for each, latency (TTFT) in milliseconds."""

    rate: float
    cpu_us: float | None
    p50_ms: float | None
    p99_ms: float | None


class Row(msgspec.Struct):
    """A gateway's medians."""

    name: str
    rate: float | None
    ratio_to_nginx: float | None
    cpu_us: float | None
    p50_ms: float | None
    p99_ms: float | None
    runs: list[Measure] = []


class Comparison(msgspec.Struct):
    """The result. `load` and `upstream` say with what it was measured; `missing` is name → how to install."""

    stream: bool
    load: str
    upstream: str
    pinned: bool
    rows: list[Row]
    missing: dict[str, str]
    notes: list[str]

    def json(self) -> bytes:
        """The comparison as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


class _Target(msgspec.Struct):
    name: str
    port: int
    launch: Launch
    started: Started
    runs: list[Measure]


def compare_all(settings: Settings, say: Callable[[str], None]) -> Comparison:
    """Start what is installed, measure, stop everything. Raises CompareError for names that are not known."""
    peers = {peer.name: peer for peer in all_peers()}
    unknown = [name for name in settings.names if name not in peers and name != "nginx"]
    if unknown:
        raise CompareError(f"no such gateway: {', '.join(unknown)}; known are: {', '.join(peers)}")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tollway-compare-")))
        return _Bench(settings, directory, stack, say).run([peers[n] for n in settings.names if n in peers])


class _Bench:
    """One comparison's processes and numbers."""

    def __init__(self, settings: Settings, directory: Path, stack: ExitStack, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._dir = directory
        self._stack = stack
        self._say = say
        self._gateway_core, self._load_core = which_cores()
        self._nginx = shutil.which("nginx")
        self._wrk = None if settings.stream else shutil.which("wrk")
        self._why: dict[str, str] = {}
        self._model = "bench-sse" if settings.stream else "bench-json"
        self._body = msgspec.json.encode(
            {"model": self._model, "messages": [{"role": "user", "content": "x" * _PROMPT}], "max_tokens": _TOKENS}
        ).decode()
        # nginx's workers change user where it is started by root: they must reach the directory.
        directory.chmod(0o755)

    def run(self, peers: list[Peer]) -> Comparison:
        fixed = self._nginx is not None and not self._settings.stream
        upstream = self._start_upstream(fixed)
        notes: list[str] = []
        targets = [target for peer in peers if (target := self._start_peer(peer, upstream, notes)) is not None]
        baseline = self._start_baseline(upstream)
        if baseline is None:
            notes.append("nginx is not installed (apt-get install nginx-light): no ratios.")
        if self._wrk is None and not self._settings.stream:
            notes.append("wrk is not installed (apt-get install wrk): the generator may limit fast gateways.")
        missing = {peer.name: peer.install for peer in peers if peer.find() is None}
        notes += [f"{name} is not installed: {install}" for name, install in missing.items()]
        everyone = targets + ([baseline] if baseline is not None else [])
        for target in list(everyone):
            if self._probe(target) or self._measure(target, 1) is None:
                reason = self._why.get(target.name, "nothing came")
                notes.append(
                    f"{target.name}: left out, its trial run failed: {reason}; log: {target.started.last_words()}"
                )
                everyone.remove(target)
        for round_ in range(self._settings.runs):
            for target in everyone:
                self._say(f"round {round_ + 1} of {self._settings.runs}: {target.name}")
                measured = self._measure(target, self._settings.seconds)
                target.runs.append(measured or Measure(0.0, None, None, None))
        return Comparison(
            stream=self._settings.stream,
            load="wrk" if self._wrk else "loadtest",
            upstream="nginx with a fixed answer" if fixed else "loadtest.mock",
            pinned=self._gateway_core is not None,
            rows=[_row(target, baseline) for target in everyone],
            missing=missing,
            notes=notes,
        )

    def _start_upstream(self, fixed: bool) -> str:
        port = free_port()
        if fixed and self._nginx is not None:
            answer = _ANSWER.replace("'", "")
            server = (
                f"server {{ listen 127.0.0.1:{port} backlog=4096; "
                f"location / {{ default_type application/json; return 200 '{answer}'; }} }}"
            )
            self._spawn(self._nginx_command("upstream", server), self._load_core, "upstream")
        else:
            scenario = self._dir / "scenario.yaml"
            scenario.write_text(_STREAM_SCENARIO if self._settings.stream else "version: 1\n", encoding="utf-8")
            self._spawn(mock_command(port, scenario), self._load_core, "upstream", {"PYTHONPATH": str(_ROOT)})
        if not wait_for(f"http://127.0.0.1:{port}/healthz", 15):
            raise CompareError("the upstream did not start")
        return f"http://127.0.0.1:{port}"

    def _start_baseline(self, upstream: str) -> _Target | None:
        if self._nginx is None:
            return None
        port = free_port()
        address = upstream.removeprefix("http://")
        server = (
            f"upstream up {{ server {address}; keepalive 256; keepalive_requests 100000000; }} "
            f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://up; "
            'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } }'
        )
        started = self._spawn(self._nginx_command("baseline", server), self._gateway_core, "nginx")
        if not wait_for(f"http://127.0.0.1:{port}/healthz", 15):
            raise CompareError("nginx did not start")
        return _Target("nginx", port, Launch([]), started, [])

    def _start_peer(self, peer: Peer, upstream: str, notes: list[str]) -> _Target | None:
        program = peer.find()
        if program is None:
            return None
        port = free_port()
        directory = self._dir / peer.name
        directory.mkdir()
        launch = peer.launch(program, directory, port, upstream)
        self._say(f"starting {peer.name}")
        started = self._spawn(launch.command, self._gateway_core, peer.name, launch.environment)
        if not wait_for(f"http://127.0.0.1:{port}{peer.ready}", 90, started):
            notes.append(f"{peer.name}: did not become ready; its last words: {started.last_words()}")
            return None
        return _Target(peer.name, port, launch, started, [])

    def _probe(self, target: _Target) -> str:
        """One request before anything is measured: some gateways load half of themselves on the first."""
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **target.launch.headers}
        url = f"http://127.0.0.1:{target.port}/v1/chat/completions"
        wrong = first_answer(url, self._body.encode(), headers, 60)
        if wrong:
            self._why[target.name] = wrong
        return wrong

    def _measure(self, target: _Target, seconds: int) -> Measure | None:
        before = cpu_seconds(target.started.process.pid)
        if self._wrk is not None:
            measured = self._with_wrk(self._wrk, target, seconds)
        else:
            measured = self._with_generator(target, seconds)
        after = cpu_seconds(target.started.process.pid)
        if measured is None or before is None or after is None:
            return measured
        return msgspec.structs.replace(measured, cpu_us=(after - before) / (measured.rate * seconds) * 1e6)

    def _with_wrk(self, wrk: str, target: _Target, seconds: int) -> Measure | None:
        script = self._dir / "chat.lua"
        script.write_text(_WRK, encoding="utf-8")
        pairs = [part for pair in target.launch.headers.items() for part in pair]
        url = f"http://127.0.0.1:{target.port}/v1/chat/completions"
        command = [
            wrk,
            "-t1",
            f"-c{self._settings.concurrency}",
            f"-d{seconds}s",
            "--timeout",
            "30s",
            "--latency",
            "-s",
            str(script),
            url,
        ]
        with pinned(self._load_core):
            ended = subprocess.run(  # noqa: S603 - our own arguments
                [*command, "--", KEY, self._body, *pairs], capture_output=True, text=True, check=False
            )
        measured = parse_wrk(ended.stdout)
        if measured is None:
            self._why[target.name] = " ".join((ended.stdout + ended.stderr).split())[-200:]
        return measured

    def _with_generator(self, target: _Target, seconds: int) -> Measure | None:
        stream = self._settings.stream
        size = Size(_PROMPT)
        mix = RequestMix(
            model=self._model,
            stream=stream,
            prompt_bytes=(size, size),
            max_tokens=_TOKENS,
            headers=target.launch.headers,
        )
        stage = Stage(duration=Seconds(seconds), concurrency=self._settings.concurrency, request=mix)
        scenario = LoadScenario(stages=[stage], name="compare")
        with pinned(self._load_core):
            try:
                result = asyncio.run(Run(scenario, f"http://127.0.0.1:{target.port}/v1", [KEY]).run()).stages[0]
            except LoadError as error:
                self._why[target.name] = str(error)
                return None
        if not result.ok or result.failed:
            self._why[target.name] = f"{result.ok} correct answers, errors {result.errors}"
            return None
        shown = result.ttft_ms if stream else result.latency_ms
        return Measure(result.events_per_s if stream else result.rps, None, shown.p50, shown.p99)

    def _nginx_command(self, name: str, server: str) -> list[str]:
        conf = self._dir / f"{name}.conf"
        conf.write_text(_NGINX.format(dir=self._dir, name=name, server=server), encoding="utf-8")
        return [self._nginx or "nginx", "-e", str(self._dir / f"{name}.start"), "-c", str(conf)]

    def _spawn(
        self, command: list[str], core: int | None, name: str, environment: dict[str, str] | None = None
    ) -> Started:
        with pinned(core):
            return self._stack.enter_context(start(command, self._dir / f"{name}.log", environment or {}))


def mock_command(port: int, scenario: Path) -> list[str]:
    """The command that starts the mock provider as a process."""
    return [sys.executable, "-m", "loadtest.mock", "--port", str(port), "--scenario", str(scenario)]


def parse_wrk(text: str) -> Measure | None:
    """What wrk printed; None if a request failed, so that a broken gateway is not praised for its speed."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if rate is None or re.search(r"Non-2xx or 3xx responses|Socket errors", text) or float(rate[1]) == 0:
        return None

    def millis(percent: int) -> float | None:
        found = re.search(rf"\s{percent}%\s+([\d.]+)(us|ms|s)\s", text)
        return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]] if found else None

    return Measure(float(rate[1]), None, millis(50), millis(99))


def _row(target: _Target, baseline: _Target | None) -> Row:
    ratio = None
    if baseline is not None and baseline.runs:
        pairs = zip(target.runs, baseline.runs, strict=False)
        ratio = round(statistics.median(run.rate / limit.rate if limit.rate else 0.0 for run, limit in pairs), 4)

    def median(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return round(statistics.median(known), 3) if known else None

    return Row(
        name=target.name,
        rate=median([run.rate for run in target.runs]),
        ratio_to_nginx=ratio,
        cpu_us=median([run.cpu_us for run in target.runs]),
        p50_ms=median([run.p50_ms for run in target.runs]),
        p99_ms=median([run.p99_ms for run in target.runs]),
        runs=target.runs,
    )


_ANSWER = msgspec.json.encode(
    {
        "id": "chatcmpl-abc123",
        "object": "chat.completion",
        "created": 1717171717,
        "model": "bench-json",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Lorem ipsum dolor sit amet, consectetur. " * 11},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 225, "completion_tokens": 100, "total_tokens": 325},
    }
).decode()
