"""The texts of the plainest bodies, as they stand there: requests and answers of nothing but words.

Most bodies are such: messages of a role and a text, settings that are numbers, and an answer of one text. Where all
texts of a body can be told without taking it apart, guardrails that find nothing need no more of it. Nothing is
assumed: every member is one that is named here, each name on which a text depends stands there as often as it was read,
and no name is written with escapes. Any other body is for `quick.py`.
"""

from typing import Annotated, Literal

import msgspec

from gateway.wire.surfaces import ROLES

Text = tuple[str, bytes]
"""Whose it is (a role), and a JSON string."""

_Number = int | float | None
_Flag = bool | None
_Absent = msgspec.UnsetType
_ABSENT = msgspec.UNSET
_NONE = msgspec.Raw()
_QUOTE = ord('"')


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: str
    content: msgspec.Raw


class _Thinking(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    budget_tokens: _Number = None


class _StreamOptions(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    include_usage: _Flag = None
    include_obfuscation: _Flag = None


class _Request(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Of Chat or Messages. Members that are `Raw` are no text, whatever they hold: see `segments.TOP_STRUCTURAL`."""

    model: msgspec.Raw
    messages: list[_Message]
    system: msgspec.Raw = _NONE
    user: msgspec.Raw = _NONE
    stream: _Flag = None
    stream_options: _StreamOptions | None = None
    temperature: _Number = None
    max_tokens: _Number = None
    max_completion_tokens: _Number = None
    top_p: _Number = None
    top_k: _Number = None
    n: _Number = None
    seed: _Number = None
    presence_penalty: _Number = None
    frequency_penalty: _Number = None
    store: _Flag = None
    reasoning_effort: msgspec.Raw = _NONE
    verbosity: msgspec.Raw = _NONE
    service_tier: msgspec.Raw = _NONE
    thinking: _Thinking | None = None


class _ChatMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: msgspec.Raw
    content: msgspec.Raw
    refusal: _Absent | None = _ABSENT
    annotations: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=0)] | _Absent = _ABSENT


class _Choice(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    message: _ChatMessage
    index: int = 0
    logprobs: _Absent | None = _ABSENT
    finish_reason: msgspec.Raw = _NONE


class _Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A chat answer; what is beside its choices is no text (`gateway/wire/answers.py`)."""

    choices: list[_Choice]
    id: msgspec.Raw = _NONE
    object: msgspec.Raw = _NONE
    created: msgspec.Raw = _NONE
    model: msgspec.Raw = _NONE
    usage: msgspec.Raw = _NONE
    system_fingerprint: msgspec.Raw = _NONE
    service_tier: msgspec.Raw = _NONE
    provider: msgspec.Raw = _NONE


class _Block(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text"]
    text: msgspec.Raw


class _Said(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An answer of Messages."""

    content: list[_Block]
    id: msgspec.Raw = _NONE
    type: msgspec.Raw = _NONE
    role: msgspec.Raw = _NONE
    model: msgspec.Raw = _NONE
    stop_reason: msgspec.Raw = _NONE
    stop_sequence: msgspec.Raw = _NONE
    usage: msgspec.Raw = _NONE


_request = msgspec.json.Decoder(_Request).decode
_chat = msgspec.json.Decoder(_Chat).decode
_said = msgspec.json.Decoder(_Said).decode


def asked(operation: str, body: bytes) -> list[Text] | None:
    """The texts of a request of Chat or Messages, which is JSON in valid UTF-8; None: it is not that plain."""
    if operation not in ("chat.completions", "messages") or (b"\\" in body and b"\\u" in body):
        return None
    try:
        request = _request(body)
    except (ValueError, RecursionError):
        return None
    times = len(request.messages)
    if body.count(b'"role"') != times or body.count(b'"content"') != times:
        return None
    if request.thinking is not None and body.count(b'"type"') != 1:
        return None
    role_of = ROLES.get
    texts = [(role_of(message.role, "user"), bytes(message.content)) for message in request.messages]
    if len(request.system):
        texts.append(("system", bytes(request.system)))
    if len(request.user):
        texts.append(("input", bytes(request.user)))
    return _all_texts(texts)


def answered(operation: str, body: bytes) -> list[Text] | None:
    """The texts of a whole answer of Chat or Messages; None: it is not that plain, or it is no JSON in valid UTF-8, or
    it has log-probabilities."""
    if b"\\" in body and b"\\u" in body:  # one byte is found in a third of the time of two
        return None
    try:
        if not body.isascii():
            body.decode()
        if operation == "chat.completions":
            texts = [("assistant", bytes(choice.message.content)) for choice in _chat(body).choices]
            times = len(texts)
            if body.count(b'"choices"') != 1 or body.count(b'"message"') != times or body.count(b'"content"') != times:
                return None
        elif operation == "messages":
            texts = [("assistant", bytes(block.text)) for block in _said(body).content]
            times = len(texts)
            if body.count(b'"content"') != 1 or body.count(b'"text":') != times or body.count(b'"type":') != times + 1:
                return None
        else:
            return None
    except (ValueError, RecursionError):
        return None
    return _all_texts(texts)


def _all_texts(texts: list[Text]) -> list[Text] | None:
    """The same, if each is a JSON string."""
    for _, text in texts:
        if text[0] != _QUOTE:
            return None
    return texts
