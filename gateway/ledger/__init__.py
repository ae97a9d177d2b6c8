"""The books: journal, loader, store, spend."""
