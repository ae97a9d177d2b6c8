"""Which provider and model, and in which order if one fails."""
