"""Webhooks as they are written: what is taken, and what is said of mistakes."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.clock import ManualClock
from gateway.errors import ConfigError
from gateway.settings.load import load_config
from gateway.settings.reload import Configuration

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def test_receivers_get_into_the_snapshot(write: Callable[..., Path], minimal: str) -> None:
    path = write(
        minimal
        + f"""prices: off
webhooks:
  - {{url: "https://a.example/hook?token=x", secret: "${{env:HOOK}}"}}
  - {{url: "http://127.0.0.1:1234/", secret: "{SECRET}", events: [budget.exhausted]}}
"""
    )
    configuration = Configuration(path, clock=ManualClock(), env={"HOOK": SECRET})
    first, second = configuration.snapshot.webhooks
    assert first.url == "https://a.example/hook?token=x"
    assert first.key == b"0123456789abcdef0123456789abcdef"
    assert first.events == {"budget.soft", "budget.exhausted", "budget.forecast_exhausted"}
    assert second.events == {"budget.exhausted"}
    assert SECRET not in repr(configuration.written.root)
    assert "token=x" not in repr(configuration.written.root)


@pytest.mark.parametrize(
    ("webhook", "message"),
    [
        ("{url: ftp://a.example, secret: SECRET}", "allowed is https://HOST/PATH"),
        ("{url: 'https://', secret: SECRET}", "allowed is https://HOST/PATH"),
        ("{url: 'https://a.example:99999/', secret: SECRET}", "allowed is https://HOST/PATH"),
        ("{url: 'https://a.example', secret: hunter2hunter2}", "openssl rand -base64 32"),
        ("{url: 'https://a.example', secret: whsec_aGk=}", "24 to 64 random bytes"),
        ("{url: 'https://a.example', secret: SECRET, events: [budget.sofd]}", "budget.soft"),
        ("{url: 'https://a.example', secret: SECRET, events: []}", "list with one value"),
        ("{secret: SECRET}", "url"),
        ("{url: 'https://a.example', secret: SECRET, kind: x}", "kind"),
    ],
)
def test_mistakes_are_told_with_their_place(
    write: Callable[..., Path], minimal: str, webhook: str, message: str
) -> None:
    path = write(minimal + "prices: off\nwebhooks:\n  - " + webhook.replace("SECRET", SECRET) + "\n")
    with pytest.raises(ConfigError) as raised:
        load_config(path, env={})
    assert message in str(raised.value)
    assert f"{path}:" in str(raised.value)
    for secret in (SECRET, "hunter2", "aGk="):
        assert secret not in str(raised.value)
