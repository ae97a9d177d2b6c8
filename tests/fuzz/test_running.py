"""`make fuzz` starts every fuzzer as it is started here."""

import importlib
import random
import re
from pathlib import Path

import pytest

from tests.fuzz.running import arguments, fuzz

ROOT = Path(__file__).resolve().parents[2]
FUZZERS = sorted(path.stem for path in Path(__file__).parent.glob("fuzz_*.py"))


@pytest.mark.parametrize("name", FUZZERS)
def test_every_fuzzer_takes_its_time_and_tries_at_least_one_input(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [name, "--seconds", "0", "--seed", "7"])
    assert importlib.import_module(f"tests.fuzz.{name}").main() == 0
    assert re.match(r"seed 7: 1 \w+, no difference", capsys.readouterr().out)


def test_make_starts_them_so() -> None:
    assert "-m tests.fuzz.$$(basename $$fuzzer .py) --seconds" in (ROOT / "Makefile").read_text("utf-8")


def test_the_first_difference_ends_it_and_names_the_seed(capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[float] = []

    def one(chance: random.Random, count: int) -> str:
        tried.append(chance.random())
        return "wrong" if count == 2 else ""

    given = arguments(None).parse_args(["--seconds", "60", "--seed", "3"])
    assert fuzz(given, one) == 1
    assert capsys.readouterr().out == "seed 3, text 2: wrong\n"
    again = random.Random(3)
    assert tried == [again.random() for _ in range(3)]
