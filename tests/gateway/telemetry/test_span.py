"""What spans are made of; that they are encoded right is shown in `test_otlp.py`."""

from gateway.telemetry.span import INTERNAL, Shared, Span


def test_a_span_says_what_is_shared_before_what_is_its_own() -> None:
    span = Span("n", INTERNAL, "0" * 32, 1, 0, False, 1, 2, [("b", 2)], Shared((("a", 1),)))
    assert span.attributes == [("a", 1), ("b", 2)]


def test_what_is_shared_is_known_by_its_identity() -> None:
    one, other = Shared((("a", 1),)), Shared((("a", 1),))
    assert len({one, other, one}) == 2
