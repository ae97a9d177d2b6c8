"""HTTP to providers: our own HTTP/1.1 pool, and httpx beside it."""
