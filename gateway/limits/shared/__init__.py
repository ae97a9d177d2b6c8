"""The store that many workers and hosts share: counters in Redis, and each worker's share of them while it is away.

`gateway.limits.stores.open_store` opens it; nothing outside of this room needs more of it.
"""
