"""The dashboards, in the order in which one reads them."""

from gateway.slo.boards_policy import COST, GUARDRAILS, LIMITS
from gateway.slo.boards_providers import PROVIDERS
from gateway.slo.boards_service import INCIDENTS, OVERVIEW

BOARDS = (OVERVIEW, INCIDENTS, COST, PROVIDERS, GUARDRAILS, LIMITS)
