"""spaCy, in the one module that knows it. Imported in worker processes alone: it takes a second and 150 MB.

Presidio would add nothing here but time: its spaCy recognizer maps the same labels to the same entities.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.inspection.ner.features import Entity
from gateway.inspection.ner.models import DEFAULT_MODEL, MISSING, ModelMissing

_LABELS = {"PERSON": "PERSON", "PER": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION",
           "ORG": "ORGANIZATION", "NORP": "NRP", "DATE": "DATE_TIME", "TIME": "DATE_TIME"}  # fmt: skip
_UNUSED = ("parser", "lemmatizer", "attribute_ruler", "tagger", "morphologizer", "senter")
"""Half of a pipeline's time, and names need none of it."""


class SpacyModel:
    """Texts in, entities of each out. Nothing is ever downloaded."""

    def __init__(self, model: str = "") -> None:
        """`model`: an installed package's name, or the path of a spaCy model (transformers' by spacy-transformers,
        GLiNER's by its spaCy component); empty: the extra's own. Raises `ModelMissing`."""
        name = model or DEFAULT_MODEL
        try:
            spacy: Any = importlib.import_module("spacy")
            load = spacy.load if Path(name).exists() else importlib.import_module(name).load
            self._nlp: Any = load(name, exclude=list(_UNUSED)) if load is spacy.load else load(exclude=list(_UNUSED))
        except ModuleNotFoundError as error:
            missing = error.name or name
            is_extra = missing in ("spacy", DEFAULT_MODEL)
            raise ModelMissing(MISSING if is_extra else f"no such module: {missing}") from None
        except OSError:
            raise ModelMissing("the model's files cannot be read") from None

    def __call__(self, texts: Sequence[str]) -> list[list[Entity]]:
        docs = self._nlp.pipe(texts, batch_size=max(len(texts), 1))
        return [[Entity(_LABELS.get(e.label_, "OTHER"), e.start_char, e.end_char) for e in doc.ents] for doc in docs]
