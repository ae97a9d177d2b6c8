"""The page about budgets says what is true: its receiver takes our signature, its example is what is sent."""

import base64
import json
import re
import time
from pathlib import Path

from gateway.budget_events import KINDS
from gateway.webhooks.signing import signed_headers

PAGE = (Path(__file__).parents[3] / "docs" / "budgets-manage.md").read_text("utf-8")


def test_the_receiver_of_the_page_takes_what_we_sign() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(code, names)
    key = b"k" * 32
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed_headers(key, "evt_1", int(time.time()), b"{}")
    assert names["verify"](secret, headers, b"{}")
    assert not names["verify"](secret, headers, b"[]")
    assert not names["verify"](secret, signed_headers(key, "evt_1", int(time.time()) - 400, b"{}"), b"{}")


def test_every_event_is_on_the_page() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert json.loads(example)["type"] in KINDS
    for kind in KINDS:
        assert f"| `{kind}` |" in PAGE
