"""`GET /v1/models` and `/v1/models/{id}`: the models this caller may use, in OpenAI's or Anthropic's shape."""

import msgspec

from gateway.client import Client
from gateway.errors import NotFound
from gateway.facts import Caller, Exchange
from gateway.operations import model_of
from gateway.routing.table import Route
from gateway.settings.snapshot import Snapshot

CREATED = 1_700_000_000
"""OpenAI's shape wants a creation time (epoch seconds); a route has none, so all carry the same."""


async def answer_models(x: Exchange, client: Client, snapshot: Snapshot, caller: Caller) -> None:
    """Answer from the snapshot alone: no provider is asked. Wildcard routes are not listed, because their written names
    cannot be called."""
    anthropic = any(name == b"anthropic-version" for name, _ in client.headers)
    asked = model_of(client.path)
    if asked:
        route = snapshot.routes.find(asked)
        if route is None or not caller.models.allows(asked):
            raise NotFound(f"The model '{asked[:200]}' does not exist here.", param="model")
        body = _entry(route, anthropic)
    else:
        routes = [route for route in snapshot.routes.exact.values() if caller.models.allows(route.name)]
        entries = [_entry(route, anthropic) for route in sorted(routes, key=lambda route: route.name)]
        body = _anthropic_page(entries) if anthropic else {"object": "list", "data": entries}
    data = msgspec.json.encode(body)
    x.outcome, x.status = "ok", 200
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(data)),
        (b"x-request-id", x.request_id.encode()),
    ]
    await client.answer(200, headers, data)


def _entry(route: Route, anthropic: bool) -> dict[str, object]:
    if anthropic:
        return {"type": "model", "id": route.name, "display_name": route.name, "created_at": "2023-11-14T22:13:20Z"}
    owner = route.targets[0].provider.name if route.targets else "tollway"
    return {"id": route.name, "object": "model", "created": CREATED, "owned_by": owner}


def _anthropic_page(entries: list[dict[str, object]]) -> dict[str, object]:
    return {
        "data": entries,
        "has_more": False,
        "first_id": entries[0]["id"] if entries else None,
        "last_id": entries[-1]["id"] if entries else None,
    }
