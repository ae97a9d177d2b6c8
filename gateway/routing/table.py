"""The compiled routes: providers, targets, and which route a model name takes."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from gateway.facts import Wire
from gateway.quota import Capacity
from gateway.routing.breaker import BreakerOptions
from gateway.seams import Headers, Origin, Timeouts


class Retry(msgspec.Struct, frozen=True):
    """How often a route is walked again after every target failed once. Seconds."""

    rounds: int = 0
    backoff: float = 0.25
    """Before the second walk; doubles each time."""
    max_backoff: float = 5.0
    """Also the longest `retry-after` that is waited for: a longer one is passed to the client at once."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One configured provider."""

    name: str
    wire: Wire
    origin: Origin
    base_path: bytes
    """Path of the base URL without a trailing slash, such as b"/v1"."""
    api_key: str | None = None
    headers: Headers = []
    """Extra headers for every request, names in lower case."""
    timeouts: Timeouts = Timeouts()
    transport: Literal["pool", "httpx"] = "pool"
    prices: str | None = None
    """Provider id in the price book; None: the book finds the model by its name alone."""
    asks_usage: bool = True
    """Whether it understands `stream_options.include_usage`."""
    capacity: Capacity | None = None
    """None: as much as is asked."""
    breaker: BreakerOptions | None = BreakerOptions()
    """None: its targets are tried however often they fail."""
    auth: dict[str, Headers] = {}
    """Credential headers by the wire of an operation: Anthropic's own operations at an Anthropic provider are paid by
    `x-api-key`, all others by a bearer token; the extra headers follow. Derived."""
    stream_timeouts: Timeouts = Timeouts()
    """`timeouts` for a streamed request, whose head must be there by the time the first event must; derived."""

    def __post_init__(self) -> None:
        limits = self.timeouts
        hurried = msgspec.structs.replace(limits, header=min(limits.header, limits.first_event))
        msgspec.structs.force_setattr(self, "stream_timeouts", hurried)
        bearer: Headers = []
        own: Headers = []
        if self.api_key is not None:
            bearer = [(b"authorization", b"Bearer " + self.api_key.encode())]
            own = [(b"x-api-key", self.api_key.encode())] if self.wire == "anthropic" else bearer
        auth = {"openai": [*bearer, *self.headers], "anthropic": [*own, *self.headers]}
        msgspec.structs.force_setattr(self, "auth", auth)


class Target(msgspec.Struct, frozen=True):
    """A model at a provider."""

    provider: Provider
    model: str
    weight: int = 1
    block: bytes = b""
    """The fields of an answer that name who served, each ended with CRLF. Derived."""

    def __post_init__(self) -> None:
        names = _shown(self.model), _shown(self.provider.name)
        block = b"x-tollway-model: %b\r\nx-tollway-provider: %b\r\n" % names
        msgspec.structs.force_setattr(self, "block", block)


def _shown(name: str) -> bytes:
    """A name as it may stand in a header field. Behind a wildcard a client chooses the model's."""
    return name.encode("ascii", "replace").translate(_IN_A_FIELD)


_IN_A_FIELD = bytes(b if b >= 0x20 and b != 0x7F else ord("?") for b in range(256))


class Route(msgspec.Struct, frozen=True):
    """What a model name means. `fallbacks` are model names, walked after every target failed."""

    name: str
    targets: tuple[Target, ...]
    fallbacks: tuple[str, ...] = ()
    retry: Retry = Retry()
    max_output: int | None = None
    """The most output tokens an answer can have, if that is known."""
    longest: float = 0.0
    """The longest total time of its targets, seconds. Derived."""

    def __post_init__(self) -> None:
        longest = max((each.provider.timeouts.total for each in self.targets), default=0.0)
        msgspec.structs.force_setattr(self, "longest", longest)


class RouteTable:
    """All routes of a snapshot. Exact names win over wildcards, longer wildcards over shorter ones."""

    def __init__(
        self,
        routes: Iterable[Route],
        wildcards: Iterable[Route],
        passthrough: Provider | None = None,
        others: Mapping[Wire, Provider] | None = None,
    ) -> None:
        """`others`: where operations without a model go whose wire `passthrough` does not speak.

        A wildcard route's name ends with `*`; its targets' model `*` stands for the rest of the asked name (or, in
        `prefix-*`, is replaced by it)."""
        self.exact = {route.name: route for route in routes}
        self.wildcards = tuple(sorted(wildcards, key=lambda route: len(route.name), reverse=True))
        self.passthrough = passthrough
        """Where operations without a model go."""
        self._others = others or {}

    def passthrough_of(self, wire: Wire) -> Provider | None:
        """Where operations without a model go that are of `wire`."""
        return self._others.get(wire, self.passthrough)

    def find(self, model: str) -> Route | None:
        """The route of `model`, with wildcards filled in; None when the name is unknown."""
        route = self.exact.get(model)
        if route is not None:
            return route
        for wild in self.wildcards:
            prefix = wild.name[:-1]
            if model.startswith(prefix) and len(model) > len(prefix):
                return self._filled(wild, model, model[len(prefix) :])
        return None

    def providers(self) -> list[Provider]:
        """Every provider a route leads to, by name."""
        routed = (target.provider for route in (*self.exact.values(), *self.wildcards) for target in route.targets)
        found = {provider.name: provider for provider in routed}
        if self.passthrough is not None:
            found[self.passthrough.name] = self.passthrough
        found.update({provider.name: provider for provider in self._others.values()})
        return [found[name] for name in sorted(found)]

    def names(self) -> list[str]:
        """Every model name a client may use, wildcards as they are written; sorted."""
        return sorted([*self.exact, *(wild.name for wild in self.wildcards)])

    @staticmethod
    def _filled(wild: Route, model: str, rest: str) -> Route:
        targets = tuple(
            Target(target.provider, target.model.replace("*", rest, 1), target.weight) for target in wild.targets
        )
        return Route(model, targets, wild.fallbacks, wild.retry, wild.max_output)
