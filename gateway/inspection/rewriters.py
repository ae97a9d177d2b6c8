"""The event rewriter of an operation, and the shapes its streams share."""

from gateway.inspection.chat_events import ChatEvents, CompletionsEvents
from gateway.inspection.events import EventRewriter
from gateway.inspection.messages_events import MessagesEvents
from gateway.inspection.plans import Plan
from gateway.inspection.responses_events import ResponsesEvents
from gateway.inspection.shapes import Shapes
from guardrails.interface import StreamInspector

_KINDS: dict[str, type[EventRewriter]] = {
    "chat.completions": ChatEvents,
    "completions": CompletionsEvents,
    "responses": ResponsesEvents,
    "messages": MessagesEvents,
}
OPERATIONS = tuple(_KINDS)
"""Names of the operations that stream texts."""


class Rewriters:
    """Opens rewriters; keeps what was learned about events (a few hundred kilobytes at most). One per process."""

    def __init__(self) -> None:
        self._shapes: dict[str, Shapes[Plan]] = {name: Shapes() for name in _KINDS}

    def open(self, operation: str, inspector: StreamInspector) -> EventRewriter:
        """A rewriter for one stream. `KeyError` for an operation that is not in `OPERATIONS`."""
        return _KINDS[operation](inspector, self._shapes[operation])
