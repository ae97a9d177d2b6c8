"""Rate limits, concurrency and budgets: what applies to a request, the decision, and where it is counted."""
