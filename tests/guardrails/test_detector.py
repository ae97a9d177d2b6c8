"""The detector seam's promises, on the detectors that tests of the engine rely on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.detector import Detector
from tests.support.detectors import Card, Overlapping, ReGate, Words, fence, mail
from tests.support.promises import check_lead, check_locality, check_shape, check_stability, finder

DETECTORS: list[Detector] = [
    mail(), Card(), Words("names", "NAME", "kestrel", "kestrel house", "house"), Overlapping("xs", "x"), fence(),
]  # fmt: skip
TEXTS = st.lists(
    st.sampled_from([
        "ann@site.co", "a@b.co.uk.com", "a@b.", "@", "4111 1111 1111 1111", "4111111111111112", "4111", "12", "-",
        "Kestrel ", "kestrel house", "kestrel hous", "x5", "x9", "x", " ", ".", "é", "😀", "word", "<<", ">>", "<",
        "e" * 40,
    ]),
    max_size=14,
).map("".join)  # fmt: skip


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.name)
@given(text=TEXTS, edges=st.tuples(st.integers(0, 200), st.integers(0, 200)), cut=st.integers(0, 200))
def test_the_promises_are_kept(detector: Detector, text: str, edges: tuple[int, int], cut: int) -> None:
    """Locality and stability: what the stream machine relies on."""
    find = finder(detector, ReGate)
    begin, end = sorted(min(edge, len(text)) for edge in edges)
    check_shape(detector, find, text)
    check_locality(detector, find, text, begin, end)
    check_lead(detector, ReGate, text)
    check_stability(detector, find, text, min(cut, len(text)))
