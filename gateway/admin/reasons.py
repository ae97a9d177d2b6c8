"""Why something was done, as people say it: checked before it goes into the audit log."""

from gateway.errors import BadRequest
from gateway.ledger.audit import MAX_REASON


def checked_reason(text: str, most: int = MAX_REASON) -> str:
    """Without spaces around it, at most `most` characters. Raises `BadRequest`."""
    text = text.strip()
    if not text or len(text) > most or not text.isprintable():
        raise BadRequest(f"reason: allowed is printable text of 1 to {most} characters.", param="reason")
    return text
