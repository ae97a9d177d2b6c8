"""Fuzz the event rewriters for a time: `python -m tests.fuzz.fuzz_events --seconds 60 [--seed N]`.

Ordinary streams of every dialect, with a text that holds things to mask, are cut anywhere, spiced with strange members
and damaged events, and rewritten with inspectors that hold back little or everything. The client's text must be what
masking the whole gives, nothing masked may be sent, and rewriting again with what was learned must give the same
bytes. Exit 1 on the first difference, with the seed that shows it.
"""

import json
import random
import sys
from typing import Any

from gateway.inspection import Rewriters
from tests.fuzz.running import arguments, fuzz
from tests.gateway.inspection.helpers import Hoarder, Masker, cut, mask, objects, rewritten, sse

PIECES = ["call ", "4", "1111", "a", "@", "b.c", " ", "\n", "é", "𝄞", '"', "\\", "x1y", "."]
SPICE: list[Any] = [{}, [], "4111 ", {"id": "4111"}, {"type": "mail a@b.c"}, ["4111", {"text": "4111"}], None, True, 7]


def grow(chance: random.Random) -> str:
    return "".join(chance.choices(PIECES, k=chance.randrange(12)))


def pieces(chance: random.Random, text: str) -> list[str]:
    return cut(text, [chance.randrange(40) for _ in range(chance.randrange(8))])


def chat(chance: random.Random, text: str) -> list[Any]:
    plain = chance.random() < 0.6

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        said = str(delta.get("content", ""))
        odd = {"content": [{"token": delta.get("content"), "bytes": [1, 2], "top_logprobs": []}]}
        own = {"token": said, "logprob": -0.5, "bytes": list(said.encode()), "top_logprobs": list[Any]()}
        logprobs = None if plain else odd if chance.random() < 0.2 else {"content": [own], "refusal": None}
        if chance.random() < 0.1:
            delta[chance.choice(["odd", "note"])] = chance.choice(SPICE)
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {"id": "c", "model": "m", "choices": [choice] if chance.random() < 0.98 else [choice, {"index": 1}]}

    return [*[chunk({"content": piece}) for piece in pieces(chance, text)], chunk({}, "stop"), b"data: [DONE]\n\n"]


def messages(chance: random.Random, text: str) -> list[Any]:
    index = chance.randrange(3)
    deltas: list[Any] = [
        {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": piece}}
        for piece in pieces(chance, text)
    ]
    for _ in range(chance.randrange(2)):
        odd = {"type": "content_block_delta", "index": index, "delta": {"type": "odd", "odd": chance.choice(SPICE)}}
        deltas.insert(chance.randrange(len(deltas) + 1), odd)
    return [*deltas, {"type": "content_block_stop", "index": index}, {"type": "message_stop"}]


def responses(chance: random.Random, text: str) -> list[Any]:
    where = {"output_index": 0, "content_index": 0, "item_id": "i"}
    part = {"type": "output_text", "text": text, "odd": chance.choice(SPICE)}
    item = {"type": "message", "id": "i", "content": [part]}
    events: list[Any] = [
        *[{"type": "response.output_text.delta", **where, "delta": piece} for piece in pieces(chance, text)],
        {"type": "response.output_text.done", **where, "text": text},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"status": "completed", "output": [item]}},
    ]
    return [{**event, "sequence_number": at} for at, event in enumerate(events)]


def said(operation: str, events: list[Any]) -> str:
    if operation == "chat.completions":
        choices = [choice for event in events for choice in event["choices"] if choice["index"] == 0]
        return "".join(choice["delta"].get("content", "") for choice in choices)
    if operation == "messages":
        return "".join(event["delta"].get("text", "") for event in events if "delta" in event)
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


GROWERS = {"chat.completions": chat, "messages": messages, "responses": responses}


def difference(chance: random.Random, shared: Rewriters) -> str:
    """What is wrong with one stream; empty when nothing is."""
    operation = chance.choice(list(GROWERS))
    text = grow(chance)
    events = GROWERS[operation](chance, text)
    inspector = chance.choice([Masker, Hoarder])
    stream = sse(*events, named=operation != "chat.completions")
    out = rewritten(operation, stream, inspector(), shared)
    got = objects(out)
    if said(operation, got) != mask(text):
        return f"{operation}: {stream!r}\ngave {out!r}"
    if "4111" in json.dumps(got):
        return f"{operation}: something unmasked in {out!r}"
    if operation == "responses":
        if [event["sequence_number"] for event in got] != list(range(len(got))):
            return f"numbers are not in order: {out!r}"
        if got[-1]["response"]["output"][0]["content"][0]["text"] != mask(text):
            return f"the whole text differs: {out!r}"
    if rewritten(operation, stream, inspector(), Rewriters()) != out:
        return f"{operation}: what was learned changes {stream!r}"
    damaged = bytearray(stream)
    for _ in range(3):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    rewritten(operation, bytes(damaged), inspector(), shared)
    return ""


def main() -> int:
    shared = Rewriters()
    return fuzz(arguments(__doc__).parse_args(), lambda chance, count: difference(chance, shared), "stream")


if __name__ == "__main__":
    sys.exit(main())
