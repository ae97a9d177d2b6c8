"""OpenAI's token vocabularies from this package: tiktoken's tokenizer without tiktoken's downloads.

tiktoken's own constructors read a cache directory named by an environment variable, delete what does not match and ask
the network for it. Here its `Encoding` is built from the packaged ranks, which must have the SHA-256 that tiktoken
itself expects; neither that variable nor a socket is touched. `tools/build_vocab.py` makes the files.
"""

import binascii
import hashlib
import zlib
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tiktoken import Encoding

EncodingName = Literal["o200k_base", "cl100k_base"]

SHA256: dict[EncodingName, str] = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
"""Of the ranks text, `token rank` lines; as in tiktoken_ext/openai_public.py."""

_PATTERNS: dict[EncodingName, str] = {
    "o200k_base": "|".join(
        [
            r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
            r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
            r"""\p{N}{1,3}""",
            r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
            r"""\s*[\r\n]+""",
            r"""\s+(?!\S)""",
            r"""\s+""",
        ]
    ),
    "cl100k_base": r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",  # noqa: E501
}
_SPECIAL: dict[EncodingName, dict[str, int]] = {
    "o200k_base": {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
    "cl100k_base": {
        "<|endoftext|>": 100257,
        "<|fim_prefix|>": 100258,
        "<|fim_middle|>": 100259,
        "<|fim_suffix|>": 100260,
        "<|endofprompt|>": 100276,
    },
}
_DIRECTORY = Path(__file__).parent / "vocab"


class VocabularyDamaged(Exception):
    """A packaged vocabulary is missing, or is not what it must be."""


def ranks_text(name: EncodingName) -> bytes:
    """The ranks of one encoding, as tiktoken would download them. Raises `VocabularyDamaged`."""
    try:
        text = zlib.decompress((_DIRECTORY / f"{name}.tiktoken.zz").read_bytes())
    except (OSError, zlib.error) as error:
        raise VocabularyDamaged(f"vocabulary {name} cannot be read ({type(error).__name__})") from error
    if hashlib.sha256(text).hexdigest() != SHA256[name]:
        raise VocabularyDamaged(f"vocabulary {name} does not have the SHA-256 {SHA256[name]}")
    return text


def load_encoding(name: EncodingName) -> "Encoding":
    """Build one encoding. About 0.25 s and 50 MB for o200k_base, half for cl100k_base; half of that time the
    interpreter lock is held, so other threads pause: load before traffic where that matters."""
    from tiktoken import Encoding

    tokens = ranks_text(name).split()[::2]
    encoding = Encoding(
        name,
        pat_str=_PATTERNS[name],
        mergeable_ranks=dict(zip(map(binascii.a2b_base64, tokens), count())),
        special_tokens=_SPECIAL[name],
    )
    # Encoding keeps the Python ranks only to pickle itself; the tokenizer has its own copy. They are 25 MB.
    vars(encoding)["_mergeable_ranks"] = {}
    return encoding
