"""Events for others: a durable spool, and their signed delivery at least once."""
