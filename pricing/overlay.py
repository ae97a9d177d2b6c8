"""Prices of one's own, written by a person: contracts, effective dates, discounts, self-hosted models.

The written form (plain mappings and lists, as YAML gives them; `config/prices.yaml` shows every key):

    models:     entries of a model, a provider, dates, and either rates or `like`; the first that matches and is in
                force wins over the catalogue
    discounts:  a percentage off the catalogue's prices; the first that matches and is in force counts

`parse_overlay` reports every mistake at once, each with the path of the offending value.
"""

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from fractions import Fraction
from typing import cast, get_args

import msgspec

from pricing.rates import DAY_NS, Meter, Rate

Path = tuple[str | int, ...]

_PER_MILLION = "usd_per_million_tokens"
_EACH_METERS = ("web_search", "file_search", "request", "page", "character", "image")
_TOKEN_METERS = (*(name for name in get_args(Meter) if name not in (*_EACH_METERS, "second")), "cache_write")
_CLOCK_KEYS = ("usd_per_second", "usd_per_hour")
_PIECES: dict[str, tuple[Meter, int]] = {
    "usd_per_request": ("request", 1),
    "usd_per_million_characters": ("character", 10**6),
    "usd_per_minute": ("second", 60),
    "usd_per_image": ("image", 1),
}
"""Keys of one price: the meter, and how many units it is for."""
_RATE_KEYS = (_PER_MILLION, "usd_each", *_PIECES, *_CLOCK_KEYS)
_PICTURE_KEYS = ("sizes", "qualities")
_MODEL_KEYS = ("model", "provider", "from", "until", "like", "above", "tiers", *_RATE_KEYS, *_PICTURE_KEYS)
_DISCOUNT_KEYS = ("percent", "provider", "models", "from", "until")


class OverlayError(ValueError):
    """The written prices cannot be used. `problems` are (path of the value, what is wrong and what is allowed);
    `earlier` tells by path which other value is meant."""

    def __init__(self, problems: list[tuple[Path, str]], earlier: dict[Path, Path] | None = None) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, path)) or 'prices'}: {text}" for path, text in problems))
        self.problems = problems
        self.earlier = earlier or {}


class Span(msgspec.Struct, frozen=True):
    """When something is in force: nanoseconds since the epoch, UTC midnights; None: open."""

    start_ns: int | None = None
    until_ns: int | None = None

    def holds(self, at_ns: int) -> bool:
        return (self.start_ns is None or at_ns >= self.start_ns) and (self.until_ns is None or at_ns < self.until_ns)

    def covers(self, other: "Span") -> bool:
        """Whether `other` is never in force without this one."""
        begins = self.start_ns is None or (other.start_ns is not None and self.start_ns <= other.start_ns)
        ends = self.until_ns is None or (other.until_ns is not None and self.until_ns >= other.until_ns)
        return begins and ends

    def ends(self) -> set[int]:
        return {end for end in (self.start_ns, self.until_ns) if end is not None}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One model's own price."""

    model: str
    """Exact name, or a prefix when `wildcard`. Lower case."""
    wildcard: bool
    provider: str | None
    span: Span
    version: str
    like: tuple[str | None, str] | None
    """(provider, model) of the catalogue whose price this is."""
    rates: dict[Meter, Rate]
    tiers: dict[str, dict[Meter, Rate]]
    """Whole sheets: what a tier does not name has the standard rate."""
    by_clock: bool = False
    """Seconds are those that serving took; otherwise those of the audio."""

    def matches(self, provider: str | None, model: str) -> bool:
        if self.provider is not None and (provider is None or provider.lower() != self.provider):
            return False
        name = model.lower()
        return name.startswith(self.model) if self.wildcard else name == self.model

    def hides(self, later: "Entry") -> bool:
        """Whether an entry after this one can never win: whatever it matches, and whenever, this one does too."""
        if self.provider is not None and self.provider != later.provider:
            return False
        named = later.model.startswith(self.model) if self.wildcard else self.model == later.model
        return named and (self.wildcard or not later.wildcard) and self.span.covers(later.span)


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """A percentage off the catalogue's price."""

    factor: Fraction
    """What remains to pay, such as 7/8 for 12.5 % off."""
    provider: str | None
    exact: frozenset[str]
    prefixes: tuple[str, ...]
    span: Span
    version: str

    def matches(self, provider: str | None, model: str) -> bool:
        if self.provider is not None and (provider is None or provider.lower() != self.provider):
            return False
        name = model.lower()
        return not (self.exact or self.prefixes) or name in self.exact or name.startswith(self.prefixes)


class Overlay(msgspec.Struct, frozen=True):
    """Written prices, checked."""

    entries: tuple[Entry, ...] = ()
    discounts: tuple[Discount, ...] = ()


def parse_overlay(data: object) -> Overlay:
    """Check written prices. Raises `OverlayError` with every problem found."""
    reader = _Reader()
    overlay = reader.overlay(data)
    if reader.problems:
        raise OverlayError(reader.problems, reader.earlier)
    return overlay


class _Reader:
    """Walks the written form and collects problems instead of stopping at the first."""

    def __init__(self) -> None:
        self.problems: list[tuple[Path, str]] = []
        self.earlier: dict[Path, Path] = {}

    def overlay(self, data: object) -> Overlay:
        if data is None:
            return Overlay()
        top = self._mapping(data, (), ("version", "models", "discounts"))
        if str(top.get("version", 1)) != "1":
            self._wrong(("version",), "unknown version; 1 is allowed")
        entries = [self._entry(item, ("models", at)) for at, item in enumerate(self._list(top, "models"))]
        discounts = [self._discount(item, ("discounts", at)) for at, item in enumerate(self._list(top, "discounts"))]
        self._hidden(entries)
        return Overlay(tuple(e for e in entries if e is not None), tuple(d for d in discounts if d is not None))

    def _hidden(self, entries: Sequence[Entry | None]) -> None:
        """Complain of entries that never win: who writes one means it to."""
        before: dict[str, list[tuple[int, Entry]]] = {}
        prefixes: list[tuple[int, Entry]] = []
        for at, entry in enumerate(entries):
            if entry is None:
                continue
            same = before.setdefault(entry.model, [])
            hiding = next((first for first, other in (*same, *prefixes) if other.hides(entry)), None)
            if hiding is not None:
                self.earlier["models", at] = "models", hiding
                self._wrong(
                    ("models", at),
                    f"never used, because models.{hiding} matches first; allowed is one entry for a model, a "
                    "provider and a time, and what is special before what is general",
                )
            (prefixes if entry.wildcard else same).append((at, entry))

    def _entry(self, data: object, path: Path) -> Entry | None:
        item = self._mapping(data, path, _MODEL_KEYS)
        model = self._text(item, "model", path, required=True)
        span, version = self._span(item, path)
        rates = self._rates(item, path)
        rates = self._above(item.get("above"), (*path, "above"), rates)
        tiers = {
            name: self._tier(tier, (*path, "tiers", name), rates)
            for name, tier in self._mapping(item.get("tiers", {}), (*path, "tiers"), None).items()
        }
        tiers |= self._pictures(item, path, rates, tiers)
        like = self._text(item, "like", path)
        if like is not None and (rates or tiers):
            self._wrong((*path, "like"), "`like` takes the catalogue's price; remove it or the rates")
        if like is None and item and not any(key in item for key in (*_RATE_KEYS, *_PICTURE_KEYS)):
            self._wrong(path, f"no price; give one of {', '.join(_RATE_KEYS)} or like")
        if model is None:
            return None
        if "*" in model[:-1] or model == "*":
            self._wrong((*path, "model"), "a `*` may only end a name, such as `llama-*`")
        head, slash, rest = (like or "").partition("/")
        return Entry(
            model=model.removesuffix("*").lower(),
            wildcard=model.endswith("*"),
            provider=_lower(self._text(item, "provider", path)),
            span=span,
            version=version,
            like=None if like is None else (head, rest) if slash else (None, like),
            rates=rates,
            tiers=tiers,
            by_clock=self._by_clock(item, path),
        )

    def _pictures(
        self, item: Mapping[str, object], path: Path, standard: dict[Meter, Rate], tiers: Mapping[str, object]
    ) -> dict[str, dict[Meter, Rate]]:
        """Prices per image by size and quality, as tiers `QUALITY/SIZE`, each with `*` for any."""
        found = self._sizes(item, path, "*", standard)
        if "image" not in standard and any(key in item for key in _PICTURE_KEYS):
            self._wrong(path, "give usd_per_image, too: what images cost of which neither size nor quality is listed")
        qualities = self._mapping(item.get("qualities", {}), (*path, "qualities"), None)
        for quality, written in qualities.items():
            at = (*path, "qualities", quality)
            whole = written if not isinstance(written, str | int | float) else {"usd_per_image": written}
            within = self._mapping(whole, at, ("usd_per_image", "sizes"))
            if not within:
                self._wrong(at, "no price; give a price per image, or usd_per_image and sizes")
            own: dict[Meter, Rate] = {**standard, **self._rates(within, at)}
            if "usd_per_image" in within:
                found[f"{quality.lower()}/*"] = own
            found |= self._sizes(within, at, quality.lower(), own)
        for name in found.keys() & tiers.keys():
            self._wrong((*path, "tiers", name), "is priced by size and quality, too; give one of them")
        return found

    def _sizes(
        self, item: Mapping[str, object], path: Path, quality: str, standard: dict[Meter, Rate]
    ) -> dict[str, dict[Meter, Rate]]:
        found: dict[str, dict[Meter, Rate]] = {}
        for size, price in self._mapping(item.get("sizes", {}), (*path, "sizes"), None).items():
            if (amount := self._decimal(price, (*path, "sizes", size))) is not None:
                found[f"{quality}/{size.lower()}"] = {**standard, "image": Rate(Fraction(amount))}
        return found

    def _by_clock(self, item: Mapping[str, object], path: Path) -> bool:
        """Whether an entry's seconds, its tiers' among them, are those of serving. Audio's cannot stand beside them."""
        tiers = item.get("tiers")
        named = cast(Mapping[object, object], tiers).values() if isinstance(tiers, Mapping) else ()
        parts = [item, *(cast(Mapping[str, object], tier) for tier in named if isinstance(tier, Mapping))]
        clock = any(key in part for part in parts for key in _CLOCK_KEYS)
        if clock and any("usd_per_minute" in part for part in parts):
            self._wrong(
                path,
                "usd_per_minute is of audio, usd_per_second and usd_per_hour are of serving it; give one of them",
            )
        return clock

    def _tier(self, data: object, path: Path, standard: dict[Meter, Rate]) -> dict[Meter, Rate]:
        item = self._mapping(data, path, (*_RATE_KEYS, "above"))
        own = self._above(item.get("above"), (*path, "above"), self._rates(item, path))
        return {**standard, **own}

    def _discount(self, data: object, path: Path) -> Discount | None:
        item = self._mapping(data, path, _DISCOUNT_KEYS)
        span, version = self._span(item, path)
        written = item.get("percent")
        percent = self._decimal(
            written.strip().removesuffix("%").strip() if isinstance(written, str) else written, (*path, "percent")
        )
        if percent is None:
            return None
        if percent > 100:
            self._wrong((*path, "percent"), "more than 100 % off; 0 to 100 is allowed")
        names = [name.lower() for name in self._list(item, "models", path) if isinstance(name, str)]
        if len(names) != len(self._list(item, "models", path)):
            self._wrong((*path, "models"), "must be a list of names, such as [gpt-4o, 'o3*']")
        return Discount(
            factor=1 - Fraction(percent) / 100,
            provider=_lower(self._text(item, "provider", path)),
            exact=frozenset(name for name in names if not name.endswith("*")),
            prefixes=tuple(name[:-1] for name in names if name.endswith("*")),
            span=span,
            version=version,
        )

    def _rates(self, item: Mapping[str, object], path: Path) -> dict[Meter, Rate]:
        rates: dict[Meter, Rate] = {}
        for key, names, units in ((_PER_MILLION, _TOKEN_METERS, 10**6), ("usd_each", _EACH_METERS, 1)):
            if key not in item:
                continue
            written = self._mapping(item[key], (*path, key), names)
            prices = {name: self._decimal(price, (*path, key, name)) for name, price in written.items()}
            if (both := prices.pop("cache_write", None)) is not None:
                prices = {"cache_write_5m": both, "cache_write_1h": both} | prices
            rates |= {cast(Meter, n): Rate(Fraction(p) / units) for n, p in prices.items() if p is not None}
        for key, (meter, units) in _PIECES.items():
            if key in item and (price := self._decimal(item[key], (*path, key))) is not None:
                if meter in rates:
                    self._wrong((*path, key), f"give {key} or usd_each: {{{meter}: …}}, not both")
                rates[meter] = Rate(Fraction(price) / units)
        for key, seconds in (("usd_per_second", 1), ("usd_per_hour", 3600)):
            if key in item and (price := self._decimal(item[key], (*path, key))) is not None:
                rates["second"] = Rate(Fraction(price) / seconds)
        if "usd_per_second" in item and "usd_per_hour" in item:
            self._wrong((*path, "usd_per_hour"), "give usd_per_second or usd_per_hour, not both")
        return rates

    def _above(self, data: object, path: Path, rates: dict[Meter, Rate]) -> dict[Meter, Rate]:
        """Add the long-context tiers: rates for requests whose input is larger than a threshold."""
        if data is None:
            return rates
        rates = dict(rates)
        last = 0
        for at, step in enumerate(self._sequence(data, path)):
            item = self._mapping(step, (*path, at), ("input_tokens", _PER_MILLION))
            start = _whole(item.get("input_tokens"))
            if start is None or start <= last:
                self._wrong((*path, at, "input_tokens"), "must be a whole number of tokens, rising from step to step")
                continue
            last = start
            for meter, rate in self._rates({_PER_MILLION: item.get(_PER_MILLION, {})}, (*path, at)).items():
                if meter not in rates:
                    self._wrong((*path, at, _PER_MILLION, meter), "has no rate below the threshold; give it one")
                    continue
                rates[meter] = Rate(rates[meter].base, (*rates[meter].above, (start, rate.base)))
        return rates

    def _span(self, item: Mapping[str, object], path: Path) -> tuple[Span, str]:
        start, until = self._date(item, "from", path), self._date(item, "until", path)
        if start is not None and until is not None and until <= start:
            self._wrong((*path, "until"), "must be later than `from`")
        return Span(_midnight(start), _midnight(until)), f"config/{start.isoformat() if start else 'undated'}"

    def _date(self, item: Mapping[str, object], key: str, path: Path) -> datetime.date | None:
        written = item.get(key)
        if written is None:
            return None
        if isinstance(written, datetime.date) and not isinstance(written, datetime.datetime):
            return written
        try:
            return datetime.date.fromisoformat(written if isinstance(written, str) else "")
        except ValueError:
            self._wrong((*path, key), "not a date; write it as 2026-11-01 (midnight UTC)")
            return None

    def _decimal(self, written: object, path: Path) -> Decimal | None:
        """A price of zero or more. YAML's unquoted numbers are taken as they were written (their shortest decimal)."""
        try:
            if isinstance(written, bool) or not isinstance(written, str | int | float | Decimal):
                raise InvalidOperation
            value = Decimal(repr(written) if isinstance(written, float) else written)
            if not value.is_finite() or value < 0 or abs(value.adjusted()) > 30:
                raise InvalidOperation
        except InvalidOperation:
            self._wrong(path, 'not a price; write a decimal of zero or more, such as "2.50"')
            return None
        return value

    def _text(self, item: Mapping[str, object], key: str, path: Path, *, required: bool = False) -> str | None:
        written = item.get(key)
        if isinstance(written, str) and written.strip():
            return written.strip()
        if written is not None or (required and item):
            self._wrong((*path, key), "must be a text")
        return None

    def _mapping(self, data: object, path: Path, allowed: Sequence[str] | None) -> dict[str, object]:
        if not isinstance(data, Mapping):
            self._wrong(path, "must be a mapping" + (f" with the keys {', '.join(allowed)}" if allowed else ""))
            return {}
        found: dict[str, object] = {}
        for key, value in cast(Mapping[object, object], data).items():
            if not isinstance(key, str):
                self._wrong(path, "keys must be texts")
            elif allowed is not None and key not in allowed:
                near = get_close_matches(key, allowed, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join(allowed)}"
                self._wrong((*path, key), f"unknown key; {hint}")
            else:
                found[key] = value
        return found

    def _list(self, item: Mapping[str, object], key: str, path: Path = ()) -> Sequence[object]:
        return self._sequence(item[key], (*path, key)) if item.get(key) is not None else ()

    def _sequence(self, data: object, path: Path) -> Sequence[object]:
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            return cast(Sequence[object], data)
        self._wrong(path, "must be a list")
        return ()

    def _wrong(self, path: Path, text: str) -> None:
        if (path, text) not in self.problems:
            self.problems.append((path, text))


def _whole(written: object) -> int | None:
    """A whole number, or one that a reader of YAML left as text."""
    if isinstance(written, str) and written.isascii() and written.isdigit() and len(written) < 16:
        return int(written)
    return written if isinstance(written, int) and not isinstance(written, bool) else None


def _midnight(date: datetime.date | None) -> int | None:
    return None if date is None else (date - datetime.date(1970, 1, 1)).days * DAY_NS


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()
