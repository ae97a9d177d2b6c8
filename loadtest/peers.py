"""Recipes: how to start each gateway of the comparison against a given upstream, and how to install it.

Every recipe serves model `bench-json` (unary) or `bench-sse` (streams) from the upstream, checks the key `sk-bench`
where the gateway can, and listens on loopback only. Which recipes were tried, and when, is in docs/loadtest.md.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml

KEY = "sk-bench"
MODELS = ("bench-json", "bench-sse")
_HERE = Path(__file__).resolve().parent


class Launch(msgspec.Struct):
    """A command to start, with additions to the environment, and headers its clients must send."""

    command: list[str]
    environment: dict[str, str] = {}
    headers: dict[str, str] = {}


class Peer(msgspec.Struct):
    """A gateway of the comparison. `launch(program, directory, port, upstream)`; `upstream` is `http://host:port`."""

    name: str
    program: str
    install: str
    ready: str
    launch: Callable[[str, Path, int, str], Launch]

    def find(self) -> str | None:
        """The installed program: on PATH, beside this Python, or named in `LOADTEST_<NAME>`."""
        named = os.environ.get("LOADTEST_" + self.name.upper().replace("-", "_"))
        if named:
            return named if Path(named).is_file() else None
        beside = Path(sys.executable).parent / self.program
        return str(beside) if beside.is_file() else shutil.which(self.program)


def all_peers() -> list[Peer]:
    """Everyone, ours first."""
    ours = "pip install tollway"
    return [
        Peer("tollway-bare", "tollway", ours, "/readyz", _tollway("rig-bare.yaml")),
        Peer("tollway-full", "tollway", ours, "/readyz", _tollway("rig.yaml")),
        Peer("litellm", "litellm", "pip install 'litellm[proxy]'", "/health/liveliness", _litellm),
        Peer("portkey", "portkey-gateway", _PORTKEY_INSTALL, "/", _portkey),
        Peer("rolter", "rolter", "pip install rolter", "/healthz", _rolter),
        Peer("ferrogw", "ferrogw", "pip install ferrogw", "/health", _ferrogw),
    ]


# npm calls its program just `gateway`, so it is found by a path of its own.
_PORTKEY_INSTALL = (
    "npm install --prefix DIR @portkey-ai/gateway, then "
    "export LOADTEST_PORTKEY=DIR/node_modules/@portkey-ai/gateway/build/start-server.js"
)


def _tollway(file: str) -> Callable[[str, Path, int, str], Launch]:
    def launch(program: str, directory: Path, port: int, upstream: str) -> Launch:
        tree = cast(dict[str, Any], yaml.safe_load((_HERE / file).read_text(encoding="utf-8")))
        tree["server"] |= {"port": port, "runtime_dir": str(directory / "run")}
        for provider in tree["providers"].values():
            provider["base_url"] = f"{upstream}/v1"
        for key in ("prices", "ledger"):
            # YAML reads `off` as false; the schema wants the word.
            tree[key] = tree[key] or "off"
        if tree["ledger"] != "off":
            tree["ledger"] = {"url": f"sqlite:///{directory / 'ledger.db'}", "journal": str(directory / "journal")}
        config = _write(directory / "tollway.yaml", yaml.safe_dump(tree))
        return Launch([program, "serve", "--config", config])

    return launch


def _litellm(program: str, directory: Path, port: int, upstream: str) -> Launch:
    tree = {
        "model_list": [
            {
                "model_name": model,
                "litellm_params": {"model": f"openai/{model}", "api_base": f"{upstream}/v1", "api_key": "sk-upstream"},
            }
            for model in MODELS
        ],
        "general_settings": {"master_key": KEY},
    }
    config = _write(directory / "litellm.yaml", yaml.safe_dump(tree))
    command = [program, "--config", config, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    # Without the first, its import asks a public host for the price list.
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
    return Launch([*command, "--telemetry", "False"], environment)


def _portkey(program: str, directory: Path, port: int, upstream: str) -> Launch:
    # Routing is by request headers; the open-source gateway has no keys of its own to check.
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{upstream}/v1"}
    start = ["node", program] if program.endswith(".js") else [program]
    return Launch([*start, f"--port={port}", "--headless"], headers=headers)


def _rolter(program: str, directory: Path, port: int, upstream: str) -> Launch:
    routes = "".join(
        f'[[routes]]\nmodel = "{model}"\nstrategy = "round_robin"\n'
        f'[[routes.targets]]\nprovider = "mock"\nmodel = "{model}"\n'
        for model in MODELS
    )
    text = (
        f'[server]\nhost = "127.0.0.1"\nport = {port}\n'
        f'[[providers]]\nname = "mock"\nkind = "openai_compatible"\napi_base = "{upstream}"\n'
        f'{routes}[[virtual_keys]]\nkey = "{KEY}"\nname = "bench"\nmodels = []\n'
    )
    return Launch([program, "gateway", "-c", _write(directory / "rolter.toml", text)], {"RUST_LOG": "warn"})


def _ferrogw(program: str, directory: Path, port: int, upstream: str) -> Launch:
    tree = {"strategy": {"mode": "single"}, "targets": [{"virtual_key": "openai", "models": list(MODELS)}]}
    environment = {
        "GATEWAY_CONFIG": _write(directory / "ferrogw.yaml", yaml.safe_dump(tree)),
        "MASTER_KEY": KEY,
        "OPENAI_API_KEY": "sk-upstream",
        "OPENAI_BASE_URL": f"{upstream}/v1",
        "PORT": str(port),
        "LOG_LEVEL": "error",
        # Its default of 20 requests a second would be all there is to measure.
        "RATE_LIMIT_RPS": "10000000",
        "RATE_LIMIT_BURST": "10000000",
    }
    return Launch([program, "serve"], environment)


def _write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)
