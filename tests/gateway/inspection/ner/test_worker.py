"""The worker process, spoken to by hand."""

import subprocess
import sys

from gateway.inspection.ner.protocol import Ask, Frames, Message, frame


def talk(model: str, *asks: Ask) -> tuple[list[Message], int]:
    """Everything the worker says when its input ends after `asks`, and its exit code."""
    data = b"".join(frame(ask) for ask in asks)
    command = [sys.executable, "-m", "gateway.inspection.ner.worker", model]
    done = subprocess.run(command, input=data, capture_output=True, timeout=120)
    return Frames().feed(done.stdout), done.returncode


def test_it_answers_in_order_and_ends_with_its_input() -> None:
    said, code = talk("tests.support.fake_ner:model", Ask(["Print Zorana"]), Ask(["Raise"]), Ask([]))
    assert [type(message).__name__ for message in said] == ["Ready", "Answer", "Answer", "Answer"]
    assert [len(answer.matches) for answer in said[1:]] == [1, 0, 0]  # type: ignore[union-attr]
    assert said[2].error == "KeyError"  # type: ignore[union-attr]
    assert code == 0


def test_without_a_model_it_says_so_and_ends() -> None:
    said, code = talk("no_such:model")
    assert [getattr(message, "message", "") for message in said] == ["no such model: no_such:model"]
    assert code == 0
