"""What is wrong in `incidents:` is said with its place and what is allowed, and never with a secret."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.settings.load import load_config


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{kind: pager}", "allowed are 'webhook', 'alertmanager', 'pagerduty'"),
        ("{kind: pagerduty}", "pagerduty needs a routing_key"),
        ("{kind: alertmanager}", "alertmanager needs a url"),
        ("{url: 'http://h/'}", "webhook needs a secret"),
        ("{url: 'ftp://canary', secret: x}", "this is not a URL that can be called"),
        ("{url: 'http://h/', secret: canary}", "this is not a webhook secret"),
        ("{kind: pagerduty, routing_key: canary, severities: [sms]}", "allowed are 'page', 'ticket'"),
    ],
)
def test_receivers(write: Callable[..., Path], minimal: str, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(f"{minimal}incidents: {{notify: [{text}]}}\n"), env={})
    assert problem in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{objective: 100%}", "this is too large; allowed is less than 1"),
        ("{interval: 1ms}", "this is too small; allowed is 100ms or more"),
        ("{spend_floor: 0 USD}", "this is too small; allowed is more than 0"),
        ("{lag: 5m}", "unknown key 'lag'; did you mean 'ledger_lag'?"),
        ("on", "this value is not known; allowed are 'off'"),
    ],
)
def test_thresholds(write: Callable[..., Path], minimal: str, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(f"{minimal}incidents: {text}\n"), env={})
    assert problem in str(caught.value)


def test_off(write: Callable[..., Path], minimal: str) -> None:
    assert load_config(write(f"{minimal}incidents: off\n"), env={}).root.incidents == "off"
