"""External detectors: services that judge texts, asked over HTTP."""

from gateway.inspection.external.config import ExternalConfig, Kind
from gateway.inspection.external.detector import ExternalDetector
from gateway.inspection.external.shape import Context

__all__ = ["Context", "ExternalConfig", "ExternalDetector", "Kind"]
