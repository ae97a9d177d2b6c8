"""Undo what hides text from a reader of words: invisible characters, look-alike letters, styled alphabets.

`fold` replaces character by character, so that every offset of the result has one in the source. ASCII text is
returned as it is.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate, compress
from operator import add
from types import MappingProxyType

import msgspec

_TAGS = range(0xE0020, 0xE007F)
"""Unicode tag characters: invisible copies of printable ASCII (Unicode 16, section 23.9)."""
_SHAPELESS = frozenset({"Cf", "Mn", "Me", "Cc"})
"""General categories without a shape of their own, but for the marks that `_shape` keeps."""
_SPACES = frozenset({"Zs", "Zl", "Zp"})
_INVISIBLE = "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2064\ufeff"

_SIGNALS = (
    (
        "tags",
        1,
        re.compile("(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0020-\U000e007e]|[\U000e0020-\U000e007e]{9}"),
    ),  # not the flag of a region
    ("invisible", 1, re.compile(f"[A-Za-z][{_INVISIBLE}]+[A-Za-z]")),
    ("bidi", 1, re.compile("[\u202d\u202e]")),
    ("styled", 4, re.compile("[\U0001d400-\U0001d7ff\u24b6-\u24e9\U0001f130-\U0001f18f\uff21-\uff3a\uff41-\uff5a]")),
    ("smallcaps", 4, re.compile("[ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ]")),
    ("marks", 8, re.compile("[\u0300-\u036f]{3}")),
)
"""Name, how many times it must occur to count, and what it looks like."""

_SUSPICIOUS = re.compile(
    f"[\U000e0020-\U000e007e{_INVISIBLE}\u202d\u202e\U0001d400-\U0001d7ff\u24b6-\u24e9\U0001f130-\U0001f18f"
    "\uff21-\uff3a\uff41-\uff5a\u1d00-\u1d7f\u0260-\u029f\ua730\ua731\u0300-\u036f]"
)
"""Every character by which one of the shapes is told, and some more."""
_LONGEST = 4
"""Characters one is folded to. Some signs are whole words, and one Arabic ligature is four: a text of them would cost
many times what its length says, and nobody hides words of his own in them."""
_FEW = 24
"""Different characters up to which replacing each is faster than looking every character up."""

_SMALL = str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢıɑɡɩʋƅϱɵ", "abcdefghijklmnoprstuvwyziagiubpo")
"""Latin letters of other shapes: always the plain letter."""
_LOOKALIKE = str.maketrans(
    "абвгдеёзікмнорстсухуѕјһԁԛԝѵӏАВЕЅІЈКМНОРСТУХ" + "αβγεικνορτυχωϲϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "a6brdee3ikmhopctcyxysjhdqwvlABESIJKMHOPCTYX" + "abyeikvoptuxwcjABEZHIKMNOPTYX",
)
"""Cyrillic and Greek letters that pass for Latin ones; read so only in a word that also has Latin letters, or where
every letter of the word is of the first kind and the words around it are Latin."""
_MIXED = re.compile("[^\\W\\d_]*[Ͱ-Ͽ\u0400-\u052f][^\\W\\d_]*")
_PERFECT = re.compile("[аеіјоорсухѕһԁԛԝѵӏАВЕЅІЈКМНОРСТУХοΑΒΕΖΗΙΚΜΝΟΡΤΥΧ]+")
_LATIN = re.compile("[A-Za-z]")
_FOREIGN = re.compile("[Ͱ-Ͽ\u0400-\u052f]")


class Folded(msgspec.Struct, frozen=True):
    """Text as a reader sees it, and what was done to hide it."""

    text: str
    signals: tuple[str, ...] = ()
    """Kinds of hiding found: tags, invisible, bidi, styled, smallcaps, marks, homoglyphs."""
    source: str = ""
    sizes: Mapping[str, int] = MappingProxyType({})
    """Characters of the source for which not one character of `text` stands, and how many do."""

    def sources(self, *offsets: int) -> list[int]:
        """Where in the source the characters at `offsets` of `text` are. O(text) when sizes differ."""
        if not self.sizes:
            return list(offsets)
        places = _places(self.source, self.sizes)
        sizes = [self.sizes[self.source[place]] for place in places]
        grown = list(accumulate((size - 1 for size in sizes), initial=0))
        starts = list(map(add, places, grown))
        found: list[int] = []
        for offset in offsets:
            last = bisect_right(starts, offset) - 1
            if last >= 0:
                inside = offset < starts[last] + sizes[last]
                offset = places[last] if inside else offset - grown[last + 1]
            found.append(min(offset, len(self.source)))
        return found


def fold(text: str) -> Folded:
    """See the module. Linear in the text; folding twice is folding once; never raises, lone surrogates included."""
    if text.isascii():
        return Folded(text)
    letters = beyond_ascii(text)
    table = {char: folded for char in letters if (folded := _character(char)) != char}
    # Which characters a text has is seen in its distinct ones, far sooner than in all of them.
    suspicious = _SUSPICIOUS.search(letters) is not None
    signals = tuple(name for name, least, shape in _SIGNALS if _occurs(shape, text, least)) if suspicious else ()
    sizes = {char: len(folded) for char, folded in table.items() if len(folded) != 1}
    plain = _replaced(text, table)
    if not _FOREIGN.search(letters + "".join(table.values())) or not _FOREIGN.search(plain):
        return Folded(plain, signals, text, sizes)
    unmixed = _unmix(plain)
    return Folded(unmixed, signals if unmixed == plain else (*signals, "homoglyphs"), text, sizes)


_ASCII = bytes(range(128))


def beyond_ascii(text: str) -> str:
    """The distinct characters of a text that are not of ASCII."""
    left = text.encode("utf-8", "surrogatepass").translate(None, _ASCII)
    return "".join(set(left.decode("utf-8", "surrogatepass")))


def _places(text: str, chars: Mapping[str, int]) -> list[int]:
    """Where the characters are in a text, in order. A few are sought one by one, at the speed of a string search."""
    if len(chars) > _FEW:
        return list(compress(range(len(text)), map(chars.__contains__, text)))
    found: list[int] = []
    for char in chars:
        at = text.find(char)
        while at >= 0:
            found.append(at)
            at = text.find(char, at + 1)
    return sorted(found)


def _replaced(text: str, table: Mapping[str, str]) -> str:
    """One after another is all at once here: what a character is folded to is not folded again."""
    if len(table) > _FEW:
        return text.translate(str.maketrans(dict(table)))
    for char, folded in table.items():
        text = text.replace(char, folded)
    return text


def _occurs(shape: re.Pattern[str], text: str, least: int) -> bool:
    return any(count >= least for count, _ in enumerate(shape.finditer(text), 1))


def _character(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return char
    if code in _TAGS:
        return chr(code - 0xE0000)
    plain = unicodedata.normalize("NFKC", char)
    return char if len(plain) > _LONGEST else "".join(map(_shape, plain))


def _shape(char: str) -> str:
    if char.isascii():
        return char
    if char == "İ":
        return "I"  # its lower case is two characters: offsets would move
    category = unicodedata.category(char)
    if category in _SHAPELESS:
        # Marks of Indic, Thai, Hebrew and Arabic writing are letters to their readers.
        return char if category == "Mn" and 0x0370 <= ord(char) < 0xFE00 else ""
    return " " if category in _SPACES else char.translate(_SMALL)


def _unmix(text: str) -> str:
    """Latin letters for Cyrillic and Greek ones that stand for them."""
    latin = len(_LATIN.findall(text)) > len(_FOREIGN.findall(text))

    def plain(found: re.Match[str]) -> str:
        word = found.group()
        if _LATIN.search(word) or (latin and len(word) > 1 and _PERFECT.fullmatch(word)):
            return word.translate(_LOOKALIKE)
        return word

    return _MIXED.sub(plain, text)
