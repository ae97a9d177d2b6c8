"""Guardrails as a snapshot holds them: an engine for each team, over one scanner for all of them."""

from collections.abc import Iterable, Mapping

import msgspec

from gateway.clock import timer_ns
from guardrails.engine import PolicyEngine
from guardrails.policy import Bounds, Policy
from guardrails.scanner import Scanner


class GuardrailPrograms(msgspec.Struct, frozen=True, kw_only=True):
    """What is compiled of `guardrails:`."""

    policies: Mapping[str, Policy]
    """Every policy by name, those included that no team uses."""
    engines: Mapping[str, PolicyEngine]
    """By team; teams whose texts nobody inspects are not among them."""
    scanner: Scanner
    bounds: Mapping[str, Bounds]
    """By id of the rule: those that `guardrails/governor.py` is to demote. What no rule of the snapshot in force has
    any more may be forgotten."""
    types: Mapping[str, frozenset[str]]
    """By name of the detector: what its rules may report."""
    backend: str
    """Engine of the gate: hyperscan, re2 or re; empty: nothing needs one."""
    key: bytes
    """For digests of findings."""
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<GuardrailPrograms of {', '.join(self.policies)}>"

    def rules_of(self, policy: str) -> list[str]:
        """Ids of the rules of a policy; of one that is not configured, none."""
        found = self.policies.get(policy)
        return [] if found is None else [rule.id for rule in found.rules]

    def engine(self, *names: str, team: str = "") -> PolicyEngine:
        """An engine of these policies, for a team (empty: for none). Raises KeyError, `PolicyError`."""
        return team_engine([self.policies[name] for name in names], self.scanner, self.key, team)


def team_engine(policies: Iterable[Policy], scanner: Scanner, key: bytes, team: str) -> PolicyEngine:
    """An engine of these policies for one team. Raises `PolicyError`."""
    return PolicyEngine(tuple(policies), scanner, key=key, team=team, timer=timer_ns)
