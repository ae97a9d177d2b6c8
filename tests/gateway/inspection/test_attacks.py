"""Whatever way a provider tells a value in, the client cannot put it together."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fuzz.fuzz_shipped import RIG, engine
from tests.gateway.inspection.attacks import MAIL, attacks
from tests.gateway.inspection.helpers import objects, rewritten

SHIPPED = engine(RIG, None)
ATTACKS = attacks()


def told(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every string with the name of the member it is in, and every name."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for each in value:
            yield from told(each, name)
    elif isinstance(value, dict):
        for inner, each in value.items():
            yield "{}", inner
            yield from told(each, inner)


@pytest.mark.parametrize(("operation", "stream"), [(way, stream) for way, _, stream in ATTACKS],
                         ids=[f"{way} {name}" for way, name, _ in ATTACKS])  # fmt: skip
def test_no_way_of_telling_gets_a_value_past(operation: str, stream: bytes):
    """Also not one name's strings put together, as clients do it."""
    out = rewritten(operation, stream, SHIPPED.stream(operation))
    together: dict[str, str] = {}
    for event in objects(out):
        for name, text in told(event):
            together[name] = together.get(name, "") + text
    assert MAIL not in json.dumps(list(together.values()))
