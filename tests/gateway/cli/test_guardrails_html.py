"""The report as a page: well-formed, escaped, nothing fetched."""

from html.parser import HTMLParser

from gateway.cli.guardrails_html import page
from guardrails.evaluation import DetectorReport, EntityReport, Latency, Report, SourceReport

PART = SourceReport(10, 0.5, 0, None, (0.2, 0.8), None)
REPORT = Report(
    {
        "pii": DetectorReport(
            0.4, {"<b>&": PART, "t": PART}, 20, 0, 0.5, None, (0.3, 0.7), None, Latency(8.0, 150.5)
        )
    },
    {"EMAIL_ADDRESS": EntityReport(3, 1.0, None, 0, (0.4, 1.0), None)},
    20,
    1234,
)  # fmt: skip
VOID = {"meta"}


class Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"rect", "line"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page() -> None:
    made = page(REPORT, "a<b.jsonl", ["p"], "hyperscan")
    balance = Balance()
    balance.feed(made)
    assert (balance.open, balance.addresses) == ([], [])
    assert "&lt;b&gt;&amp;" in made
    assert "a&lt;b.jsonl" in made
    assert "50.0 % (20.0–80.0)" in made
    assert "<script" not in made
    assert '<tr class="all">' in made
