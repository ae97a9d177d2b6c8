"""Provider wire formats: what a body asks for, what it used, how it is rewritten."""

from gateway.dialects.chat import ChatDialect, CompletionsDialect
from gateway.dialects.messages import CountTokensDialect, MessagesDialect
from gateway.dialects.plain import EmbeddingsDialect, ModerationsDialect
from gateway.dialects.responses import ResponsesDialect
from gateway.seams import Dialect

__all__ = ["OPERATIONS", "for_operation"]

_DIALECTS: dict[str, Dialect] = {
    "chat.completions": ChatDialect(),
    "completions": CompletionsDialect(),
    "embeddings": EmbeddingsDialect(),
    "responses": ResponsesDialect(),
    "moderations": ModerationsDialect(),
    "messages": MessagesDialect(),
    "messages.count_tokens": CountTokensDialect(),
}
OPERATIONS = tuple(_DIALECTS)
"""Names of the operations whose bodies are read."""


def for_operation(name: str) -> Dialect:
    """The dialect of an operation that `reads_body`; `KeyError` for any other."""
    return _DIALECTS[name]
