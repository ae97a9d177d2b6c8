"""Words of a person become a request."""

import pytest

from gateway.admin.switching import request_of
from gateway.errors import BadRequest

FIELDS = {"kind": "stop", "scope": "team", "name": "a", "to": "", "reason": "x", "until": None, "permanent": False}


def test_a_request() -> None:
    asked = request_of(lasting="1h", **FIELDS)
    assert (asked.kind, asked.for_, asked.until) == ("stop", "1h", None)


def test_what_is_not_one() -> None:
    with pytest.raises(BadRequest, match="scope: there is no 'planet'; allowed are gateway"):
        request_of(lasting=None, **{**FIELDS, "scope": "planet"})
