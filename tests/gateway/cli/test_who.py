"""Who runs a command."""

import os
import pwd

import pytest

from gateway.cli.who import actor


def test_the_user_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert actor() == f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    monkeypatch.setenv("SUDO_USER", "anna")
    assert actor() == "cli:4000000"
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert actor() == f"cli:{pwd.getpwuid(0).pw_name}(anna)"
