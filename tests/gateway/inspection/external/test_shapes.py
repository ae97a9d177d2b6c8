"""What holds for every wire shape: whatever comes back, it is understood or refused, and spans lie in their text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.external.shape import TOGETHER, Context, Stamp, Text, WrongAnswer
from gateway.inspection.external.shapes import SHAPES, shape_of
from gateway.inspection.windows import clean
from tests.support.detector_services import FAKES, WORD, config_of

TEXTS = [Text("user", "a zebra 🦓 walks"), Text("assistant", "Grüße"), Text("tool", "zebra zebra")]
STAMP = Stamp(1_700_000_000_000_000_000, "id-1")
WORDS = [
    "flagged", "results", "categories", "category_scores", "entity_type", "start", "end", "score", "payload",
    "breakdown", "detector_type", "detected", "message_id", "categoriesAnalysis", "category", "severity",
    "blocklistsMatch", "blocklistName", "blocklistItemText", "action", "outputs", "text", "assessments",
    "sensitiveInformationPolicy", "piiEntities", "match", "type", "choices", "message", "content", "usage", "texts",
    "index", "findings",
]  # fmt: skip
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=8), st.sampled_from(WORDS),
    st.sampled_from(["BLOCKED", "GUARDRAIL_INTERVENED", "rewrite", "unsafe\nS1", WORD]),
)  # fmt: skip
ANSWERS = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
)
ALTERED = st.tuples(st.integers(0, 10_000), st.sampled_from([None, True, -5, 10**9, "x", [], {}, 0.5]))


def texts_for(kind: str) -> list[Text]:
    return TEXTS[: shape_of(config_of(kind, "http://x")).batch or 3]


def check(kind: str, body: bytes, status: int = 200) -> None:
    """Understood or refused; what was found lies where one can slice."""
    texts = texts_for(kind)
    try:
        reply = shape_of(config_of(kind, "http://x")).reply(texts, status, body)
    except WrongAnswer:
        return
    for index, match in reply.matches:
        assert index == TOGETHER or 0 <= index < len(texts)
        assert 0 <= match.start <= match.end <= (0 if index == TOGETHER else len(texts[index].text))
        assert 0.0 <= match.score <= 1.0
        assert match.rule.startswith("zoo/")
        assert match.evidence == "external"
    assert all(0 <= index < len(texts) for index, _ in reply.rewrites)


@pytest.mark.parametrize("kind", SHAPES)
@given(answer=ANSWERS)
def test_any_json_is_understood_or_refused(kind: str, answer: object) -> None:
    """`Shape.reply`: "Raises `WrongAnswer` when the answer is not what the interface promises"; spans are "characters
    (code points) of the text that was asked about"."""
    check(kind, json.dumps(answer).encode())


@pytest.mark.parametrize("kind", SHAPES)
@given(altered=st.lists(ALTERED, max_size=3))
def test_a_good_answer_with_parts_replaced_is_understood_or_refused(
    kind: str, altered: list[tuple[int, object]]
) -> None:
    """The same rule, near the edge: one field of an answer is of another type or out of bounds."""
    shape = shape_of(config_of(kind, "http://x"))
    outgoing = shape.request(texts_for(kind), Context(), STAMP)
    path = {"openai-moderations": "/v1", "llama-guard": "/v1", "webhook": "/hook"}.get(kind, "") + outgoing.path
    answer = FAKES[kind](path, dict(outgoing.headers) | {"host": "x"}, outgoing.body)
    assert answer is not None
    for which, value in altered:
        answer = replaced(answer, which, value)
    check(kind, json.dumps(answer).encode())


def replaced(answer: Any, which: int, value: object) -> Any:
    """`answer` with its `which`-th node (in order, modulo their number) replaced."""
    nodes: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            nodes.append((node, key))
            walk(node[key])

    walk(answer)
    if not nodes:
        return value
    parent, key = nodes[which % len(nodes)]
    parent[key] = value
    return answer


@pytest.mark.parametrize("kind", SHAPES)
@given(body=st.binary(max_size=64), status=st.integers(200, 599))
def test_any_bytes_with_any_status_are_refused(kind: str, body: bytes, status: int) -> None:
    """The same rule for what is no JSON at all."""
    check(kind, body, status)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(("status", "fault"), [(400, False), (413, False), (422, False), (401, True), (404, True),
                                               (429, True), (500, True), (503, True)])  # fmt: skip
def test_only_what_speaks_of_the_request_is_no_fault_of_the_service(kind: str, status: int, fault: bool) -> None:
    with pytest.raises(WrongAnswer) as raised:
        shape_of(config_of(kind, "http://x")).reply(texts_for(kind), status, b"{}")
    assert raised.value.fault is fault
    assert str(status) in str(raised.value)


@pytest.mark.parametrize("kind", SHAPES)
@given(text=st.text(st.characters(codec=None, exclude_categories=[]), max_size=40))
def test_any_text_can_be_asked_about(kind: str, text: str) -> None:
    """`clean`: "each lone surrogate replaced by U+FFFD: as long as before, so offsets stay, and valid UTF-8"."""
    cleaned = clean(text)
    assert len(cleaned) == len(text)
    outgoing = shape_of(config_of(kind, "http://x")).request([Text("user", cleaned)], Context(), STAMP)
    assert json.dumps(cleaned, ensure_ascii=False).encode()[1:-1] in outgoing.body or json.loads(outgoing.body)


@pytest.mark.parametrize("kind", SHAPES)
def test_an_error_quotes_nothing_of_the_answer(kind: str) -> None:
    body = json.dumps({"flagged": "secret-text", "action": "secret-text", "results": "secret-text",
                       "categoriesAnalysis": "secret-text", "choices": "secret-text"}).encode()  # fmt: skip
    with pytest.raises(WrongAnswer) as raised:
        shape_of(config_of(kind, "http://x")).reply(texts_for(kind), 200, body)
    assert "secret-text" not in str(raised.value)
    assert raised.value.__cause__ is None
