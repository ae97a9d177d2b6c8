"""External detectors: services that judge texts, asked over HTTP."""

from gateway.inspection.external.config import ExternalConfig, Kind
from gateway.inspection.external.detector import Check, ExternalDetector
from gateway.inspection.external.detector_report import Outcome, Report
from gateway.inspection.external.shape import Context, Spent

__all__ = ["Check", "Context", "ExternalConfig", "ExternalDetector", "Kind", "Outcome", "Report", "Spent"]
