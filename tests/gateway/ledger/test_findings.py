"""What the findings log takes of an exchange."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.facts import FindingNote, Verdict
from gateway.ledger.events import decode_line, end_line
from gateway.ledger.findings import MOST_PLACE, FindingsOptions, drawn, place_of, take
from guardrails.interface import Finding, RuleResult
from tests.gateway.ledger.helpers import exchange

CANARY = "jane.doe@example.org"
OPTIONS = FindingsOptions()


def finding(path: str = "messages[2].content[0].text", **changes: object) -> Finding:
    made = Finding("EMAIL_ADDRESS", path, 3, 20, 0.95, "pii.email_address.1", "list", "standard.pii.1", "d" * 16,
                   "user", "pii")  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def verdict(*findings: Finding, mode: str = "shadow", dropped: int = 0) -> Verdict:
    result = RuleResult("standard.pii.1", "standard", mode, "mask", ("EMAIL_ADDRESS",), len(findings))  # type: ignore[arg-type]
    return Verdict("mask", "allow", findings, "standard", results=(result,), dropped=dropped)


def test_a_finding_is_noted_without_its_text_and_goes_with_the_end_line():
    x = exchange(request_verdict=verdict(finding()), response_verdict=verdict(finding("choices[0].message.content")))
    take(x, OPTIONS)
    assert x.findings[0] == FindingNote(
        "request", "standard", "standard.pii.1", "pii", "EMAIL_ADDRESS", "pii.email_address.1",
        "messages[].content[].text", "user", 3, 20, 0.95, "list", "shadow", "mask", "d" * 16,
    )  # fmt: skip
    assert (x.findings[1].on, x.findings[1].place) == ("response", "choices[].message.content")
    record = decode_line(end_line(x))
    assert record.findings == x.findings  # type: ignore[union-attr]


def test_a_line_without_findings_is_as_it_was():
    x = exchange()
    take(x, OPTIONS)
    assert x.findings == ()
    assert b"findings" not in end_line(x)


def test_what_is_beyond_the_bound_is_counted():
    """ "cap per exchange … drops counted": what the log leaves out, and what the engine did not list."""
    x = exchange(request_verdict=verdict(*[finding()] * 4), response_verdict=verdict(*[finding()] * 3, dropped=5))
    take(x, FindingsOptions(most=5))
    assert [note.on for note in x.findings] == ["request"] * 4 + ["response"]
    assert x.findings_dropped == 2 + 5


@given(st.text(max_size=60), st.sampled_from(("messages[0].", "", "tools[1].function.parameters.", "error.")))
def test_no_name_of_a_body_is_in_a_place(name: str, before: str):
    """A member's name is text of the client's. Whatever it is, a place has our words, brackets, separators, stars."""
    shown = place_of(f"{before}{name}{CANARY}")
    assert "jane" not in shown
    assert "doe" not in shown
    assert len(shown) <= MOST_PLACE
    words = set("".join(c if c.isalpha() or c == "_" else " " for c in shown).split())
    assert all(place_of(word) == word for word in words)


def test_a_channel_of_a_stream_has_its_name():
    assert (place_of("text.0"), place_of("delta/content.0.1")) == ("text", "delta/content")


@given(st.text(max_size=40))
def test_names_that_look_like_no_id_are_not_kept(name: str):
    """A service outside names its rules; what holds spaces or an @ may be what it found."""
    x = exchange(request_verdict=verdict(finding(rule=f"{name} {CANARY}", type=f"T{CANARY}", evidence=f"{name} x")))
    take(x, OPTIONS)
    note = x.findings[0]
    assert (note.pattern, note.type, note.evidence) == ("other", "other", "other")


@given(st.integers(0, 2**48 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_sample_keeps_what_a_smaller_took(end: int, one: float, other: float):
    exchange_id = f"0190f3e4-5a6b-7c8d-8e9f-{end:012x}"
    small, large = sorted((one, other))
    assert drawn(exchange_id, large) or not drawn(exchange_id, small)
    assert drawn(exchange_id, 1.0)
    assert not drawn(exchange_id, 0.0)
    assert not drawn("no id of ours", 0.5)


def test_the_sample_is_of_its_size():
    taken = 0
    for number in range(2000):
        x = exchange(number, request_verdict=verdict(finding()))
        take(x, FindingsOptions(sample=0.25))
        taken += bool(x.findings)
    assert 400 < taken < 600
