"""The weights file: whole, small, and refused when damaged."""

from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.injection import weights
from guardrails.injection.weights import Grams, Hint, Weights, WeightsError, numbers, pack, packaged, unpack

SMALL = Weights(
    ["a"],
    b"\0",
    ["x"],
    [1.0],
    [0.0],
    {"w": Grams((1).to_bytes(8, "little"), [b"\1"])},
    {"h": Hint(b"\1", 3)},
    {"x": [1.0]},
    "test",
)
MOST = 4 << 20
"""Bytes a weights file may have: issue 3."""


@pytest.mark.parametrize("name", ["injection", "moderation"])
def test_shipped_weights_are_whole_and_small(name: str) -> None:
    data = (resources.files(weights.__package__ or "") / "data" / f"{name}.bin").read_bytes()
    assert len(data) <= MOST
    found = packaged(name)
    assert len(found.classes) == len(found.words) == len(set(found.words))
    assert len(found.scales) == len(found.bias) == len(found.heads)
    assert all(len(hint.words) == len(found.words) for hint in found.hints.values())
    for grams in found.grams.values():
        assert {len(column) * 8 for column in grams.weights} <= {len(grams.keys)}
        assert len(set(numbers(grams.keys))) == len(grams.keys) // 8


def test_the_bag_is_of_the_vocabulary() -> None:
    found, unsafe = packaged("injection"), packaged("moderation")
    assert found.bag is not None
    assert unsafe.bag is None
    assert len(found.bag.words) == len(found.bag.rarity) == len(found.words)
    assert min(memoryview(found.bag.rarity).cast("b")) >= 0


def test_shipped_heads_and_calibration() -> None:
    assert packaged("injection").heads == ["attack", "kind", "request"]
    assert packaged("injection").calibration.keys() == {"user", "tool"}
    assert packaged("injection").hints.keys() == {"attack", "request"}
    unsafe = packaged("moderation")
    assert unsafe.hints.keys() == {"unsafe"}
    assert set(unsafe.heads) == unsafe.calibration.keys()
    assert {"hate", "harassment", "self-harm", "sexual", "sexual/minors", "violence", "violence/graphic"} <= set(
        unsafe.heads
    )


def test_the_card_names_its_sources() -> None:
    card = (resources.files(weights.__package__ or "") / "data" / "MODEL_CARD.md").read_text("utf-8")
    assert all(part in card for part in ("JailbreakLLMs", "NotInject", "BIPIA", "JBB", "MIT", "Limits", "moderation"))


def test_round_trip() -> None:
    assert unpack(pack(SMALL)) == SMALL


@given(st.integers(0, len(pack(SMALL)) - 1), st.integers(1, 255))
def test_a_damaged_file_is_refused(place: int, change: int) -> None:
    """ "Raises WeightsError": any changed byte is seen."""
    data = bytearray(pack(SMALL))
    data[place] ^= change
    with pytest.raises(WeightsError):
        unpack(bytes(data))


@given(st.binary(max_size=100))
def test_any_bytes_are_refused_in_order(data: bytes) -> None:
    with pytest.raises(WeightsError):
        unpack(data)
