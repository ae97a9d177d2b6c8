"""Which tokenizer a model has, and how far its count can be told from OpenAI's.

OpenAI's models are counted exactly. Of the others only some publish a tokenizer; all are estimated from the o200k_base
count n of the same text:

    ASCII text      tokens = plain·n + digit·(number of digits)
    other scripts   tokens = other·n

The constants were fitted in November 2026 on 17 kinds of text (prose, Markdown, Python, TypeScript, JSON, logs,
numbers, hexadecimal; nine other languages) against tokenizers that anybody can install: Gemma 3 (shared by Gemini),
Llama 3, Mistral's tekken, DeepSeek V4, Qwen 3, and `ctok`, a reconstruction of Claude's counts. Families without one
get the middle of those. Tokenizers that split numbers into single digits need the second term: o200k_base groups three.
`docs/prices.md` has the table of errors that `error_bound` sums up.
"""

import re
from typing import Literal

import msgspec

from pricing.vocabulary import EncodingName

ImageRule = Literal["openai", "claude", "gemini", "other"]


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """How the tokens of some models are counted."""

    name: str
    encoding: EncodingName = "o200k_base"
    exact: bool = False
    plain: float = 1.0
    digit: float = 0.0
    other: float = 1.0
    error_bound: float = 0.0
    """Largest error measured over all kinds of text, as a share of the true count."""
    images: ImageRule = "other"


_O200K = Family(name="o200k_base", exact=True, images="openai")
_CL100K = Family(name="cl100k_base", encoding="cl100k_base", exact=True, images="openai")
_NEW_OPENAI = Family(name="openai-new", error_bound=0.5, images="openai")
_OLD_OPENAI = Family(name="openai-legacy", encoding="cl100k_base", other=1.2, error_bound=0.5)
_CLAUDE_3 = Family(name="claude-3", plain=1.18, digit=-0.1, other=1.46, error_bound=0.4, images="claude")
_CLAUDE_4_7 = Family(name="claude-4.7", plain=1.41, digit=-0.2, other=1.46, error_bound=0.4, images="claude")
_GEMINI = Family(name="gemini", plain=1.1, digit=0.45, other=0.8, error_bound=0.33, images="gemini")
_LLAMA = Family(name="llama", plain=1.0, other=1.15, error_bound=0.36)
_MISTRAL = Family(name="mistral", plain=1.05, digit=0.5, other=1.0, error_bound=0.13)
_DEEPSEEK = Family(name="deepseek", plain=1.03, other=1.0, error_bound=0.43)
_QWEN = Family(name="qwen", plain=0.98, digit=0.55, other=1.2, error_bound=0.65)
_UNKNOWN = Family(name="unknown", plain=1.1, digit=0.3, other=1.2, error_bound=0.65)

_BY_NAME: tuple[tuple["re.Pattern[str]", Family], ...] = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"^(ft:)?(gpt-4(-|$)|gpt-3\.5|gpt-35|davinci-002|babbage-002|text-embedding-(3|ada))", _CL100K),
        (r"^(ft:)?(gpt-(4o|4\.[15]|5|oss)|chatgpt-4o|o[134](-|$)|codex-mini|computer-use)", _O200K),
        (r"^(ft:)?(gpt-([6-9]|image|audio|realtime|live|chat|transcribe)|chatgpt-|omni-mod|chat-latest)", _NEW_OPENAI),
        (r"^(text|code|ada|babbage|curie|davinci|cushman|gpt-?2)", _OLD_OPENAI),
        (r"gemini|gemma|palm|learnlm", _GEMINI),
        (r"(mi|code|dev|magi|mini|pix|vox)stral|mixtral", _MISTRAL),
        (r"deepseek", _DEEPSEEK),
        (r"qwen|qwq|qvq", _QWEN),
        (r"llama|hermes|nemotron", _LLAMA),
        (r"gpt-(4o|4\.[15]|5|oss)", _O200K),
    )
)
_SAMPLES, _SAMPLE = 64, 16_384
"""Stretches of a huge text that are counted for all of it, and the characters of each."""
_CLAUDE = re.compile(r"claude")
_CLAUDE_VERSION = re.compile(r"(?:^|[-.:/])(\d{1,2})(?:[-.](\d{1,2}))?(?=$|[-.@:v])")


def family_of(model: str) -> Family:
    """The family of a model's name, vendor prefixes (`openai/`, `us.anthropic.`) allowed. Not cached: about 5 µs."""
    name = model.lower()
    if _CLAUDE.search(name):
        return _claude(name)
    bare = name.rpartition("/")[2]
    return next((family for pattern, family in _BY_NAME if pattern.search(bare)), _UNKNOWN)


def _claude(name: str) -> Family:
    """Claude's tokenizer changed with version 4.7; a name without a version is taken for a new one."""
    version = _CLAUDE_VERSION.search(name[name.index("claude") + 6 :])
    if version is None:
        return _CLAUDE_3 if "instant" in name else _CLAUDE_4_7
    return _CLAUDE_3 if (int(version[1]), int(version[2] or 0)) < (4, 7) else _CLAUDE_4_7


def scaled(family: Family, text: str, count: int) -> int:
    """The family's tokens for a text whose count in the family's encoding is `count`."""
    if family.exact or not count:
        return count
    data = text.encode("utf-8", "replace")
    if len(data) > len(text) * 1.0075:
        return max(1, round(family.other * count))
    digits = len(data) - len(data.translate(None, b"0123456789")) if family.digit else 0
    return max(1, round(family.plain * count + family.digit * digits))


def from_bytes(family: Family, text: str) -> int:
    """An estimate without any vocabulary: a token to four bytes of text, one to two digits, scaled to the family.

    Off by up to 35 % on Latin script, code, JSON and logs; up to 2.3 times too high on scripts of two or three bytes a
    letter (Cyrillic, Hindi), which stays on the safe side. Of a text of more than a million
    characters as many are counted, evenly taken from all of it."""
    if not text:
        return 0
    if len(text) > _SAMPLES * _SAMPLE:
        step = len(text) // _SAMPLES
        sample = "".join([text[at * step : at * step + _SAMPLE] for at in range(_SAMPLES)])
        return round(from_bytes(family, sample) * (len(text) / len(sample)))
    data = text.encode("utf-8", "replace")
    digits = len(data) - len(data.translate(None, b"0123456789"))
    return max(1, round(family.plain * (len(data) - digits) / 4 + max(0.5, family.digit + 1 / 3) * digits))
