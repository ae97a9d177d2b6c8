"""The JSON of switches: strict where people write it."""

import msgspec
import pytest

from gateway.admin.switch_shapes import ClearSwitch, SetSwitch

STOP = {"kind": "stop", "scope": "team", "name": "a", "reason": "x"}


def test_a_duration_is_called_for() -> None:
    assert msgspec.convert({**STOP, "for": "1h"}, SetSwitch).for_ == "1h"


@pytest.mark.parametrize("shape", [SetSwitch, ClearSwitch])
def test_what_is_misspelt_is_refused(shape: type[msgspec.Struct]) -> None:
    """An `unitl` that is passed over would hold for an hour instead."""
    with pytest.raises(msgspec.ValidationError, match="unknown field `unitl`"):
        msgspec.convert({**STOP, "unitl": "2030-01-01"} if shape is SetSwitch else {"unitl": ""}, shape)
