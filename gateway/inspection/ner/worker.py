"""The worker process: `python -m gateway.inspection.ner.worker MODEL`. Frames in on standard input, out on output.

It ends when its input ends, which is when the gateway closes it or dies: no worker outlives its parent.
"""

import os
import sys

from gateway.inspection.ner.models import ModelMissing, load_model
from gateway.inspection.ner.protocol import Answer, Ask, Frames, Ready, Unusable, frame
from gateway.inspection.ner.recognizer import Recognizer

_NICE = 5
"""Judging texts must not take the processor from the event loops."""


def main(model: str) -> None:
    out = os.dup(1)
    os.dup2(2, 1)  # What a library prints must not come between frames.
    os.nice(_NICE)
    try:
        recognizer = Recognizer(load_model(model))
    except ModelMissing as error:
        _write(out, frame(Unusable(str(error))))
        return
    _write(out, frame(Ready()))
    frames = Frames()
    while data := os.read(0, 1 << 20):
        for message in frames.feed(data):
            if isinstance(message, Ask):
                _write(out, frame(_answer(recognizer, message.texts)))


def _answer(recognizer: Recognizer, texts: list[str]) -> Answer:
    try:
        return Answer(recognizer(texts))
    except Exception as error:
        return Answer(error=type(error).__name__)


def _write(out: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(out, view) :]


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
