"""The report is one well-formed, self-contained document with a plot for what was measured."""

import re
from xml.etree import ElementTree

from loadtest.generator.report import html_report
from loadtest.generator.result import Result


def test_the_report_is_well_formed_and_self_contained(result: Result) -> None:
    text = html_report(result)
    root = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    assert len(root.findall(".//svg")) >= 4
    assert len(root.findall(".//polyline")) >= 6
    assert not re.search(r"(src|href)=|@import|url\(", text)
    assert "prefers-color-scheme:dark" in text
    assert "http_429 1" in text
    assert "<b>&name" not in text
