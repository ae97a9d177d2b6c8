"""Text in, findings and rewrites out. Pure: no sockets, no clock, no gateway."""
