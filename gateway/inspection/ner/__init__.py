"""Names and places: a spaCy model in worker processes, with rules and word lists around it."""

from gateway.inspection.ner.config import ENTITIES, NerConfig
from gateway.inspection.ner.models import missing

__all__ = ["ENTITIES", "NerConfig", "missing"]
