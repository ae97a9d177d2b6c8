"""Chat completions with every field of a choice and of a delta: OpenAI's own, and those of servers that are compatible.

`reasoning_content` (DeepSeek and many servers), `reasoning` and `reasoning_details` (OpenRouter), filter results and a
first chunk without choices (Azure), annotations of a web search, sound, refusal, parallel tool calls whose arguments
come in turns.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from loadtest.mock.answer import Answer
from loadtest.mock.reply import Event
from loadtest.mock.rich.values import SOUND, cut, logprobs, obfuscation

_encode = msgspec.json.Encoder().encode

Fields = dict[str, Any]
_THOUGHT = "The user wants an answer."
_REFUSAL = "I cannot help with the rest."
_SAFE = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": False, "severity": "safe"}}
_ANNOTATION: Fields = {
    "type": "url_citation",
    "url_citation": {"start_index": 0, "end_index": 5, "title": "A road", "url": "https://example.com/a?b=c#d"},
}
_DETAIL: Fields = {"type": "reasoning.text", "text": _THOUGHT, "signature": "bW9jaw==", "format": "mock", "index": 0}
_SPOKEN = "A road."
_EXPIRES = 1717175317


def rich_choice(answer: Answer, index: int, names: Sequence[str]) -> Fields:
    """A choice of a whole answer, with a call of each of the functions `names`."""
    message: Fields = {
        "role": "assistant",
        "content": answer.text,
        "reasoning_content": _THOUGHT,
        "reasoning": _THOUGHT,
        "reasoning_details": [_DETAIL],
        "refusal": _REFUSAL,
        "annotations": [_ANNOTATION],
        "audio": {"id": f"audio_mock{index}", "data": SOUND, "expires_at": _EXPIRES, "transcript": _SPOKEN},
        "x_future": {"text": "what comes next", "weight": 0.10},
    }
    if names:
        message["tool_calls"] = [_call(index, number, name, _arguments(number)) for number, name in enumerate(names)]
    return {
        "index": index,
        "message": message,
        "logprobs": {"content": logprobs(answer.pieces), "refusal": None},
        "finish_reason": _finish(answer, names),
        "content_filter_results": _SAFE,
    }


def rich_chunks(base: Fields, answers: Sequence[Answer], names: Sequence[str], usage: Fields | None) -> Iterator[Event]:
    """The chunks of a stream, without `[DONE]`. `usage`: of the last one, if it is asked for."""
    prompt = {"choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _SAFE}]}
    yield Event(_encode({**base, **prompt}))
    for index, answer in enumerate(answers):
        yield from _choice(base, index, answer, names)
    for index, answer in enumerate(answers):
        yield _chunk(base, index, {}, finish=_finish(answer, names))
    if usage is not None:
        yield Event(_encode({**base, "choices": [], "usage": usage}))


def _choice(base: Fields, index: int, answer: Answer, names: Sequence[str]) -> Iterator[Event]:
    yield _chunk(base, index, {"role": "assistant", "content": "", "refusal": None})
    for piece in cut(_THOUGHT, 6):
        details = [{**_DETAIL, "text": piece}]
        thought: Fields = {"reasoning_content": piece, "reasoning": piece, "reasoning_details": details}
        yield _chunk(base, index, {"content": None, **thought})
    for piece in answer.pieces:
        told = {"content": logprobs([piece]), "refusal": None}
        yield _chunk(base, index, {"content": piece}, visible=1, padded=piece, logprobs=told)
    yield _chunk(base, index, {"annotations": [_ANNOTATION]})
    for piece in cut(_REFUSAL, 8):
        yield _chunk(base, index, {"refusal": piece}, padded=piece)
    yield _chunk(base, index, {"audio": {"id": f"audio_mock{index}", "transcript": ""}})
    for piece in cut(SOUND, 16):
        yield _chunk(base, index, {"audio": {"data": piece}})
    for piece in cut(_SPOKEN, 3):
        yield _chunk(base, index, {"audio": {"transcript": piece}})
    yield _chunk(base, index, {"audio": {"expires_at": _EXPIRES}})
    for number, name in enumerate(names):
        yield _chunk(base, index, {"tool_calls": [{"index": number, **_call(index, number, name, "")}]})
    for turn in zip_longest(*(cut(_arguments(number), 5) for number in range(len(names))), fillvalue=""):
        calls = [{"index": number, "function": {"arguments": piece}} for number, piece in enumerate(turn)]
        yield _chunk(base, index, {"tool_calls": calls})
    yield _chunk(base, index, {"x_future": {"text": "what comes next", "weight": 0.10}})


def _chunk(
    base: Fields,
    index: int,
    delta: Fields,
    *,
    finish: str | None = None,
    visible: int = 0,
    padded: str = "",
    logprobs: Fields | None = None,
) -> Event:
    choice = {
        "index": index,
        "delta": delta,
        "logprobs": logprobs,
        "finish_reason": finish,
        "content_filter_results": _SAFE,
    }
    chunk = {**base, "choices": [choice]}
    if padded:
        chunk["obfuscation"] = obfuscation(padded)
    return Event(_encode(chunk), visible=visible, finish=finish is not None)


def _arguments(number: int) -> str:
    return f'{{"city":"Roma \\u2713","days":{number}}}'


def _call(index: int, number: int, name: str, arguments: str) -> Fields:
    return {
        "id": f"call_mock{index}{number}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _finish(answer: Answer, names: Sequence[str]) -> str:
    if names:
        return "tool_calls"
    return "length" if answer.truncated else "stop"
