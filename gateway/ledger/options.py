"""How the loader works, as values the gateway can pass on without importing the loader and its database library."""

import msgspec

_DAY = 86_400.0


class LoaderOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Times are seconds."""

    poll: float = 0.2
    recover_every: float = 2.0
    care_every: float = 300.0
    status_every: float = 1.0
    retain_segments: float = _DAY
    """Loaded segments are kept this long."""
    archive_segments: bool = False
    """Move them to `archive/` then, instead of deleting them."""
    retain_events: float | None = 90 * _DAY
    """Raw events are kept this long; None: for ever."""
    retain_findings: float = 30 * _DAY
    """Entries of the guardrails' findings log are kept this long, also those from before it was switched off."""
    back_off_most: float = 5.0
    drain: float = 10.0
    """At the end, how long to go on loading what is left."""
