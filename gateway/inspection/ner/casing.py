"""A copy of a text, as long as it is, in the casing a model was trained on.

NER models lean on capitals: of a text without any (chat, search queries) they see no names, in one of capitals only
(forms, headlines) they see them everywhere. In the copy listed names and places are capitalised, the rest is not.
"""

from collections.abc import Sequence

from gateway.inspection.ner.words import Word, WordLists

_FEW = 0.04
"""Share of words with a capital below which a text counts as written without."""
_MOST = 0.8


def writes_capitals(found: Sequence[Word]) -> bool:
    """Whether a text of these words sets capitals at all."""
    letters = [word for word in found if not word.text[0].isdigit() and len(word.text) > 1]
    return sum(word.text[0].isupper() for word in letters) > _FEW * len(letters)


def natural(text: str, found: Sequence[Word], lists: WordLists) -> str:
    """`text` itself if its casing is ordinary and no listed name in it is in capitals; else the copy."""
    letters = [word for word in found if not word.text[0].isdigit() and len(word.text) > 1]
    if not letters:
        return text
    shouted = sum(word.text.isupper() for word in letters) / len(letters)
    if not writes_capitals(found):
        return _recased(text, found, lists, lower=False)
    if shouted >= _MOST:
        return _recased(text, found, lists, lower=True)
    changed = [w for w in letters if len(w.text) > 3 and w.text.isupper() and _is_name(w.folded, lists)]
    return _with(text, [(word, word.text.title()) for word in changed])


def _recased(text: str, found: Sequence[Word], lists: WordLists, lower: bool) -> str:
    replaced: list[tuple[Word, str]] = []
    starts = True
    for index, word in enumerate(found):
        base = word.text.lower() if lower else word.text
        if starts or _is_name(word.folded, lists):
            base = base[0].upper() + base[1:]
        replaced.append((word, base))
        follows = text[word.end : found[index + 1].start] if index + 1 < len(found) else ""
        starts = any(c in follows for c in ".!?\n")
    return _with(text, replaced)


def _is_name(folded: str, lists: WordLists) -> bool:
    return folded not in lists.common and (folded in lists.given or folded in lists.surnames or folded in lists.places)


def _with(text: str, replaced: Sequence[tuple[Word, str]]) -> str:
    """`text` with words replaced; one whose length would change (`ß` → `SS`) stays."""
    if not replaced:
        return text
    out: list[str] = []
    at = 0
    for word, new in replaced:
        out += [text[at : word.start], new if len(new) == len(word.text) else word.text]
        at = word.end
    return "".join([*out, text[at:]])
