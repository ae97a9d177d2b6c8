"""What is wrong with a user's pattern or list: one family, whose words never repeat what the user wrote."""


class WordsError(ValueError):
    """Names the pattern or list, what is wrong with it and what is allowed instead."""
