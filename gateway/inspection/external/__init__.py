"""External detectors: services that judge texts, asked over HTTP. `detector.ExternalDetector` does it, and is not
imported here: httpx takes a tenth of a second that a configuration without such rules need not spend."""

from gateway.inspection.external.config import ExternalConfig, Kind
from gateway.inspection.external.shape import Context

__all__ = ["Context", "ExternalConfig", "Kind"]
