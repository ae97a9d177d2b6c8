"""What is known of each word: what the model says, the word lists, its shape, and what stands around it.

Names of features are what the weights in `data/weights.json` are for; `tools/fit_ner.py` fits them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.inspection.ner.words import Word, WordLists

Label = str
"""PERSON, LOCATION, ORGANIZATION, NRP, DATE_TIME, or "" for none."""


class Entity(NamedTuple):
    """What the model found: characters of the text."""

    label: Label
    start: int
    end: int


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


TITLES = _set(
    "mr mrs ms miss mx dr prof professor sir madam dame lord lady captain capt major colonel col sergeant sgt "
    "lieutenant lt general gen judge justice senator sen congressman congresswoman representative rep president "
    "minister governor gov mayor reverend rev pastor father sister brother rabbi imam herr frau fraulein monsieur "
    "madame mademoiselle mme mlle senor senora senorita signor signora signorina don dona sr sra tio tia"
)
_RELATIONS = _set(
    "wife husband son daughter mother father mom mum dad brother sister uncle aunt cousin nephew niece friend boss "
    "colleague neighbor neighbour partner fiance fiancee girlfriend boyfriend grandmother grandfather grandma grandpa "
    "doctor nurse teacher assistant manager lawyer attorney patient client customer guest employee roommate"
)
_ROLES = _set(
    "producer director author writer singer artist actor actress player composer conductor drummer guitarist novelist "
    "poet painter journalist reporter editor ceo cto cfo founder cofounder chairman chairwoman secretary leader chief "
    "coach captain striker champion detective officer agent spokesman spokeswoman spokesperson senator candidate"
)
_INTRODUCING = _set("name names named called call calls nickname known aka alias i'm im am it's under attn attention")
_GREETING = _set("hi hello hey dear thanks regards sincerely cheers welcome goodbye bye")
_SAYING = _set("said says wrote writes told asked asks replied answered added explained thinks thought wants wanted "
               "lives lived works worked loves loved met called visited died born married plays played sang sings "
               "directed starring featuring feat given gave")  # fmt: skip
_WORKS = _set("novel novels film films movie movies song songs album albums concert book books poem poems painting "
              "symphony version band show play theory family case theorem estate band tour fan fans")  # fmt: skip
_BY = _set("by with from and to for about")
_PLACE_BEFORE = _set("in at near from to through around across into towards via visit visiting visited leaving left "
                     "reach reached toward outside inside")  # fmt: skip
_PLACE_WORDS = _set("lives live living moved move born travel traveled travelling flew fly flying went go going come "
                    "coming based located city town village country capital visit visited visiting trip flight "
                    "vacation republic province county state district region island arrived")  # fmt: skip
_STREETS = re.compile(
    r"(street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|square|way|place|pl|parkway|pkwy|"
    r"highway|hwy|terrace|crescent|close|apt|suite|ste|unit|floor|box|route|plaza|alley|corner|"
    r"rue|chemin|allee|impasse|quai|via|viale|corso|piazza|calle|avenida|rua|travessa|praceta|ctra|carretera|paseo|"
    r".*stra(ss|b)?e|.*str|strasse|weg|platz|gasse|allee|.*straat|laan|plein|.*gatan|.*vagen|.*veien|.*vegen|.*gata|"
    r".*gade|.*vej|.*katu|.*tie|utca|ut|ulica|ul|namesti|trg|quadra|po|estates?|gardens?|hills?|ridge|greens?|coves?|"
    r"union|crossing|junction|mews|walk|grove|circle|trail|meadows?|pike|loop|vista|views?|shores?|isle|knolls?)"
)
_COMPANIES = _set("inc ltd llc llp corp corporation company co gmbh ag sa plc group holdings partners systems "
                  "solutions technologies technology software services labs media bank university college institute "
                  "association foundation society club department agency international global industries energy data "
                  "research networks consulting capital ventures insurance health magazine records")  # fmt: skip
_ORG_BEFORE = _set("at for with join joined company employer firm startup founded founder ceo")
PARTICLES = _set(
    "de da do dos das del della di du van von der den ter ten la le el al bin ibn ben abu af av zu zum zur y e"
)
_SUFFIXES = re.compile(
    r".{2,}(ov|ova|ev|eva|in|ina|sky|ski|ska|skaya|skiy|yev|yeva|enko|chuk|yan|ian|dze|shvili|ic|sson|dottir|sen|"
    r"berg|stein|mann|ez|es|aki|ara|ada|oto|ura|nen|escu|opoulos|akis|idis|ini|elli|etti|oni|ucci)"
)
_ADDRESSES = re.compile(r"\b(?:https?://|www\.)[^\s<>\"]{1,500}|[^\s<>\"@]{1,64}@[^\s<>\"@]{1,255}")
_NUMBERS = re.compile(r"\d+")


def known(word: Word, lists: WordLists) -> list[str]:
    """Features of the word alone."""
    text, folded = word.text, word.folded
    if text[0].isdigit():
        return ["number"]
    if any(c.isdigit() for c in text):
        return ["code"]
    shape = "title" if text[0].isupper() and not text.isupper() else "upper" if text.isupper() else "lower"
    if len(text) == 1:
        shape = f"initial-{shape}"
    is_common = folded in lists.common or folded in _ORDINARY
    which = ("g" if _listed(folded, lists.given) else "") + ("s" if _listed(folded, lists.surnames) else "")
    out = [shape, f"list:{which}{'c' if is_common else ''}", f"{shape}/{which}{'c' if is_common else ''}"]
    if not text.isascii():
        out.append(f"accents/{shape}")
    if not which and not is_common and _SUFFIXES.fullmatch(folded):
        out.append(f"suffix/{shape}")
    if "-" in text or "'" in text:
        out.append(f"joined/{shape}")
    if any(c.isupper() for c in text[1:]) and shape == "title":
        out.append("camel")
    if shape == "title" and not which and not is_common and folded.endswith("s"):
        out.append("plural")
    return out


def _listed(folded: str, names: frozenset[str]) -> bool:
    """Whether a word, or for a hyphenated one each of its parts, is listed."""
    return folded in names or ("-" in folded and all(part in names for part in folded.split("-")))


def roles(word: Word) -> list[str]:
    """What a word does to its neighbours."""
    folded = word.folded
    out = [name for name, members in _ROLE_SETS.items() if folded in members]
    if _STREETS.fullmatch(folded):
        out.append("street")
    if _NUMBERS.fullmatch(folded):
        out.append("digits")
    return out


_ORDINARY = _set("i you he she it we they me him her us them my your his our their this that these those a an the and "
                 "or but if so to of in on at by for with from as is are was were be been am do does did has have had "
                 "not no yes can could will would shall should may might must what who where when why how please "
                 "thanks thank hello hi hey dear sir madam ok okay just also very here there today tomorrow yesterday "
                 "monday tuesday wednesday thursday friday saturday sunday january february march april june july "
                 "august september october november december mr mrs ms dr")  # fmt: skip
_ROLE_SETS: Mapping[str, frozenset[str]] = {
    "honorific": TITLES, "relation": _RELATIONS, "role": _ROLES, "introducing": _INTRODUCING, "greeting": _GREETING,
    "saying": _SAYING, "by": _BY, "place-before": _PLACE_BEFORE, "place-word": _PLACE_WORDS, "company": _COMPANIES,
    "org-before": _ORG_BEFORE, "particle": PARTICLES, "work": _WORKS,
}  # fmt: skip


_CLOSED = _ORDINARY | _BY | _PLACE_BEFORE | _WORKS | _SAYING | _GREETING
"""Words of which each is a feature of its neighbours."""


def labels(found: Sequence[Word], entities: Sequence[Entity]) -> list[str]:
    """The model's label of each word, with `B-` where an entity begins."""
    out = [""] * len(found)
    at = 0
    for entity in sorted(entities, key=lambda entity: entity.start):
        while at < len(found) and found[at].end <= entity.start:
            at += 1
        first = at
        while at < len(found) and found[at].start < entity.end:
            out[at] = f"{'B' if at == first else 'I'}-{entity.label}"
            at += 1
    return out


def in_places(found: Sequence[Word], lists: WordLists) -> list[str]:
    """For each word how many words of a listed place's name it is in: "", `1` or `2+`; longest names first."""
    out = [""] * len(found)
    at = 0
    while at < len(found):
        name, longest = found[at].folded, 0
        if name in lists.places:
            longest = 1
        for end in range(at + 1, min(at + lists.place_words, len(found))):
            if not name or found[end].start - found[end - 1].end > 2:
                break
            name = f"{name} {found[end].folded}"
            if name in lists.places:
                longest = end - at + 1
        for index in range(at, at + longest):
            out[index] = "1" if longest == 1 else "2+"
        at += max(longest, 1)
    return out


def features(text: str, found: Sequence[Word], entities: Sequence[Entity], lists: WordLists) -> list[list[str]]:
    """Features of every word of `text`."""
    model, places = labels(found, entities), in_places(found, lists)
    alone = [known(word, lists) for word in found]
    acts = [roles(word) for word in found]
    out: list[list[str]] = []
    addresses, lines = _in_addresses(text, found), _lines(text, found)
    for at in range(len(found)):
        mine = alone[at]
        if addresses[at] or (len(found[at].text) == 1 and found[at].text.islower()):
            out.append(["address-part" if addresses[at] else "letter"])
            continue
        shape = mine[0]
        kind = model[at][2:]
        here = [*mine, f"model:{model[at]}", f"{shape}+model:{kind}", *(f"is-{act}" for act in acts[at])]
        here += [f"{mine[1]}+model:{kind}" if len(mine) > 1 else "number+model"]
        if places[at]:
            here += [f"place{places[at]}", f"place{places[at]}/{shape}", f"place{places[at]}+model:{kind}"]
        if lines[at]:
            here += [f"line:{lines[at]}", f"line:{lines[at]}/{mine[1] if len(mine) > 1 else ''}"]
        here += _left(text, found, at, alone, acts, model, places, shape)
        here += _right(text, found, at, alone, acts, model, places, shape)
        out.append(here)
    return out


def _in_addresses(text: str, found: Sequence[Word]) -> list[bool]:
    """Which words are parts of URLs and e-mail addresses: those name people in a way of their own."""
    spans = [span.span() for span in _ADDRESSES.finditer(text)]
    out: list[bool] = []
    at = 0
    for word in found:
        while at < len(spans) and spans[at][1] <= word.start:
            at += 1
        out.append(at < len(spans) and spans[at][0] <= word.start)
    return out


def _lines(text: str, found: Sequence[Word]) -> list[int]:
    """For each word the number of words of its line if all are capitalised and there are at most four: headings, list
    entries, signatures. 0 for all others, and in texts of a single line."""
    out = [0] * len(found)
    first = 0
    for at in range(1, len(found) + 1):
        if at == len(found) or "\n" in text[found[at - 1].end : found[at].start]:
            line = found[first:at]
            if len(line) <= 4 and len(line) < len(found) and all(word.text[0].isupper() for word in line):
                out[first:at] = [len(line)] * len(line)
            first = at
    return out


def _gap(text: str, found: Sequence[Word], left: int) -> str:
    """What stands between word `left` and the next: `near`, or the first mark of what divides them."""
    between = text[found[left].end : found[left + 1].start]
    stripped = between.replace("'s", "").replace("’s", "").strip(" ")
    if not stripped:
        return "possessive" if len(between) > len(between.strip(" ")) + 1 and "s" in between else "near"
    return "line" if "\n" in stripped else stripped[0]


def _left(
    text: str, found: Sequence[Word], at: int, alone: list[list[str]], acts: list[list[str]], model: list[str],
    places: list[str], shape: str,
) -> list[str]:  # fmt: skip
    if at == 0:
        return ["first", f"first/{shape}"]
    gap = _gap(text, found, at - 1)
    if gap == "." and (len(found[at - 1].text) == 1 or "honorific" in acts[at - 1]):
        gap = "near"
    out = [f"<gap:{gap}"]
    if found[at - 1].folded in _CLOSED:
        out.append(f"<w:{found[at - 1].folded}/{shape}")
    if gap in ("line", ".", "!", "?", ":", '"', ">"):
        out.append(f"starts/{shape}")
        if gap == "line":
            return [*out, *(f"line-after:{act}/{shape}" for act in acts[at - 1])]
        if gap in ".!?":
            return out
    before = alone[at - 1]
    out += [f"<{before[1]}" if len(before) > 1 else "<number", f"<{before[0]}/{shape}", f"<model:{model[at - 1][2:]}"]
    out += [f"<{act}/{shape}" for act in acts[at - 1]]
    if places[at - 1]:
        out.append("<place")
    if gap == "near" and len(before) > 1:
        out.append(f"<near:{before[2]}+{shape}")
    out += _beyond(text, found, at, -1, alone, model, shape)
    for back in range(2, 5):
        if at - back < 0 or "\n" in text[found[at - back].end : found[at].start]:
            break
        out += [f"<<{act}" for act in acts[at - back]]
    return out


def _right(
    text: str, found: Sequence[Word], at: int, alone: list[list[str]], acts: list[list[str]], model: list[str],
    places: list[str], shape: str,
) -> list[str]:  # fmt: skip
    if at == len(found) - 1:
        return ["last", f"last/{shape}"]
    gap = _gap(text, found, at)
    if gap == "." and (len(found[at].text) == 1 or "honorific" in acts[at]):
        gap = "near"
    out = [f">gap:{gap}"]
    if found[at + 1].folded in _CLOSED:
        out.append(f">w:{found[at + 1].folded}/{shape}")
    if text.startswith(("'s", "’s"), found[at].end):
        out.append(f"possessive/{shape}")
    if gap == "line" or gap in ".!?":
        after = alone[at + 1]
        return [*out, ">>number"] if after[0] == "number" else out
    after = alone[at + 1]
    out += [f">{after[1]}" if len(after) > 1 else ">number", f">{after[0]}/{shape}", f">model:{model[at + 1][2:]}"]
    out += [f">{act}/{shape}" for act in acts[at + 1]]
    if places[at + 1]:
        out.append(">place")
    if gap == "near" and len(after) > 1:
        out.append(f">near:{after[2]}+{shape}")
    out += _beyond(text, found, at, 1, alone, model, shape)
    for ahead in range(2, 5):
        if at + ahead >= len(found) or "\n" in text[found[at].end : found[at + ahead].start]:
            break
        out += [f">>{act}" for act in acts[at + ahead] if act in ("street", "digits", "company")]
    return out


_AND = _set("and or y und et e og och ja en & with")


def _beyond(
    text: str, found: Sequence[Word], at: int, step: int, alone: list[list[str]], model: list[str], shape: str
) -> list[str]:
    """The word that an `and` or a comma joins this one with: names come in lists of names."""
    near, far = at + step, at + 2 * step
    if not 0 <= near < len(found):
        return []
    side = "<" if step < 0 else ">"
    if found[near].folded in _AND and 0 <= far < len(found):
        other = far
    elif "," in text[min(found[at].end, found[near].end) : max(found[at].start, found[near].start)]:
        other = near
    else:
        return []
    listed = alone[other][2] if len(alone[other]) > 2 else "number"
    return [f"{side}list:{listed}", f"{side}list-model:{model[other][2:]}/{shape}"]
