"""Corpora: rows that say what is right, and complaints that quote no text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.corpus import CorpusError, Row, Span, numbered, rows, strangers

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
ROWS = st.fixed_dictionaries(
    {"text": TEXTS},
    optional={
        "label": st.sampled_from(["attack", "benign"]),
        "spans": st.lists(st.fixed_dictionaries({"type": TEXTS, "start": st.integers(0, 9), "end": st.integers(0, 9)})),
        "categories": st.lists(TEXTS) | st.dictionaries(TEXTS, st.booleans() | st.sampled_from([0, 1])),
        "source": TEXTS,
        "role": st.sampled_from(["user", "tool"]),
        "kind": st.sampled_from(["document", "indirect (mail)", "injection"]),
        "more": st.integers(),
    },
)


@given(st.lists(ROWS, max_size=5))
def test_a_row_says_what_is_right_in_one_of_three_ways(written: list[dict[str, Any]]) -> None:
    """'`label`, `spans`, or `categories`. Spans and categories win over labels.'"""
    data = b"\n\n".join(json.dumps(row).encode() for row in written)
    for row, found in zip(written, rows(data, judged=False), strict=True):
        assert found.text == row["text"]
        ways = [name for name in ("spans", "categories", "label") if name in row]
        assert found.truth == (ways[0] if ways else "")
        held = row.get("categories", [])
        assert found.holding == {name for name in held if isinstance(held, list) or held[name]}


def test_whose_text_it_is() -> None:
    """'a `document`, or `indirect …`, … has role `tool`.'"""
    assert Row("t").spoken_by == "user"
    assert Row("t", kind="document").spoken_by == "tool"
    assert Row("t", kind="indirect (in a mail)").spoken_by == "tool"
    assert Row("t", kind="document", role="user").spoken_by == "user"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "CANARY"}', "line 2: it does not say what is right; add label, spans or categories"),
        ('{"text": "CANARY", "label": "CANARY"}', "line 2: this label is not known; allowed are attack and benign"),
        ('{"text": "CANARY", "spans": [{"type": "X"}]}', "line 2: Object missing required field `start`"),
        (
            '{"text": "CANARY", "spans": [{"type": "X", "start": 2, "end": 7}]}',
            "line 2: a span is not within the text of 6",
        ),
        ('{"text": "CANARY", "spans": [{"type": "X", "start": 2, "end": 2}]}', "line 2: a span is not within the text"),
        ('{"txt": "CANARY"}', "line 2: Object missing required field `text`"),
        ('["CANARY"]', "line 2: Expected `object`, got `array`"),
        ("CANARY", "line 2: JSON is malformed: invalid character"),
        ('{"text": "\xff"}', "line 2: not UTF-8"),
    ],
)
def test_a_bad_line_is_named_and_not_quoted(line: str, reason: str) -> None:
    data = b'{"text": "a", "label": "benign"}\n' + line.encode("latin-1")
    with pytest.raises(CorpusError) as refused:
        list(rows(data))
    assert str(refused.value).startswith(reason)
    assert "CANARY" not in str(refused.value)


def test_spans() -> None:
    (row,) = rows(b'{"text": "a", "spans": [{"type": "X", "start": 0, "end": 1, "more": 1}], "label": "pii"}')
    assert row.spans == (Span("X", 0, 1),)


def test_a_file_of_windows_is_read() -> None:
    """A mark at the beginning, and carriage returns at the ends of lines."""
    data = b'\xef\xbb\xbf{"text": "a", "label": "benign"}\r\n\r\n{"text": "b", "label": "attack"}\r\n'
    assert [row.text for row in rows(data)] == ["a", "b"]


def test_types_that_nobody_knows_are_told_with_the_line_they_are_first_on() -> None:
    span = '{"type": "%s", "start": 0, "end": 1}'
    line = '{"text": "t", "spans": [%s]}\n'
    data = "".join(
        [line % span % "URL", "\n", line % ", ".join([span % "A", span % "DOMAIN_NAME"]), line % (span % "A"),
         line % (span % "B"), '{"text": "t", "label": "benign"}\n']
    )  # fmt: skip
    assert strangers(numbered(data.encode()), {"URL"}) == {"A": (3, 2), "B": (5, 1)}
