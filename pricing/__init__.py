"""Price catalogue, token counting and cost arithmetic. Pure: no sockets, no clock, no gateway."""
