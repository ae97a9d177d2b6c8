"""Finding candidates in bytes: the gate, its regular expressions, offsets from bytes to characters."""
