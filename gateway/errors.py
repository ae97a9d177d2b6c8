"""The error family. Rooms raise these; one place (`gateway/wire/envelopes.py`) turns refusals into wire bodies.

TollwayError
├── ConfigError                the written configuration is wrong (carries every problem found)
├── LedgerError                the books cannot be read or written
├── TransportError             an upstream exchange failed below HTTP semantics
│   ├── ConnectFailed          refused, unreachable, name not found, TLS not trusted     (nothing was sent)
│   ├── ConnectTimeout         no connection within `connect`                            (nothing was sent)
│   ├── PoolTimeout            no free connection within `queue`                         (nothing was sent)
│   ├── AtCapacity             no place within the provider's capacity                   (nothing was sent)
│   ├── ProviderLimited        a rule of ours on this provider refuses                   (nothing was sent)
│   ├── HeaderTimeout          no response head within `header`
│   ├── DeadlineExceeded       the total time of the exchange is over
│   ├── Disconnected           the peer closed or reset before the response was complete
│   └── ProtocolBroken         the peer did not speak valid HTTP/1.1, or passed a size bound
│       └── UnreadableStream   its HTTP was valid, and its stream of events cannot be read
└── Refusal                    the client gets an error envelope with a status
    ├── BadRequest 400  ├── Blocked 400        ├── Unauthenticated 401  ├── BudgetExhausted 402
    ├── Forbidden 403   ├── NotFound 404       ├── MethodNotAllowed 405 ├── BodyTimeout 408
    ├── BodyTooLarge 413├── RateLimited 429    ├── UpstreamBroken 502   ├── Overloaded 503
    │                                              └ UnreadableAnswer       └ GuardrailUnavailable
    └── UpstreamTimeout 504
"""

from typing import ClassVar, Literal

Outcome = Literal[
    "ok",  # the client got a complete answer of the provider, status < 400
    "refused",  # the gateway itself said no: key, model, size, limits, malformed
    "blocked",  # a guardrail said no, or failed and is closed (status 503)
    "upstream_status",  # the provider answered with a status >= 400, passed through
    "upstream_error",  # the provider broke: connect, protocol, cut stream
    "upstream_timeout",  # the provider was too slow
    "client_left",  # the client closed before the end (status 499)
    "cut",  # a limit or budget was used up while the answer was streamed
    "shutdown",  # the drain time was over
    "interrupted",  # the gateway process died; written by recovery
    "error",  # a defect of ours
]
"""How an exchange ended."""


class TollwayError(Exception):
    """Base of everything Tollway raises on purpose."""


class ConfigError(TollwayError):
    """The configuration cannot be used. `problems` are `file:line:column: what is wrong; what is allowed` lines."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LedgerError(TollwayError):
    """The books cannot be read or written."""


class TransportError(TollwayError):
    """An upstream exchange failed. `sent`: whether any request byte may have reached the peer."""

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class ConnectFailed(TransportError):
    """Connection refused, host unknown, or TLS verification failed."""


class ConnectTimeout(TransportError):
    """No connection within the `connect` time-out."""


class PoolTimeout(TransportError):
    """No free connection within the `queue` time-out."""


class AtCapacity(TransportError):
    """The provider's capacity is taken, and the line is full or the wait was over."""

    def __init__(self, message: str, retry_after: float) -> None:
        """`retry_after`: seconds until a place may be free, if all goes on as it did."""
        super().__init__(message)
        self.retry_after = retry_after


class CircuitOpen(TransportError):
    """The target's circuit breaker lets nothing through now, and there is another target."""


class ProviderLimited(TransportError):
    """A rule of ours on this provider refuses; `refusal` is what the client gets if no other target serves."""

    def __init__(self, refusal: "Refusal") -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class HeaderTimeout(TransportError):
    """No response head within the `header` time-out."""


class DeadlineExceeded(TransportError):
    """The exchange's total time is over."""


class Disconnected(TransportError):
    """The peer closed or reset before the response was complete."""


class ProtocolBroken(TransportError):
    """The peer did not speak valid HTTP, or passed a bound on header or line sizes."""


class UnreadableStream(ProtocolBroken):
    """A stream of events that cannot be read. Its text says why, and holds nothing of the peer's."""


class Refusal(TollwayError):
    """An answer the gateway itself gives. `message` is shown to the client: it never holds secrets or prompt text.

    OpenAI's envelope fields: https://platform.openai.com/docs/guides/error-codes ; Anthropic's `type`:
    https://docs.anthropic.com/en/api/errors .
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    anthropic_type: ClassVar[str] = "api_error"
    code: str | None = None
    outcome: ClassVar[Outcome] = "refused"
    """The ledger's outcome for an exchange that ends so."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = headers
        if code is not None:
            self.code = code


class BadRequest(Refusal):
    """400: malformed body or parameter."""

    status = 400
    type = "invalid_request_error"
    anthropic_type = "invalid_request_error"


class Blocked(BadRequest):
    """400: a guardrail blocked the text."""

    code = "content_filter"
    outcome = "blocked"
    answer = ""
    """What the client gets as an answer instead, where its operation has such."""


class Unauthenticated(Refusal):
    """401: no key, or not a valid one."""

    status = 401
    type = "invalid_request_error"
    anthropic_type = "authentication_error"
    code = "invalid_api_key"


class BudgetExhausted(Refusal):
    """402: a budget is used up."""

    status = 402
    type = "insufficient_quota"
    anthropic_type = "billing_error"
    code = "budget_exhausted"


class Forbidden(Refusal):
    """403: the key may not use this model or operation."""

    status = 403
    type = "invalid_request_error"
    anthropic_type = "permission_error"
    code = "model_not_allowed"


class NotFound(Refusal):
    """404: no such model, or no such path."""

    status = 404
    type = "invalid_request_error"
    anthropic_type = "not_found_error"
    code = "model_not_found"


class MethodNotAllowed(Refusal):
    """405: the path exists, the method does not."""

    status = 405
    type = "invalid_request_error"
    anthropic_type = "invalid_request_error"
    code = "method_not_allowed"


LATE_BODY = "The request body did not arrive in time, or came too slowly."


class BodyTimeout(Refusal):
    """408: the client did not send its body in time, or too slowly: `body_timeout`, `body_rate`, `body_total`."""

    status = 408
    type = "invalid_request_error"
    anthropic_type = "invalid_request_error"
    code = "request_timeout"


class BodyTooLarge(Refusal):
    """413: the body is over `server.max_body`."""

    status = 413
    type = "invalid_request_error"
    anthropic_type = "request_too_large"
    code = "request_too_large"


class UnsupportedEncoding(Refusal):
    """415: the body's content-encoding is not read here; `headers` tell in `accept-encoding` which are."""

    status = 415
    type = "invalid_request_error"
    anthropic_type = "invalid_request_error"
    code = "unsupported_encoding"


class RateLimited(Refusal):
    """429: a rate limit refuses; `headers` carry `retry-after`."""

    status = 429
    type = "rate_limit_error"
    anthropic_type = "rate_limit_error"
    code = "rate_limit_exceeded"


class UpstreamBroken(Refusal):
    """502: every provider that could serve this failed below HTTP, or spoke nonsense."""

    status = 502
    type = "server_error"
    anthropic_type = "api_error"
    code = "upstream_error"
    outcome = "upstream_error"


class UnreadableAnswer(UpstreamBroken):
    """502: guardrails must read the answer, and cannot."""

    def __init__(self, provider: str, why: str) -> None:
        super().__init__(f"The answer of the provider '{provider}' cannot be read by this team's guardrails: {why}.")


class Overloaded(Refusal):
    """503: the gateway cannot take this now; `headers` carry `retry-after`."""

    status = 503
    type = "server_error"
    anthropic_type = "overloaded_error"
    code = "overloaded"


class GuardrailUnavailable(Overloaded):
    """503: a guardrail that is closed failed. Nothing was found, and the next try may well be judged."""

    code = "guardrail_unavailable"
    outcome = "blocked"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=((b"retry-after", b"2"),))


class UpstreamTimeout(Refusal):
    """504: a provider did not answer in time."""

    status = 504
    type = "server_error"
    anthropic_type = "timeout_error"
    code = "upstream_timeout"
    outcome = "upstream_timeout"
