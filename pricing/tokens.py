"""Counts the tokens of text and chats where no provider's `usage` tells them: admission estimates and cut streams.

Exact for OpenAI's text; an estimate with a known error bound for other families (`families.py`), for tools and images.
Time is linear and bounded: of one text at most `EXACT_CHARACTERS` are tokenized, the rest is told by proportion from
pieces spread over the whole text. Money is always taken from `usage` when it comes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from pricing.families import Family, family_of, from_bytes, scaled
from pricing.images import image_tokens
from pricing.vocabulary import EncodingName, load_encoding

if TYPE_CHECKING:
    from tiktoken import Encoding

EXACT_CHARACTERS = 64 * 1024
"""Characters of one text (of all texts of one chat, for `count_chat`) that are tokenized; at most 20 ms of work."""
_PIECE = 4096
_MOST_FAMILIES = 4096

PER_MESSAGE = 3
PER_NAME = 1
PRIMER = 3
"""OpenAI's chat framing: every message, a message's name, and the opening of the answer."""
HIDDEN_PROMPT = 600
"""Most tokens that a provider adds to a prompt by itself (Anthropic's instructions for tool use: up to 530)."""


class EncodingChoice(msgspec.Struct, frozen=True):
    """How a model's text is counted."""

    name: EncodingName
    """The vocabulary that is used."""
    exact: bool
    """It is the model's own."""
    error_bound: float
    """Largest error to expect on text of some length, as a share of the true count (0.4: 40 % too high or too low)."""


class TokenCounter:
    """Counts tokens. Vocabularies load on first use and are kept, one object each; share one counter in a process."""

    def __init__(self) -> None:
        self._encodings: dict[EncodingName, Encoding] = {}
        self._families: dict[str, Family] = {}

    def encoding_for(self, model: str) -> EncodingChoice:
        """The vocabulary for a model, and how far to trust its count."""
        family = self._family(model)
        return EncodingChoice(family.encoding, family.exact, family.error_bound)

    def ready(self, model: str) -> bool:
        """Whether the vocabulary for `model` is loaded."""
        return self._family(model).encoding in self._encodings

    def load(self, model: str) -> None:
        """Load the vocabulary for `model` unless it is: about 0.25 s, 50 MB (o200k_base) or 25 MB (cl100k_base).

        May run on a thread. Raises `VocabularyDamaged` when the package is not whole."""
        self._encoding(self._family(model).encoding)

    def count(self, text: str, model: str) -> int:
        """Tokens of one text; loads the vocabulary if need be. Special tokens in it count as the plain text they are
        to a model that is sent them by a user."""
        family = self._family(model)
        return scaled(family, text, _sampled(self._encoding(family.encoding), text, EXACT_CHARACTERS))

    def count_or_estimate(self, text: str, model: str) -> int:
        """As `count` if the vocabulary is loaded; else an estimate from the bytes. Never loads anything."""
        family = self._family(model)
        encoding = self._encodings.get(family.encoding)
        if encoding is None:
            return from_bytes(family, text)
        return scaled(family, text, _sampled(encoding, text, EXACT_CHARACTERS))

    def count_many_or_estimate(self, texts: Iterable[str], model: str) -> int:
        """Sum of `count_or_estimate` over the texts of one body, with one bound on the work for all of them."""
        family = self._family(model)
        encoding = self._encodings.get(family.encoding)
        if encoding is None:
            return sum(from_bytes(family, text) for text in texts)
        return _Tally(encoding, family).add_all(texts)

    def count_chat(
        self,
        messages: Sequence[Mapping[str, object]],
        model: str,
        tools: Sequence[Mapping[str, object]] = (),
    ) -> int:
        """Input tokens of an OpenAI chat: messages (texts, names, tool calls, images) and tool definitions.

        Exact for OpenAI's text messages and documented to be so for simple tools
        (cookbook.openai.com, "How to count tokens with tiktoken"); tool calls, nested parameters and images are
        estimates. Loads the vocabulary if need be; never fetches an image."""
        family = self._family(model)
        tally = _Tally(self._encoding(family.encoding), family)
        total = PRIMER + sum(_message(message, model, tally) for message in messages)
        return total + (_tools(tools, tally) if tools else 0)

    def count_image(self, url: str, model: str, detail: str = "auto") -> int:
        """Tokens of one image, by its size; `url` is never fetched (see `images.py`)."""
        return image_tokens(url, detail, model, self._family(model))

    def _family(self, model: str) -> Family:
        try:
            return self._families[model]
        except KeyError:
            if len(self._families) >= _MOST_FAMILIES:
                self._families.clear()
            family = self._families[model] = family_of(model)
            return family

    def _encoding(self, name: EncodingName) -> "Encoding":
        encoding = self._encodings.get(name)
        # Two threads may both load; the first to finish wins, so that there is one object.
        return encoding if encoding is not None else self._encodings.setdefault(name, load_encoding(name))


class _Tally:
    """Counts texts of one body within one bound on the characters that are tokenized."""

    def __init__(self, encoding: "Encoding", family: Family) -> None:
        self._encoding = encoding
        self.family = family
        self._left = EXACT_CHARACTERS
        self._seen_characters = 0
        self._seen_tokens = 0

    def add_all(self, texts: Iterable[str]) -> int:
        return sum(map(self.add, texts))

    def add(self, text: str) -> int:
        if not text:
            return 0
        if len(text) <= self._left:
            count = len(self._encoding.encode_ordinary(text))
        elif self._left >= _PIECE:
            count = _sampled(self._encoding, text, self._left)
        else:
            # The bound is reached: the rest is as dense as what was counted so far.
            count = -(-len(text) * self._seen_tokens // self._seen_characters)
        self._left = max(0, self._left - len(text))
        self._seen_characters += len(text)
        self._seen_tokens += count
        return scaled(self.family, text, count)


def _sampled(encoding: "Encoding", text: str, most: int) -> int:
    """Tokens of `text`, exactly if it has at most `most` characters, else by proportion from spread pieces."""
    if len(text) <= most:
        return len(encoding.encode_ordinary(text))
    pieces = most // _PIECE
    stride = (len(text) - _PIECE) // max(1, pieces - 1) if pieces > 1 else 0
    counted = sum(len(encoding.encode_ordinary(text[at * stride : at * stride + _PIECE])) for at in range(pieces))
    return -(-counted * len(text) // (pieces * _PIECE))


def _message(message: Mapping[str, object], model: str, tally: _Tally) -> int:
    total = PER_MESSAGE
    for key, value in message.items():
        if key == "name":
            total += PER_NAME
        if isinstance(value, str):
            total += tally.add(value)
        elif key == "content" and isinstance(value, Sequence):
            total += _parts(cast(Sequence[object], value), model, tally, depth=0)
        elif key in ("tool_calls", "function_call") and value:
            total += _calls(value, tally)
    return total


def _parts(parts: Sequence[object], model: str, tally: _Tally, depth: int) -> int:
    return 0 if depth > 8 else sum(_part(part, model, tally, depth) for part in parts)


def _part(part: object, model: str, tally: _Tally, depth: int = 0) -> int:
    """One content part: text, an image, or a tool result of such parts (chat's, Responses' or Anthropic's)."""
    if isinstance(part, str):
        return tally.add(part)
    if not isinstance(part, Mapping):
        return 0
    item = cast(Mapping[str, object], part)
    image = item.get("image_url")
    if isinstance(image, Mapping):
        fields = cast(Mapping[str, object], image)
        return image_tokens(str(fields.get("url", "")), str(fields.get("detail", "auto")), model, tally.family)
    if isinstance(image, str):
        return image_tokens(image, str(item.get("detail", "auto")), model, tally.family)
    source = item.get("source")
    if isinstance(source, Mapping) and item.get("type") == "image":
        data = cast(Mapping[str, object], source).get("data")
        return image_tokens(f"data:;base64,{data}" if isinstance(data, str) else "", "auto", model, tally.family)
    nested = item.get("content")
    if isinstance(nested, Sequence):
        return (
            _part(nested, model, tally)
            if isinstance(nested, str)
            else _parts(cast(Sequence[object], nested), model, tally, depth + 1)
        )
    return sum(tally.add(text) for key in ("text", "refusal") if isinstance(text := item.get(key), str))


def _calls(value: object, tally: _Tally) -> int:
    """Tool calls of an assistant's message; undocumented, taken as name and arguments framed like a message."""
    calls = cast(Sequence[object], value) if isinstance(value, Sequence) else (value,)
    total = 0
    for call in calls:
        if not isinstance(call, Mapping):
            continue
        item = cast(Mapping[str, object], call)
        function = item.get("function", item)
        if not isinstance(function, Mapping):
            continue
        fields = cast(Mapping[str, object], function)
        texts = [text for key in ("name", "arguments") if isinstance(text := fields.get(key), str)]
        total += PER_MESSAGE + tally.add_all(texts)
    return total


def _tools(tools: Sequence[Mapping[str, object]], tally: _Tally) -> int:
    """OpenAI's arithmetic for function definitions: 7 (10 before gpt-4o) to a function, 3 to a property, and so on."""
    opening = 10 if tally.family.encoding == "cl100k_base" else 7
    total = 12
    for tool in tools:
        function = tool.get("function", tool)
        if not isinstance(function, Mapping):
            continue
        fields = cast(Mapping[str, object], function)
        description = str(fields.get("description") or "").removesuffix(".")
        total += opening + tally.add(f"{fields.get('name', '')}:{description}")
        total += _properties(fields.get("parameters", fields.get("input_schema")), tally, depth=0)
    return total


def _properties(schema: object, tally: _Tally, depth: int) -> int:
    """Properties of a parameter schema. Only flat ones are documented; nested ones are counted alike."""
    if not isinstance(schema, Mapping) or depth > 8:
        return 0
    properties = cast(Mapping[str, object], schema).get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return 0
    total = 3
    for key, value in cast(Mapping[str, object], properties).items():
        total += 3
        if not isinstance(value, Mapping):
            continue
        fields = cast(Mapping[str, object], value)
        options = fields.get("enum")
        if isinstance(options, Sequence) and not isinstance(options, str):
            total += sum(3 + tally.add(str(option)) for option in cast(Sequence[object], options)) - 3
        description = str(fields.get("description") or "").removesuffix(".")
        total += tally.add(f"{key}:{fields.get('type', '')}:{description}")
        total += _properties(fields, tally, depth + 1) + _properties(fields.get("items"), tally, depth + 1)
    return total
