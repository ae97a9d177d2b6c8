"""What a request that is passed through shows of its own price, for answers that tell no usage: the characters that are
to be spoken, the images that are to be made, and that it is one request.

A price is only applied if all of it is known: what costs tokens too, and told none, has no cost.
"""

import msgspec

from gateway.client import Client
from gateway.dialects.peek import Asked, find_asked
from gateway.facts import UNPRICED, Exchange, Usage
from gateway.routing.table import Provider
from gateway.settings.snapshot import Snapshot
from gateway.settle import cost_of
from pricing.card import RateCard
from pricing.rates import Meter

SPEECH = "/v1/audio/speech"
IMAGES = "/v1/images/generations"
_MOST_IMAGES = 1000
"""Above what anybody makes at once: such an `n` is refused by the provider, or garbage."""
_LONGEST = 32
"""Characters of a size or a quality."""
_APART: frozenset[Meter] = frozenset(("character", "image", "page"))
"""Meters that a usage in tokens says nothing of."""


class Measured(msgspec.Struct, frozen=True, gc=False):
    """What is known of a request before it is answered."""

    known: frozenset[Meter] = frozenset(("request",))
    """Meters whose amount is in this."""
    characters: int = 0
    """Unicode code points of the text to be spoken."""
    images: int = 0
    quality: str = ""
    """Of the images, as asked; empty: the provider's own choice. So is `size`."""
    size: str = ""

    def with_told(self, told: Usage | None) -> Usage:
        """The usage that is priced: what an answer tells, and this."""
        return msgspec.structs.replace(told or Usage(), characters=self.characters, images=self.images)

    def tier(self, card: RateCard) -> str | None:
        """The tier that its images are priced by, if there is one for their quality or size."""
        return card.picture(self.quality, self.size) if self.images else None


ONE_REQUEST = Measured()


def measure(client: Client, content_type: bytes, body: bytes, *, whole: bool) -> Measured:
    """What a request shows. `body`: its beginning, or all of it if `whole`; of a part nothing is told."""
    if client.method != "POST" or not whole or client.path not in (SPEECH, IMAGES):
        return ONE_REQUEST
    asked = find_asked(content_type, body)
    if asked is None:
        return ONE_REQUEST
    return _speech(asked) if client.path == SPEECH else _images(asked)


def _speech(asked: Asked) -> Measured:
    """Source: platform.openai.com/docs/api-reference/audio/createSpeech."""
    if not isinstance(asked.input, str):
        return ONE_REQUEST
    return Measured(known=frozenset(("request", "character")), characters=len(asked.input))


def _images(asked: Asked) -> Measured:
    """Source: platform.openai.com/docs/api-reference/images/create."""
    number = 1 if asked.n is None else asked.n
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= _MOST_IMAGES:
        return ONE_REQUEST
    known: frozenset[Meter] = frozenset(("request", "image"))
    return Measured(known=known, images=number, quality=_chosen(asked.quality), size=_chosen(asked.size))


def _chosen(written: object) -> str:
    return written if isinstance(written, str) and written.lower() != "auto" and len(written) <= _LONGEST else ""


def foreseen(x: Exchange, snapshot: Snapshot, provider: Provider, measured: Measured) -> int | None:
    """What the request will cost, nano-dollars, if that is known before it is answered."""
    card = None if snapshot.prices is None else snapshot.prices.card(provider.prices, x.model)
    if card is None or card.by_clock or not _covers(card, x, measured, None):
        return None
    return card.cost(measured.with_told(None), tier=measured.tier(card), at_ns=x.received_ns).nanos


def settle_measured(
    x: Exchange, snapshot: Snapshot, provider: Provider, measured: Measured, told: Usage | None, now: float
) -> None:
    """Usage and cost of an answer that tells the usage `told`, or none, and was whole at `now` (monotonic seconds)."""
    x.usage, x.cost = told, UNPRICED
    card = None if snapshot.prices is None else snapshot.prices.card(provider.prices, x.model)
    if card is not None and card.by_clock and told is not None:
        told = msgspec.structs.replace(told, seconds=0.0)  # the audio's; it costs those that serving it took
    if card is not None and _covers(card, x, measured, told):
        x.usage = measured.with_told(told)
        x.service_tier = x.service_tier or measured.tier(card)
        x.cost = cost_of(x, snapshot, provider.prices, now)


def _covers(card: RateCard, x: Exchange, measured: Measured, told: Usage | None) -> bool:
    """Whether the amount of all that has a price is known."""
    rates = card.leaves(x.service_tier or measured.tier(card), x.received_ns)
    clock = ("second",) if card.by_clock else ()
    return all(meter in clock or _is_known(meter, measured, told) for meter, rate in rates.items() if rate)


def _is_known(meter: Meter, measured: Measured, told: Usage | None) -> bool:
    if meter in measured.known:
        return True
    if told is None or meter in _APART:
        return False
    if meter == "second":
        return told.seconds > 0
    return not told.seconds or told.input_tokens > 0 or told.output_tokens > 0
