"""Rate limits, concurrency and budgets (the seam; the stores come with a later release)."""
