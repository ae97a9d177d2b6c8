"""Bounds that keep a hostile or broken provider from costing memory."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """What the pool accepts of a peer before it raises `ProtocolBroken`, and how much it buffers unread."""

    max_head: int = 65_536
    """Bytes of status line and header fields, 1xx responses included."""
    max_headers: int = 256
    """Header fields of one response."""
    max_overhead: int = 16_384
    """Bytes of chunk-size lines, chunk extensions and trailers beyond eight per body byte. Extensions that dwarf the
    data they frame are an attack (CVE-2023-39326); a stream of one-byte chunks is not."""
    high_water: int = 131_072
    """Unread body bytes at which the socket is no longer read. One more read (up to 256 KiB) may be on top."""
    probe_after: float = 1.0
    """Seconds of idleness after which a kept connection is looked at with a system call before it is used."""
