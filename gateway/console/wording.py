"""How figures and times are worded on pages: exact where they are money, short where they are many."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

_CENT = Decimal("0.01")


def dollars(nanos: int | None) -> str:
    """Nano-dollars to the cent, rounded half up: `$1,234.57`; what is not known is a dash."""
    if nanos is None:
        return "–"
    amount = Decimal(nanos).scaleb(-9).quantize(_CENT, ROUND_HALF_UP)
    sign = "−" if amount < 0 else ""
    return f"{sign}${abs(amount):,}"


def fine_dollars(nanos: int | None) -> str:
    """Small amounts to four significant digits: `$0.000123`, `$0.4211`; a cent is too coarse for one request."""
    if nanos is None:
        return "–"
    amount = Decimal(nanos).scaleb(-9)
    if amount == 0 or abs(amount) >= 1:
        return dollars(nanos)
    places = min(9, 3 - amount.adjusted())
    return f"${amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"


def axis_dollars(nanos: int) -> str:
    """For the axis of a chart: `$0`, `$2.5`, `$400`, `$12k`, `$15M`."""
    amount = Decimal(nanos).scaleb(-9)
    if amount >= 1_000_000:
        return f"${(amount / 1_000_000).normalize():f}M"
    if amount >= 1000:
        return f"${(amount / 1000).normalize():f}k"
    return f"${amount.normalize():f}" if amount else "$0"


def count(number: int | None) -> str:
    """With thousands separated."""
    return "–" if number is None else f"{number:,}"


def short(number: int) -> str:
    """As it is up to five digits, then three and a unit: `982`, `12,408`, `124 k`, `3.07 M`, `1.2 G`."""
    if abs(number) < 100_000:
        return f"{number:,}"
    amount = Decimal(number)
    for unit in ("", " k", " M", " G"):
        if amount < 1000 or unit == " G":
            return f"{amount:.3g}{unit}" if unit and amount < 1000 else f"{amount:,.0f}{unit}"
        amount /= 1000
    return str(number)


def share(part: int, whole: int) -> str:
    """A percentage with as many digits as tell something: `0 %`, `< 0.1 %`, `3.4 %`, `57 %`."""
    if not part or not whole:
        return "0 %"
    percent = Decimal(part) * 100 / Decimal(whole)
    if percent < Decimal("0.1"):
        return "< 0.1 %"
    return f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"


def moment(ns: int | None) -> str:
    """`2026-11-27 18:23:15`, UTC."""
    return "–" if ns is None else f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}"


def minute(ns: int | None) -> str:
    """`27 Nov 18:23`, UTC."""
    if ns is None:
        return "–"
    at = datetime.fromtimestamp(ns // 10**9, UTC)
    return f"{at.day} {at:%b %H:%M}"


def day(ns: int) -> str:
    """`27 Nov`, UTC."""
    at = datetime.fromtimestamp(ns // 10**9, UTC)
    return f"{at.day} {at:%b}"


def duration(ns: int | None) -> str:
    """`340 ms`, `2.41 s`, `3 min 5 s`."""
    if ns is None:
        return "–"
    if ns < 999_500_000:
        return f"{_three(ns / 1e6)} ms"
    if ns < 60 * 10**9:
        return f"{_three(ns / 1e9)} s"
    return age(ns)


def _three(amount: float) -> str:
    """Three digits, so that columns of them are as exact from line to line: `0.412`, `7.40`, `25.0`, `340`."""
    if not amount:
        return "0"
    return f"{amount:.{3 if amount < 0.9995 else 2 if amount < 9.995 else 1 if amount < 99.95 else 0}f}"


def age(ns: int) -> str:
    """Two units at most: `45 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    seconds = max(ns, 0) // 10**9
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    for at, (unit, size) in enumerate(units):
        if seconds >= size:
            text = f"{seconds // size} {unit}"
            if at + 1 < len(units) and (rest := seconds % size // units[at + 1][1]):
                text += f" {rest} {units[at + 1][0]}"
            return text
    return "0 s"


def named(name: str) -> str:
    """A name, or a word for having none."""
    return name or "(none)"


FILTERS: Mapping[str, Callable[..., str]] = {
    "dollars": dollars,
    "fine_dollars": fine_dollars,
    "count": count,
    "short": short,
    "share": share,
    "moment": moment,
    "minute": minute,
    "day": day,
    "duration": duration,
    "age": age,
    "named": named,
}
