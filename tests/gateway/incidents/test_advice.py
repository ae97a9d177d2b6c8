"""Whoever is woken is told where to begin, whatever woke them."""

import re
from typing import get_args

from gateway.cli.main import COMMANDS
from gateway.incidents.advice import advice
from gateway.incidents.detect import Signal


def test_every_signal_has_advice_and_what_is_unknown_has_none() -> None:
    assert all(len(advice(signal)) > 40 for signal in get_args(Signal))
    assert advice("of a newer release") == ""


def test_commands_in_it_exist() -> None:
    words = {found for signal in get_args(Signal) for found in re.findall(r"tollway (\w+)", advice(signal))}
    assert words <= set(COMMANDS)
