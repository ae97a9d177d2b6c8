"""A report says what happened; by default that nothing did."""

from gateway.inspection.report import Report


def test_by_default_the_text_passes() -> None:
    report = Report(detector="d")
    assert (report.outcome, report.flagged, report.refused) == ("ok", False, False)
    assert (report.findings, report.rewrites) == ((), ())
