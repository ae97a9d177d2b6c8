"""Tollway, the LLM gateway: the proxy, its rooms and its command line."""

__version__ = "0.1.0"
