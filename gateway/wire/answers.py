"""Which outermost members of an answer hold texts: its container, and what providers write beside it.

Chat and Messages: every member that is not known to hold none (`citations` and `search_results` are Perplexity's, and
nobody knows the next one's). Responses: the output and what tells it again, because the rest is what the client sent.
"""

import re

_ABOUT = frozenset(
    ("id", "object", "created", "model", "system_fingerprint", "service_tier", "provider", "usage", "logprobs", "type",
     "role", "stop_reason", "stop_sequence", "container", "context_management", "obfuscation", "request_id",
     "timings", "time_info", "metrics", "perf_metrics", "x_groq", "prompt_logprobs", "prompt_token_ids",
     "kv_transfer_params", "nvext")
)  # fmt: skip
"""Members of answers and of chunks that hold ids, times and numbers."""
_OF_RESPONSES = frozenset(("output", "output_text", "error"))
_CONTAINERS = {
    "chat.completions": b'"choices"',
    "completions": b'"choices"',
    "responses": b'"output"',
    "messages": b'"content"',
}
_NO_TEXT = rb"(?:id|object|created|model|system_fingerprint|service_tier|provider|type|role)"
_TEXT_AHEAD = re.compile(rb'"(?!%b"\s*:)[^"]*+"\s*:' % _NO_TEXT)
_USUAL = {
    operation: re.compile(rb'\{(?>(?:"%b":(?:"[^"\\]*+"|[0-9]++|null),)*)%b:' % (_NO_TEXT, container)).match
    for operation, container in _CONTAINERS.items()
    if operation != "responses"
}
"""What nearly every answer begins with, by operation: nothing that may be text, and the container."""
_TOLD_AHEAD = re.compile(rb'"(?:output_text|error)"\s*:\s*["{\[]')


def holds_text(container: str, name: str) -> bool:
    """Whether the outermost member `name` may hold text, in answers whose texts are in `container`."""
    return name in _OF_RESPONSES if container == "output" else name not in _ABOUT


def texts_from(operation: str, body: bytes) -> bytes:
    """The name, in quotes, of the member that all texts of an answer are in or behind. Empty: nobody knows one, or
    something that stands before it may be text."""
    container = _CONTAINERS.get(operation, b"")
    usual = _USUAL.get(operation)
    if usual is not None and usual(body) is not None:
        return container
    ahead = _TOLD_AHEAD if operation == "responses" else _TEXT_AHEAD
    if container and ahead.search(body, 0, max(body.find(container), 0)):
        return b""
    return container
