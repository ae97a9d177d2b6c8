"""Carries out on requests and responses what the guardrails say, in the provider's wire formats."""

from gateway.inspection.events import EventRewriter
from gateway.inspection.rewrite import NotRewritable, Rewritten, rewrite_answer, rewrite_segments
from gateway.inspection.rewriters import OPERATIONS, Rewriters

__all__ = [
    "OPERATIONS",
    "EventRewriter",
    "NotRewritable",
    "Rewriters",
    "Rewritten",
    "rewrite_answer",
    "rewrite_segments",
]
