"""The tollway command."""
