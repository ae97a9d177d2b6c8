"""A look at a body that most likely has nothing in it: whether that is enough to see that it may go on as it is.

Guardrails that have to be sure take texts out of a body, judge them and put them back. A look takes a tenth of that,
and lets nearly every body pass in which nothing would be found: the gate sees nothing in all of it, or its texts stand
there plainly and were clean when they came before. What a look does not let pass may still be clean: guardrails say.
"""

from gateway.dialects.spoken import answered, asked
from gateway.dialects.tokens import INPUTS, holds_tokens
from gateway.facts import ALLOWED
from gateway.guard import SHORT, Guard
from gateway.wire.answers import texts_from

GLANCED = 4 * SHORT
"""Bytes of a body that the gate sees on the event loop: most of what it lets pass has nothing for the rest to do."""
REMEMBERED = 16 * SHORT
"""Bytes of a body whose texts are looked up there."""


def request_passes(guard: Guard, body: bytes) -> bool:
    """Whether a request that was read may go on as it is; that is noted. False: guardrails are to be asked."""
    operation, engine = guard.operation, guard.engine
    if guard.outside is not None or guard.pseudonyms is not None:
        return False
    if len(body) <= GLANCED and operation in INPUTS and holds_tokens(operation, body):
        return False
    if len(body) > GLANCED or not engine.clear(body, "request", operation, sound=True):
        if len(body) > REMEMBERED or not engine.remembers("request", operation):
            return False
        texts = asked(operation, body)
        if texts is None or not engine.passes(texts, "request", operation):
            return False
    guard.judged(ALLOWED, "request")
    return True


def answer_passes(guard: Guard, body: bytes) -> bool:
    """The same for the body of a whole answer."""
    operation, engine, vault = guard.operation, guard.engine, guard.vault
    if guard.outside is not None or len(body) > GLANCED:
        return False
    texts = answered(operation, body)
    if texts is not None:
        if not engine.passes(texts, "response", operation, vault=vault):
            return False
    elif guard.has_tokens(body) or not engine.clear(
        body, "response", operation, vault=vault, within=texts_from(operation, body)
    ):
        return False
    guard.judged(ALLOWED, "response")
    return True
