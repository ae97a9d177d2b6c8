"""A tiny model for the workers: finds one name, and misbehaves when a text tells it to."""

import os
import time
from collections.abc import Sequence

from gateway.inspection.ner.features import Entity

NAME = "Zorana"
HANG = 300.0


class Fake:
    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, texts: Sequence[str]) -> list[list[Entity]]:
        self.batches.append(len(texts))
        for text in texts:
            if "Hang" in text:
                time.sleep(HANG)
            if "Die" in text:
                os._exit(3)
            if "Raise" in text:
                raise KeyError(text)
            if "Print" in text:
                print("to standard output", flush=True)
            if "Batches" in text:
                return [[Entity("NRP", 99 * at, 99 * at + size) for at, size in enumerate(self.batches)] for _ in texts]
        return [[Entity("NRP", at, at + len(NAME))] if (at := text.find(NAME)) >= 0 else [] for text in texts]


def model() -> Fake:
    return Fake()
