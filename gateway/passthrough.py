"""Operations the gateway does not understand: authenticated, recorded, and streamed through in both directions.

Only the beginning of the body is looked at, to find the model and with it the provider. Nothing is held whole, but for
what guardrails read, and compressed bodies of kinds that name models.
"""

from collections.abc import AsyncIterator
from functools import partial

from gateway.admission import Admission
from gateway.attempt import CompressedAnswer, UnservedAnswer, target_of
from gateway.client import Client, too_large
from gateway.delivery import cut_short
from gateway.dialects.ending import Ending
from gateway.dialects.peek import Peeked, find_models
from gateway.dialects.segments import json_segments
from gateway.dialects.unserved import is_page
from gateway.errors import (
    AtCapacity,
    Forbidden,
    NotFound,
    ProviderLimited,
    Refusal,
    TransportError,
    UnreadableAnswer,
)
from gateway.facts import Attempt, Caller, Exchange, Segment
from gateway.forward import credential_refused, enter, refusal_of
from gateway.guard import ENCODING, WITHHELD, Guard, header_of, withheld
from gateway.homeward import led_home
from gateway.limits.turnstile import Place
from gateway.measured import Measured, foreseen, measure
from gateway.operations import FIRST_CLASS, anthropic_passthrough
from gateway.passed import FILES, keeps, reads, settle_passed, settle_unread
from gateway.routing.table import Provider
from gateway.seams import Headers, Late, UpstreamRequest, UpstreamResponse
from gateway.settings.snapshot import Snapshot
from gateway.settle import decoded
from gateway.wire.head import Head
from gateway.wire.headers import header, request_headers, response_headers
from gateway.wire.traceparent import TRACEPARENT
from gateway.wire.unpack import coding_of, unpacked
from gateway.world import World

_HEARD = ("/audio/transcriptions", "/audio/translations")
PEEK = 64 * 1024
"""Bytes of the body that may be read before anything is forwarded."""


async def pass_through(
    world: World, snapshot: Snapshot, x: Exchange, client: Client, head: Head, caller: Caller, guard: Guard | None
) -> None:
    """Walk the rest of the road for an operation that is not read. One try: the body cannot be sent twice."""
    x.operation = anthropic_passthrough(x.operation, b"anthropic-version" in head.fields)
    if not caller.passthrough:
        raise Forbidden(f"This key may not use this path; allowed are {FIRST_CLASS}.", code="operation_not_allowed")
    is_json = b"json" in head.content_type
    is_judged = is_json and (guard is None or not _is_let_by(guard, client, snapshot.server.max_body))
    read = guard is not None and guard.reads_requests and is_judged
    encoded = b"content-encoding" in head.fields and (read or _names_models(head))
    coding = coding_of(head.headers) if encoded else b""
    if read and guard is not None and not coding and client.length is None:
        opening, rest, is_judged = await _open_untold(guard, client, snapshot)
    elif read or coding:
        opening, rest = await client.read(snapshot.server.max_body), client.chunks()
    else:
        opening, rest = await _open_body(client, head, snapshot.server.max_upload)
    came = len(opening)
    if coding:
        opening = await unpacked(opening, coding, snapshot.server.max_body)
    if len(opening) <= PEEK:
        found = find_models(head.content_type, opening)
    else:
        found = await world.slices.run(partial(find_models, head.content_type, opening))
    provider, opening = _choose(snapshot, caller, x, found, opening)
    measured = measure(client, head.content_type, opening, whole=client.body_done)
    x.reserved_nanos = None if reads(client) else foreseen(x, snapshot, provider, measured)
    if snapshot.limits is not None:
        admission = Admission(world, snapshot, x, caller, None, found[-1].model if found else "")
        admission.expect(x.reserved_nanos or 0)
        if not admission.now():
            await admission.ask()
        if snapshot.limits.by_provider:
            await _limited(admission, provider)
    world.begin(x)
    if guard is not None:
        opening = await guard.opaque_request(opening, is_judged)
        if guard.outside is not None and opening and is_judged:
            opening = await guard.outside.request(opening, json_segments)
        measured = measure(client, head.content_type, opening, whole=client.body_done)
    length = None if client.length is None else client.length + len(opening) - came
    body = opening if client.body_done else _joined(opening, rest)
    x.read_at = world.clock.monotonic()
    place = None if provider.capacity is None else await _entered(world, x, provider)
    try:
        await _ask(world, snapshot, x, client, head, provider, body, length, guard, measured, decoded_body=bool(coding))
    finally:
        if place is not None:
            place.leave()


def _is_let_by(guard: Guard, client: Client, most: int) -> bool:
    """Whether a body is too large to be read, and no rule is enforced: to them it is as one that is no JSON."""
    too_large = client.length is not None and client.length > most
    return too_large and guard.reads_requests and guard.passes_large()


async def _open_untold(guard: Guard, client: Client, snapshot: Snapshot) -> tuple[bytes, AsyncIterator[bytes], bool]:
    """The same of a body whose length is not told: what was read of it, the rest as it will come, and whether that is
    all and can be judged. Raises `BodyTooLarge`."""
    most = snapshot.server.max_body
    rest = client.chunks(snapshot.server.max_upload)
    pieces: list[bytes] = []
    size = 0
    async for piece in rest:
        pieces.append(piece)
        size += len(piece)
        if size > most:
            if not guard.passes_large():
                raise too_large(most)
            return b"".join(pieces), rest, False
    return b"".join(pieces), rest, True


async def _limited(admission: Admission, provider: Provider) -> None:
    """Take the request's turn at rules that look at the provider. Raises their refusal."""
    try:
        await admission.enter(provider.name)
    except ProviderLimited as error:
        raise error.refusal from error


async def _entered(world: World, x: Exchange, provider: Provider) -> Place:
    """A place at a provider of limited capacity. Raises the refusal that tells why there was none."""
    try:
        return await enter(world, x, provider)
    except AtCapacity as error:
        x.attempts = [Attempt(provider=provider.name, model=x.model, error=type(error).__name__)]
        raise refusal_of(error, provider) from error


async def _ask(
    world: World,
    snapshot: Snapshot,
    x: Exchange,
    client: Client,
    head: Head,
    provider: Provider,
    body: bytes | AsyncIterator[bytes],
    length: int | None,
    guard: Guard | None,
    measured: Measured,
    *,
    decoded_body: bool,
) -> None:
    """Send the request on, and its answer back."""
    assert x.operation is not None
    x.forwarded_at = world.clock.monotonic()
    attempt = Attempt(provider=provider.name, model=x.model)
    x.attempts, x.provider = [attempt], provider.name
    request = UpstreamRequest(
        origin=provider.origin,
        method=client.method,
        target=target_of(provider, raw_path(client), client.query),
        headers=request_headers(
            _fields(world, head, decoded=decoded_body),
            readable=False,
            extra=[
                *([] if client.path.endswith(FILES) else [(b"accept-encoding", b"identity")]),
                (b"x-request-id", x.request_id.encode()),
                *([] if world.traces is None else [(TRACEPARENT, world.traces.traceparent(x))]),
                *provider.auth[x.operation.wire],
            ],
        ),
        body=body,
        content_length=length,
        timeouts=provider.timeouts,
        deadline=x.forwarded_at + provider.timeouts.total,
    )
    try:
        response = led_home(client.path, await world.transport(provider).send(request))
    except TransportError as error:
        attempt.error = type(error).__name__
        world.troubles.note(provider.name, error, world.clock.monotonic())
        raise refusal_of(error, provider) from error
    try:
        x.headers_at = world.clock.monotonic()
        attempt.status = x.status = response.status
        attempt.seconds = x.headers_at - x.forwarded_at
        if response.status < 300 and _is_unserved(client, response):
            error = UnservedAnswer(f"it answered {response.status} with a page for people", sent=True)
            attempt.error = type(error).__name__
            world.troubles.note(provider.name, error, world.clock.monotonic())
            raise refusal_of(error, provider)
        if response.status < 400:  # for a client that leaves before the end, or an answer that breaks
            settle_unread(x, snapshot, provider, client, measured, x.headers_at)
        if guard is not None:
            if guard.outside is not None:
                await guard.outside.verdict()
            if guard.reads_answers:
                return await _answer_read(world, snapshot, x, client, provider, response, guard, measured)
        await _answer(world, snapshot, x, client, provider, response, measured)
    finally:
        response.close()


def _is_unserved(client: Client, response: UpstreamResponse) -> bool:
    """Whether a page for people came where something was to be made. What is heard in a recording is text, which
    whisper.cpp and others send as a page; what is empty is none."""
    if not is_page(header(response.headers, b"content-type") or b"") or reads(client) or client.method == "OPTIONS":
        return False
    empty = response.status in (204, 205) or header(response.headers, b"content-length") == b"0"
    return not empty and not client.path.endswith(_HEARD)


def _fields(world: World, head: Head, *, decoded: bool) -> Headers:
    """The client's fields as they are to be chosen from; of a body that was decoded, without its coding."""
    fields = head.headers if world.traces is None else head.untraced
    return [pair for pair in fields if pair[0] not in ENCODING] if decoded else fields


def _names_models(head: Head) -> bool:
    """Whether the body is of a kind that names models, which must be allowed."""
    return b"json" in head.content_type or b"multipart" in head.content_type


async def _open_body(client: Client, head: Head, limit: int) -> tuple[bytes, AsyncIterator[bytes]]:
    """The first bytes of the body, and the rest as it will come."""
    if client.method in ("GET", "HEAD") or client.length == 0:
        await client.read(limit)
        return b"", client.chunks()
    if client.length is not None and client.length > limit:
        await client.read(limit)
    rest = client.chunks(limit)
    pieces: list[bytes] = []
    size = 0
    async for piece in rest:
        pieces.append(piece)
        size += len(piece)
        if size >= PEEK or not _names_models(head):
            break
    return b"".join(pieces), rest


def _choose(
    snapshot: Snapshot, caller: Caller, x: Exchange, found: list[Peeked], opening: bytes
) -> tuple[Provider, bytes]:
    """The provider of the model in the body, else the default one; and the body with the provider's model names. Every
    model that is named must be allowed; the last one decides, as with a JSON member that is written twice."""
    routes = snapshot.routes
    for peeked in found:
        if not caller.models.allows(peeked.model):
            raise Forbidden(f"This key may not use the model '{peeked.model[:200]}'.", param="model")
    provider: Provider | None = None
    for peeked in reversed(found):
        route = routes.find(peeked.model)
        if route is None:
            x.model = x.model or peeked.model
            continue
        target = route.targets[0]
        if (switches := snapshot.switches) is not None:
            route = switches.route(routes, route, x.received_ns)
            target = switches.running(route.targets, x.received_ns)[0]
        if provider is None:
            x.model, provider = target.model, target.provider
        if target.provider is provider:
            opening = peeked.replaced(opening, target.model)
    if provider is not None:
        return provider, opening
    assert x.operation is not None
    default = routes.passthrough_of(x.operation.wire)
    if default is None:
        raise NotFound("No provider is configured for this path.", code="unknown_path")
    if snapshot.switches is not None:
        snapshot.switches.provider(default, x.received_ns)
    return default, opening


async def _answer(
    world: World,
    snapshot: Snapshot,
    x: Exchange,
    client: Client,
    provider: Provider,
    response: UpstreamResponse,
    measured: Measured,
    begun: bytes = b"",
) -> None:
    """Stream the answer through, of which `begun` came already; its usage is found in its end."""
    if response.status == 401:
        raise credential_refused(provider)
    headers = response_headers(response.headers)
    headers += _own_headers(x, provider)
    ending = keeps(client, x, snapshot, provider, response.headers) if response.status < 400 else None
    x.committed = True
    await client.head(response.status, headers)
    x.first_byte_at = world.clock.monotonic()
    x.outcome = "ok" if response.status < 400 else "upstream_status"
    try:
        while chunk := begun or await response.chunk(world.clock.monotonic() + provider.timeouts.idle):
            begun = b""
            if ending is not None:
                ending.add(chunk)
            await client.write(chunk)
    except (TransportError, Late) as error:
        x.outcome = _cut_short(world, provider, error).outcome
        return client.abort()
    if ending is not None:
        now = world.clock.monotonic()
        if not settle_passed(world.bills, x, snapshot, provider, client, response.headers, ending, measured, now):
            world.troubles.note(provider.name, CompressedAnswer(), world.clock.monotonic())
    elif response.status < 400:
        settle_unread(x, snapshot, provider, client, measured, world.clock.monotonic())
    await client.write(b"", more=False)


async def _answer_read(
    world: World,
    snapshot: Snapshot,
    x: Exchange,
    client: Client,
    provider: Provider,
    response: UpstreamResponse,
    guard: Guard,
    measured: Measured,
) -> None:
    """Hold an answer that guardrails must read, up to the size of a body, and pass on what they leave of it. What they
    cannot read and need not is passed on as it comes."""
    refused = response.status >= 400
    is_json = any(name == b"content-type" and b"json" in value for name, value in response.headers)

    async def as_it_is(begun: bytes = b"") -> None:
        await _answer(world, snapshot, x, client, provider, response, measured, begun)

    if not is_json and guard.passes_unread("response"):
        return await as_it_is()
    if not is_json and not refused:
        raise UnreadableAnswer(provider.name, "it is not JSON")
    if response.status == 401:
        raise credential_refused(provider)
    body = b""
    try:
        while chunk := await response.chunk(world.clock.monotonic() + provider.timeouts.idle):
            body += chunk
            if len(body) > snapshot.server.max_body:
                if guard.passes_unread("response"):
                    return await as_it_is(body)
                raise UnreadableAnswer(provider.name, "it is too large")
    except (TransportError, Late) as error:
        raise _cut_short(world, provider, error) from error
    plain = decoded(body, response.headers)
    dropped = ENCODING
    if refused:
        shown = await guard.refused(plain if is_json else None)
        if shown is None and guard.passes_unread("response"):
            return await as_it_is(body)
        body, dropped = (withheld(x, response.status), WITHHELD) if shown is None else (shown, ENCODING)
    elif plain is None:
        if guard.passes_unread("response"):
            return await as_it_is(body)
        raise UnreadableAnswer(provider.name, "it is compressed in a way that is not read here")
    else:
        ending = Ending(len(plain))
        ending.add(plain)
        told = [pair for pair in response.headers if pair[0] != b"content-encoding"]
        now = world.clock.monotonic()
        settle_passed(world.bills, x, snapshot, provider, client, told, ending, measured, now)
        body = await guard.opaque_answer(plain)
        if guard.outside is not None:
            body = await guard.outside.answer(body, _answer_segments)
    headers = [pair for pair in response_headers(response.headers) if pair[0] not in dropped]
    headers += [
        *([(b"content-type", b"application/json")] if dropped is WITHHELD else ()),
        (b"content-length", b"%d" % len(body)),
        *_own_headers(x, provider),
    ]
    x.committed, x.outcome = True, "upstream_status" if refused else "ok"
    x.first_byte_at = world.clock.monotonic()
    await client.answer(response.status, headers, body)


def _own_headers(x: Exchange, provider: Provider) -> Headers:
    told = header_of(x)
    return [
        (b"x-request-id", x.request_id.encode()),
        (b"x-tollway-provider", provider.name.encode()),
        *([(b"x-tollway-guardrails", told)] if told else ()),
    ]


def _cut_short(world: World, provider: Provider, error: TransportError | Late) -> Refusal:
    """Tell of an answer that failed after it had begun; what the client gets, if it has nothing yet."""
    cause = cut_short(error)
    world.troubles.note(provider.name, cause, world.clock.monotonic())
    return refusal_of(cause, provider)


def _answer_segments(body: bytes) -> list[Segment]:
    return json_segments(body, role="assistant")


async def _joined(opening: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if opening:
        yield opening
    async for piece in rest:
        yield piece


def raw_path(client: Client) -> bytes:
    """The path below /v1 as the client wrote it, percent-encoding and all."""
    return client.path[len("/v1") :].encode("latin-1")
