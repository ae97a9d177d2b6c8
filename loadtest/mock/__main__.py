"""`python -m loadtest.mock --port P [--scenario FILE] [--host H]`: the mock provider as a process."""

import argparse
import sys
from pathlib import Path

from loadtest.mock import ScenarioError, run_mock
from loadtest.mock.scenario import bundled_directory, bundled_names


def scenario_path(given: str | None) -> Path | None:
    """A file, or the name of a bundled scenario."""
    if given is None:
        return None
    if given in bundled_names():
        return bundled_directory() / f"{given}.yaml"
    return Path(given)


def main() -> int:
    """Exit 0 after SIGINT or SIGTERM, 1 if the port is taken, 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.mock", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--scenario", help=f"a YAML file, or one of: {', '.join(bundled_names())}")
    parser.add_argument("--host", default="127.0.0.1")
    given = parser.parse_args()
    try:
        run_mock(given.port, scenario_path(given.scenario), given.host, announce)
    except ScenarioError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cannot listen on {given.host}:{given.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def announce(origin: str) -> None:
    """The one line a script waits for."""
    print(f"listening on {origin}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
