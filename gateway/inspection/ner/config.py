"""How names and places are looked for."""

from typing import Literal

import msgspec

ENTITIES = ("PERSON", "LOCATION", "ORGANIZATION", "NRP", "DATE_TIME", "ADDRESS")
"""What can be found; ADDRESS is the street address."""


class NerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Worker processes and what they are asked."""

    model: str = ""
    """"": the extra's own; a spaCy model's package or path; `module:factory` for any other."""
    workers: int = 1
    """Processes; each takes some 300 MB and half a second to start."""
    entities: tuple[str, ...] = ("PERSON", "LOCATION")
    """What is reported: of `ENTITIES`."""
    threshold: float = 0.0
    """Least score of what is reported, on top of each entity's own."""
    deadline: float = 0.5
    """Seconds from asking to verdict."""
    on_failure: Literal["open", "closed"] = "closed"
    """Whether a text that could not be judged passes."""
    queue: int = 256
    """Pieces of text that may wait for a worker; beyond it an inspection fails at once."""
    batch: int = 16
    """Pieces given to a worker at one time, at most."""
    window: int = 4000
    """Characters of a piece; long texts are cut, so that several workers share them."""
    max_text: int = 100_000
    """Characters of one inspection, all texts together; beyond it the inspection fails at once."""
    cache_seconds: float = 300.0
    """How long the verdict on a piece is remembered under its keyed hash; 0: not at all."""
    cache_entries: int = 10_000
    stuck: float = 20.0
    """Seconds after which a worker that does not answer is ended and replaced."""
    back_off: float = 0.5
    """Seconds before a worker that died is started again; doubled each time, at most 30."""
