"""Private key blocks: whole, cut off, escaped, in code; and what only looks like one."""

import random
import string

import pytest

from guardrails.detector import Match
from guardrails.secrets.blocks import LONGEST, find, open_from
from tests.guardrails.secrets.conftest import Scan

BASE64 = string.ascii_letters + string.digits + "+/"


def lines(count: int, width: int = 64) -> list[str]:
    chance = random.Random(count)
    return ["".join(chance.choices(BASE64, k=width)) for _ in range(count)]


def block(kind: str = "RSA PRIVATE KEY", body: list[str] | None = None, gap: str = "\n", end: bool = True) -> str:
    closing = [f"-----END {kind}-----"] if end else []
    return gap.join([f"-----BEGIN {kind}-----", *(body or [*lines(5), "Ab9="]), *closing])


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY",
                                  "OPENSSH PRIVATE KEY", "DSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])  # fmt: skip
@pytest.mark.parametrize("gap", ["\n", "\r\n", "\\n", "\\r\\n", " ", "\n    ", '\\n" +\n  "', "\n> "])
def test_the_whole_block_is_found(kind: str, gap: str, scan: Scan) -> None:
    text = block(kind, gap=gap)
    found = scan(f"key: {text}\nafter")
    assert [(m.start, m.end) for m in found] == [(5, 5 + len(text))]
    assert found[0].rule == ("secret.private-key.pgp" if "PGP" in kind else "secret.private-key.pem")


def end_of(match: Match | None) -> int:
    return match.end if match else -1


def scored(match: Match | None) -> float:
    return match.score if match else -1


def test_headers_and_checksum_line_belong_to_it() -> None:
    text = block(
        "PGP PRIVATE KEY BLOCK", ["Version: GnuPG v2", "Comment: on a boat - really", "", *lines(4), "abc", "=aB3d"]
    )
    assert end_of(find(text, 0)) == len(text)
    text = block(body=["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0F1E2D", "", *lines(4)])
    assert end_of(find(text, 0)) == len(text)


def test_what_was_cut_off_is_masked_as_far_as_it_goes() -> None:
    text = block(end=False)
    assert end_of(find(text + "\n\nThat was it.", 0)) >= len(text)
    assert scored(find(text, 0)) < 0.95


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----\n" + "a" * 64,
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY----- and prose behind it",
    ],
)
def test_nothing_is_in_it(text: str) -> None:
    assert find(text, 0) is None


def test_a_block_is_open_until_nothing_can_change_it() -> None:
    text = block()
    for cut in range(11, len(text)):
        assert open_from("x " + text[:cut]) == 2, text[:cut]
    assert open_from(text) is None
    assert open_from("it says `-----BEGIN PRIVATE KEY-----` and some more words") is None
    assert open_from("-----BEGIN CERTIFICATE-----\n") is None


def test_length_is_bounded() -> None:
    text = block(body=lines(2_000), end=False)
    assert end_of(find(text, 0)) <= LONGEST
    assert open_from(text) is None
