"""The JSON of incidents: strict where people write it."""

import msgspec
import pytest

from gateway.admin.incident_shapes import Comment


def test_what_is_misspelt_is_refused() -> None:
    assert msgspec.convert({}, Comment).comment == ""
    with pytest.raises(msgspec.ValidationError, match="unknown field `text`"):
        msgspec.convert({"text": "x"}, Comment)
