"""What a roll back may be asked with."""

import msgspec
import pytest

from gateway.admin.config_shapes import RollBack


def test_edits_are_kept_unless_one_says_so() -> None:
    asked = msgspec.json.decode(b'{"version": 3, "reason": "x"}', type=RollBack)
    assert (asked.version, asked.reason, asked.discard_edits) == (3, "x", False)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"version": "3", "reason": "x"}', b'{"version": 3, "reason": "x", "force": 1}']
)
def test_what_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=RollBack)
