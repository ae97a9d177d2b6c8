"""Wire-level pieces without I/O: SSE, headers, envelopes."""
