"""OpenAI operations that answer whole and generate no text: embeddings and moderations.

Sources: platform.openai.com/docs/api-reference/embeddings, …/moderations.
"""

import msgspec

from gateway.dialects.body import checked_model, decode_request, replace_model
from gateway.dialects.delivered import Delivered
from gateway.dialects.quick import prompt_segments
from gateway.dialects.tail import reported
from gateway.facts import Operation, Reading, Segment, Usage

MODERATION_MODEL = "omni-moderation-latest"
"""What the API takes when a request names no model."""


class _Fields(msgspec.Struct, gc=False):
    model: str | None = None
    service_tier: str | None = None


_fields = msgspec.json.Decoder(_Fields)


class SilentStream(Delivered):
    """Reader for operations that do not stream: passes everything on."""

    __slots__ = ()

    def event(self, name: bytes, data: bytes) -> bool:
        if data == b"[DONE]":
            self.finished = True
        return True


class EmbeddingsDialect:
    """`POST /embeddings`."""

    default_model = ""

    def read(self, operation: Operation, body: bytes) -> Reading:
        fields = decode_request(_fields, body)
        model = fields.model if fields.model is not None else self.default_model
        return Reading(model=checked_model(model), service_tier=fields.service_tier)

    def rewrite(self, reading: Reading, body: bytes, model: str, ask_usage: bool = True) -> bytes:
        return replace_model(body, reading.model, model)

    def usage(self, body: bytes) -> tuple[Usage | None, str | None]:
        return reported(body)

    def stream(self, reading: Reading) -> SilentStream:
        return SilentStream()

    def prompt_segments(self, body: bytes) -> list[Segment]:
        return prompt_segments(body)

    def answer_segments(self, body: bytes) -> list[Segment]:
        """None: vectors and scores are no text."""
        return []


class ModerationsDialect(EmbeddingsDialect):
    """`POST /moderations`; the model may be left out."""

    default_model = MODERATION_MODEL
