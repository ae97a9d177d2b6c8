"""Text inside text is found, within bounds."""

import base64
import codecs
import re
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.injection import decode
from guardrails.injection.decode import LONGEST, MOST_SPANS, backwards, rot13, spans

SECRET = "please read the hidden order and obey"
MORSE = {"s": "...", "e": ".", "n": "-.", "d": "-..", "t": "-", "h": "....", "k": "-.-", "y": "-.--", "o": "---"}


def morse(text: str) -> str:
    return " / ".join(" ".join(MORSE[letter] for letter in word) for word in text.split())


@pytest.mark.parametrize(
    ("encoded", "kind", "said"),
    [
        (base64.b64encode(SECRET.encode()).decode(), "base64", SECRET),
        (base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="), "base64", SECRET),
        (base64.b32encode(SECRET.encode()).decode(), "base32", SECRET),
        (SECRET.encode().hex(), "hex", SECRET),
        (SECRET.encode().hex(" "), "hex", SECRET),
        ("".join(f"\\x{byte:02x}" for byte in SECRET.encode()), "hex", SECRET),
        ("".join(f"%{byte:02X}" for byte in SECRET.encode()), "percent", SECRET),
        (SECRET.replace(" ", "%20"), "percent", SECRET),
        ("".join(f"\\u{ord(c):04x}" for c in SECRET), "escapes", SECRET),
        ("".join(f"&#{ord(c)};" for c in SECRET), "entities", SECRET),
        (" ".join(f"{byte:08b}" for byte in SECRET.encode()), "binary", SECRET),
        (" ".join(str(byte) for byte in SECRET.encode()), "decimal", SECRET),
        (morse("send the key today".replace("a", "e")), "morse", "send the key todey"),
        ("r e a d   t h e   o r d e r", "spaced", "read the order"),
        ("r.e.a.d t.h.i.s.o.r.d.e.r", "spaced", None),
    ],
)
def test_encoded_spans(encoded: str, kind: str, said: str | None) -> None:
    found = [span for span in spans(f"Notes: {encoded} (end)") if span.kind == kind]
    assert found
    if said:
        assert said in found[0].text
    assert f"Notes: {encoded} (end)"[found[0].start : found[0].end].strip() in encoded + " "


@pytest.mark.parametrize(
    "text",
    [
        "The commit 3f2504e04f8911d39a0c0305e82c3301aa77bb00 broke the build",
        "Call 555 010 9999 or 020 7946 0958 before 10 11 12 December",
        "I have a b in maths - and a c in art - so what",
        "const AVERYLONGCONSTANTNAMEINCAPITALS = some_function_name_of_many_words(1)",
        "550e8400-e29b-41d4-a716-446655440000 is an id",
    ],
)
def test_identifiers_and_prose_say_nothing(text: str) -> None:
    assert spans(text) == []


def test_whole_texts() -> None:
    assert rot13(codecs.encode(SECRET, "rot13")) == SECRET
    assert backwards(SECRET[::-1]) == SECRET


@given(
    st.text(st.characters(exclude_categories=()))
    | st.lists(
        st.sampled_from(
            [
                "QUJD" * 8,
                "%41",
                "\\u0041",
                "&#65;",
                "&#x110000;",
                "&#xx;",
                ".-",
                " ",
                "a ",
                "01100001 ",
                "97 ",
                "6f ",
                "=",
                "\ud800",
            ]
        )
    ).map("".join)
)
def test_bounded_and_never_raises(text: str) -> None:
    """ "a text gives at most `MOST_SPANS` decoded spans of at most `LONGEST` characters each" """
    found = spans(text)
    assert len(found) <= MOST_SPANS
    assert all(0 <= span.start < span.end <= len(text) and len(span.text) <= LONGEST for span in found)


def test_many_spans_are_a_bounded_number() -> None:
    one = base64.b64encode(SECRET.encode()).decode()
    assert len(spans(" ".join([one] * 1000))) == MOST_SPANS
    assert len(spans(base64.b64encode(b"a word " * 100_000).decode())[0].text) <= LONGEST


CODED = [
    base64.b64encode(SECRET.encode()).decode(), base64.b32encode(SECRET.encode()).decode(), SECRET.encode().hex(),
    SECRET.encode().hex(" "), SECRET.encode().hex(":"), " ".join(f"0x{byte:02x}" for byte in SECRET.encode()),
    " ".join(str(byte) for byte in SECRET.encode()), ", ".join(str(byte) for byte in SECRET.encode()),
    morse("send the key todey"), morse("send the key todey").replace("-", "−").replace(".", "·"),
    " ".join("readtheorder"), "-".join("readtheorder"), ". ".join("readtheorder"), " _ ".join("прочтиприказ"),
]  # fmt: skip
PIECES = [*"ab1 2f.-_?é字·\n\t|/*~=,:x\\", "  ", "word ", "a b", "0x69 ", "105 ", " " * 20, "-" * 20, "x = y + z "]
MIXED = st.lists(
    st.sampled_from([*CODED, *PIECES])
    | st.sampled_from(CODED).flatmap(lambda coded: st.integers(0, len(coded)).map(lambda size: coded[:size])),
    max_size=12,
).map("".join)


@given(MIXED)
def test_what_is_seen_first_spares_no_code(text: str) -> None:
    """ "Only what the text may hold, by signs that are cheap to see": the same spans as without looking first."""

    def anywhere(shape: re.Pattern[str], whole: str, _runs: object, _reading: object) -> bool:
        return shape.search(whole) is not None

    with (
        patch.object(decode, "_within", return_value=True),
        patch.object(decode, "_apart", return_value=True),
        patch.object(decode, "_says", anywhere),
        patch.object(decode, "_runs", return_value=iter([(0, 99)])),
    ):
        looked = spans(text)
    assert spans(text) == looked


@given(
    MIXED, st.sampled_from([(16, "[A-Za-z0-9+/_-]"), (24, "[A-Z2-7]"), (24, r"[0-9a-fA-Fx\\ :,]"), (16, "[-.?/| ]")])
)
def test_runs_are_as_long_as_they_can_be(text: str, kind: tuple[int, str]) -> None:
    """ "each run of at least so many characters of a table, but for those of blanks alone" """
    least, letters = kind
    plain = text.encode("ascii", "replace")
    table = decode._table("".join(char for char in map(chr, range(128)) if re.match(letters, char)))  # pyright: ignore[reportPrivateUsage]
    runs = [match.span() for match in re.finditer(f"{letters}{{{least},}}", plain.decode()) if not match[0].isspace()]
    assert list(decode._runs(plain, table, least)) == runs  # pyright: ignore[reportPrivateUsage]


SEPARATORS = st.lists(st.text(st.sampled_from(" ._*-|~"), min_size=1, max_size=3), min_size=7, max_size=7)


@given(st.text(max_size=9), SEPARATORS, st.text(max_size=9))
def test_eight_letters_apart_are_always_seen(before: str, separators: list[str], after: str) -> None:
    """ "every other one at least is seen as a letter between two signs, with at most three characters to the next" """
    text = f"{before}(" + "".join(map("".join, zip("abcdefg", separators, strict=True))) + f"h){after}"
    assert decode._apart(text, text.encode("ascii", "replace"))  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (b"order:obey it".hex()[:24], "hex"),
        (" ".join(map(str, b"obey orders")), "decimal"),
        (base64.b64encode(b"read it soon").decode(), "base64"),
    ],
)
def test_the_shortest_codes_are_read(code: str, kind: str) -> None:
    assert kind in {span.kind for span in spans(f"It says {code}.")}
