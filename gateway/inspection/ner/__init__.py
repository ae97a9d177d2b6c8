"""Names and places: a spaCy model in worker processes, with rules and word lists around it."""
