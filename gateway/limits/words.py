"""What clients are told of limits: the words of a refusal, and the fields of an answer.

`x-ratelimit-*` are OpenAI's names (platform.openai.com/docs/guides/rate-limits), with its form of durations.
"""

import math

from gateway.quota import Calendar, Measure, Refused, Rolling, Rule, Smooth, Standing
from gateway.seams import Headers

_THINGS: dict[Measure, tuple[str, str]] = {
    "requests": ("request", "requests"),
    "input_tokens": ("input token", "input tokens"),
    "output_tokens": ("output token", "output tokens"),
    "tokens": ("token", "tokens"),
    "concurrent": ("request at one time", "requests at one time"),
    "streams": ("stream at one time", "streams at one time"),
}
_UNITS = ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def amount_of(rule: Rule, amount: int) -> str:
    """An amount of what a rule counts, such as `600 requests` or `12.50 USD`."""
    if rule.measure == "usd":
        return f"{dollars(amount)} USD"
    one, many = _THINGS[rule.measure]
    return f"{amount} {one if amount == 1 else many}"


def dollars(nanos: int) -> str:
    """Nano-dollars as a decimal of USD, with cents at least."""
    whole, rest = divmod(abs(nanos), 1_000_000_000)
    digits = f"{rest:09d}".rstrip("0")
    return f"{'-' if nanos < 0 else ''}{whole}.{digits:0<2}"


def period_of(rule: Rule) -> str:
    """A rule's window, such as ` per minute` or ` in any 90 s`; empty for what is under way."""
    window = rule.window
    if isinstance(window, Calendar):
        return f" per {window.unit}"
    if isinstance(window, Rolling | Smooth):
        for seconds, unit in _UNITS:
            if window.seconds == seconds:
                return f" per {unit}"
        return f" in any {duration(window.seconds)}"
    return ""


def duration(seconds: float) -> str:
    """Seconds in words of two units at most, rounded up, such as `2 d 3 h`, `45 s` or `0.2 s`."""
    if seconds < 1:
        return f"{max(math.ceil(seconds * 10), 1) / 10:g} s"
    left = math.ceil(seconds)
    told: list[str] = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            told.append(f"{count} {unit}")
    return " ".join(told[:2])


def sentence(refused: Refused) -> str:
    """Which rule refuses, why, and when to come again."""
    rule = refused.bound.rule
    allowed = f"'{rule.id}' allows {amount_of(rule, rule.amount)}{period_of(rule)}"
    if refused.store_away:
        return f"The limit '{rule.id}' cannot be counted now, because its store cannot be reached. Try again soon."
    if refused.retry_after is None:
        return (
            f"This request may use {amount_of(rule, refused.needed)}, and {allowed}. It can never be admitted: make it "
            "shorter, or set a lower maximum of output tokens."
        )
    again = f"Try again in {duration(refused.retry_after)}."
    if rule.budget:
        return (
            f"The budget is used up: {allowed}, of which {dollars(refused.available)} USD are left, and this request "
            f"may cost {dollars(refused.needed)} USD. {again}"
        )
    if rule.window is None:
        return f"Too many at once: {allowed}. {again}"
    left = f"{refused.available} are left, and this request may use {refused.needed}"
    return f"Rate limit reached: {allowed}; {left}. {again}"


_FIELDS = b"x-ratelimit-limit-%b: %%d\r\nx-ratelimit-remaining-%b: %%d\r\nx-ratelimit-reset-%b: %%.3fs\r\n"
_PLACES = b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %%d\r\nx-ratelimit-reset-%b: %%bs\r\n"
_BOTH = b"".join(_FIELDS % (name, name, name) for name in (b"requests", b"tokens"))


def fields(name: bytes, standing: Standing) -> bytes:
    """`x-ratelimit-*` of one kind (`requests` or `tokens`), each field ended with CRLF."""
    return _FIELDS % (name, name, name) % (standing.limit, standing.remaining, standing.reset)


def standings(requests: Standing | None, tokens: Standing | None) -> bytes:
    """The fields of both kinds; most answers have both, so they are made in one go."""
    if requests is None or tokens is None:
        one = requests or tokens
        return b"" if one is None else fields(b"tokens" if requests is None else b"requests", one)
    return _BOTH % (
        requests.limit,
        requests.remaining,
        requests.reset,
        tokens.limit,
        tokens.remaining,
        tokens.reset,
    )


def template(requests: int, tokens: int) -> bytes:
    """`standings` for these two limits, with places for what remains of the first (a whole number) and its reset
    (seconds, as text), then for the same of the second."""
    kinds = ((b"requests", requests), (b"tokens", tokens))
    return b"".join(_PLACES % (name, limit, name, name) for name, limit in kinds)


def refusal_headers(refused: Refused) -> Headers:
    """What a refusal carries: how long to wait, the tightest limits, and that a hopeless request is not to be sent
    again (`x-should-retry`, which OpenAI's and Anthropic's SDKs obey)."""
    headers: Headers = [(b"x-tollway-limit", refused.bound.rule.id.encode("ascii", "replace"))]
    if refused.retry_after is None:
        headers.append((b"x-should-retry", b"false"))
    else:
        headers.append((b"retry-after", b"%d" % max(math.ceil(refused.retry_after), 1)))
        headers.append((b"retry-after-ms", b"%d" % max(math.ceil(refused.retry_after * 1000), 1)))
    for name, standing in ((b"requests", refused.requests), (b"tokens", refused.tokens)):
        if standing is not None:
            lines = fields(name, standing).split(b"\r\n")
            headers += [(line.partition(b": ")[0], line.partition(b": ")[2]) for line in lines if line]
    return headers
