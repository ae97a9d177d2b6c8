"""Reads the fields of a huge request body beside the event loop, from its outline, and bounds its values first."""

import os

from gateway.dialects.outline import Outline, Unsound, outlined
from gateway.dialects.values import has_more
from gateway.errors import BadRequest, BodyTooLarge
from gateway.facts import Operation, Reading
from gateway.seams import Dialect
from gateway.slices import Breathe


def outline_of(body: bytes, breathe: Breathe, *, loose: bool = False) -> Outline | None:
    """The outline of a body; None: none of its long strings is out of the way, or one is not valid."""
    try:
        outline = outlined(body, os.urandom(16).hex().encode(), breathe, loose)
    except Unsound:
        return None
    return outline if outline.holes else None


def read_long(
    dialect: Dialect, operation: Operation, body: bytes, most: int, breathe: Breathe
) -> tuple[Reading, Outline | None]:
    """What `dialect.read` says of a long body, and its outline, if it has one. Raises `BodyTooLarge` for one of more
    than `most` values, and `BadRequest` as `dialect.read` does."""
    outline = outline_of(body, breathe)
    source = body if outline is None else outline.skeleton
    if has_more(source, most, breathe):
        raise BodyTooLarge(
            f"The request body has more values than this gateway takes: at most {most:,} are allowed.",
            code="too_many_values",
        )
    breathe()
    try:
        return dialect.read(operation, source), outline
    except BadRequest:
        if outline is None:
            raise
        return dialect.read(operation, body), None  # it says where in the body
