"""Error bodies as the providers write them: OpenAI's envelope, and Anthropic's under `/v1/messages`."""

import msgspec

from loadtest.mock.reply import Headers, Reply
from loadtest.mock.scenario import Failure

# status -> OpenAI (type, code, message), Anthropic type
_KNOWN: dict[int, tuple[str, str | None, str, str]] = {
    400: ("invalid_request_error", None, "The request is malformed.", "invalid_request_error"),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided.", "authentication_error"),
    403: ("invalid_request_error", "model_not_allowed", "You are not allowed to use this model.", "permission_error"),
    404: ("invalid_request_error", "not_found", "Not found.", "not_found_error"),
    413: ("invalid_request_error", "request_too_large", "The request is too large.", "request_too_large"),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests.", "rate_limit_error"),
    500: ("server_error", None, "The server had an error while processing your request.", "api_error"),
    503: ("service_unavailable_error", None, "The server is overloaded.", "overloaded_error"),
    529: ("service_unavailable_error", None, "The server is overloaded.", "overloaded_error"),
}


def failure_reply(failure: Failure, anthropic: bool) -> Reply:
    """The error answer of a scenario, or of the mock itself."""
    kind, code, message, anthropic_kind = _KNOWN.get(
        failure.status, ("server_error" if failure.status >= 500 else "invalid_request_error", None, "", "api_error")
    )
    text = failure.message or message or f"Error {failure.status}."
    if anthropic:
        body: object = {"type": "error", "error": {"type": failure.type or anthropic_kind, "message": text}}
    else:
        body = {
            "error": {"message": text, "type": failure.type or kind, "param": None, "code": failure.code or code},
        }
    headers: Headers = []
    if failure.retry_after is not None:
        headers.append((b"retry-after", f"{failure.retry_after:g}".encode()))
    return Reply(status=failure.status, body=msgspec.json.encode(body), headers=headers)
