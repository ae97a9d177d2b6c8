"""Personal data by pattern and check digit: the detector behind `detect: pii`."""

from guardrails.pii.detector import PiiDetector
from guardrails.pii.rules import DEFAULT, described

__all__ = ["DEFAULT", "PiiDetector", "described"]
