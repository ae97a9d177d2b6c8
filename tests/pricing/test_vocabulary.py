"""The packaged vocabularies are tiktoken's, and nothing reaches for the network or tiktoken's cache."""

import hashlib
import os
import socket
import subprocess
import sys
import zlib
from pathlib import Path
from typing import NoReturn

import pytest
import tiktoken_ext.openai_public as official

import pricing.vocabulary as vocabulary
from pricing.tokens import TokenCounter
from pricing.vocabulary import SHA256, EncodingName, VocabularyDamaged, load_encoding, ranks_text

NAMES: list[EncodingName] = ["o200k_base", "cl100k_base"]


@pytest.mark.parametrize("name", NAMES)
def test_ranks_are_the_text_that_tiktoken_expects(name: EncodingName, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same SHA-256, pattern and special tokens as tiktoken's own constructor, which is run with our ranks."""
    wanted: list[str | None] = []

    def given(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
        wanted.append(expected_hash)
        return {b"a": 0}

    monkeypatch.setattr(official, "load_tiktoken_bpe", given)
    constructed = getattr(official, name)()
    assert wanted == [SHA256[name]] == [hashlib.sha256(ranks_text(name)).hexdigest()]
    ours = load_encoding(name)
    assert ours._pat_str == constructed["pat_str"]
    assert ours._special_tokens == constructed["special_tokens"]
    assert ours.name == constructed["name"]
    assert ours.n_vocab == max(constructed["special_tokens"].values()) + 1


def test_known_encodings() -> None:
    """Tokens that OpenAI's documentation and tiktoken's own tests show."""
    o200k, cl100k = load_encoding("o200k_base"), load_encoding("cl100k_base")
    assert cl100k.encode_ordinary("hello world") == [15339, 1917]
    assert o200k.encode_ordinary("hello world") == [24912, 2375]
    for encoding in (o200k, cl100k):
        for text in ("tiktoken is great!", "Ünïcödé 漢字 🚀\r\n\t x", "<|endoftext|>", "\x00\ufffd"):
            assert encoding.decode(encoding.encode_ordinary(text)) == text


def test_no_socket_is_opened_and_tiktoken_s_cache_is_left_alone(tmp_path: Path) -> None:
    """In a fresh interpreter: no socket, the cache directory's variable is neither read nor changed, its file stays.

    The file bears the name tiktoken would look for, with a wrong content that it would delete and download again."""
    trap = (
        tmp_path / hashlib.sha1(b"https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken").hexdigest()
    )
    trap.write_bytes(b"not a vocabulary")
    script = """
import os, socket
class Watched(dict):
    read = []
    def __getitem__(self, key):
        Watched.read.append(key)
        return dict.__getitem__(self, key)
    def __contains__(self, key):
        Watched.read.append(key)
        return dict.__contains__(self, key)
    def get(self, key, default=None):
        Watched.read.append(key)
        return dict.get(self, key, default)
def refused(*args, **kwargs):
    raise AssertionError("a socket was opened")
before = dict(os.environ)
from pricing.tokens import TokenCounter
socket.socket = socket.create_connection = socket.getaddrinfo = refused
os.environ = Watched(os.environ)
counter = TokenCounter()
chat = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]
assert counter.count("hello world", "gpt-4o") == 2 and counter.count("hello world", "gpt-4") == 2
assert counter.count_chat(chat, "gpt-4o") > 85
assert not [key for key in Watched.read if "CACHE" in str(key) or "TIKTOKEN" in str(key)], Watched.read
assert dict(os.environ) == before
"""
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert trap.read_bytes() == b"not a vocabulary"
    assert list(tmp_path.iterdir()) == [trap]


def test_a_damaged_vocabulary_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "_DIRECTORY", tmp_path)
    with pytest.raises(VocabularyDamaged, match="cannot be read"):
        load_encoding("cl100k_base")
    (tmp_path / "cl100k_base.tiktoken.zz").write_bytes(zlib.compress(b"IQ== 0\n"))
    with pytest.raises(VocabularyDamaged, match="SHA-256"):
        load_encoding("cl100k_base")


def test_one_object_per_encoding_and_nothing_loads_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: EncodingName) -> object:
        loaded.append(name)
        return load_encoding("cl100k_base")

    monkeypatch.setattr("pricing.tokens.load_encoding", load)
    counter = TokenCounter()
    assert not counter.ready("gpt-4o")
    assert counter.count_or_estimate("some text", "gpt-4o") > 0
    assert counter.count_many_or_estimate(["some", "text"], "gpt-4o") > 0
    assert loaded == []
    counter.load("gpt-4o")
    counter.load("gpt-5-mini")
    counter.load("claude-sonnet-4-5")
    assert loaded == ["o200k_base"]
    assert counter.ready("o3")
    assert not counter.ready("gpt-4")


def test_the_build_tool_s_unrolling() -> None:
    from tools.build_vocab import ranks_text as unroll

    script = 'export default {"bpe_ranks": "! 2 Yw== ZA==\\n! 0 YQ== Yg==\\n"};'
    assert unroll(script) == b"YQ== 0\nYg== 1\nYw== 2\nZA== 3\n"


def _refuse(*args: object) -> NoReturn:
    raise AssertionError("a socket was opened")


def test_counting_in_this_process_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", _refuse)
    assert TokenCounter().count("hello world", "gpt-4") == 2
