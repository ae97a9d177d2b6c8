"""Pseudonyms that live as long as a conversation: what is kept, how it is sealed, and where."""
