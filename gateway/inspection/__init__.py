"""Calls the guardrails on requests and responses."""
