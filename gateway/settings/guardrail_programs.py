"""Guardrails as a snapshot holds them: an engine for each team, over one scanner for all of them."""

from collections.abc import Iterable, Mapping

import msgspec

from gateway.clock import timer_ns
from gateway.settings.outside_rules import OutsideRules
from guardrails.engine import PolicyEngine
from guardrails.policy import Bounds, Policy
from guardrails.remembered import Remembered
from guardrails.scanner import Scanner

NOTHING_OUTSIDE = OutsideRules(rules={}, sources={})


class Pseudonyms(msgspec.Struct, frozen=True, kw_only=True):
    """Of a team whose pseudonyms live as long as a conversation."""

    secret: bytes
    """What names, keys and placeholders of its conversations are derived from."""
    ttl: float
    """Seconds a conversation is kept after its last request."""
    most: int
    """Values of one conversation."""

    def __repr__(self) -> str:
        return f"Pseudonyms(ttl={self.ttl!r}, most={self.most!r})"


class GuardrailPrograms(msgspec.Struct, frozen=True, kw_only=True):
    """What is compiled of `guardrails:`."""

    policies: Mapping[str, Policy]
    """Every policy by name, those included that no team uses."""
    engines: Mapping[str, PolicyEngine]
    """By team; teams whose texts nobody inspects are not among them."""
    scanner: Scanner
    bounds: Mapping[str, Bounds]
    """By id of the rule: enforced ones that `guardrails/governor.py` is to demote. What no rule of the snapshot in
    force has any more may be forgotten."""
    types: Mapping[str, frozenset[str]]
    """By name of the detector: what its rules may report."""
    backend: str
    """Engine of the gate: hyperscan, re2 or re; empty: nothing needs one."""
    key: bytes
    """For digests of findings,"""
    previous: bytes = b""
    """and for those that were made before it was changed; empty: none count."""
    warnings: tuple[str, ...] = ()
    pseudonyms: Mapping[str, Pseudonyms] = {}
    """By team; those whose pseudonyms live for one exchange are not among them."""
    outside: OutsideRules = NOTHING_OUTSIDE
    """Rules whose detectors are outside of the engines above, and"""
    outside_engines: Mapping[str, PolicyEngine] = {}
    """by team an engine of those rules alone. They look at what the other rules left."""
    governed: Mapping[str, object] = {}
    """By id of the rules with `bounds`: all that is written of them. Equal: a reload did not change the rule."""

    def __repr__(self) -> str:
        return f"<GuardrailPrograms of {', '.join(self.policies)}>"

    def enforced(self) -> set[str]:
        """Ids of the rules in force."""
        return {rule.id for policy in self.policies.values() for rule in policy.rules if rule.mode == "enforce"}

    def rules_of(self, policy: str) -> list[str]:
        """Ids of the rules of a policy; of one that is not configured, none."""
        found = self.policies.get(policy)
        return [] if found is None else [rule.id for rule in found.rules]

    def engine(self, *names: str, team: str = "") -> PolicyEngine:
        """An engine of these policies, for a team (empty: for none). Raises KeyError, `PolicyError`."""
        return team_engine([self.policies[name] for name in names], self.scanner, self.key, team, self.previous)

    def unasked(self, *names: str) -> list[str]:
        """Ids of rules of these policies whose detectors are outside: an engine by itself finds nothing by them."""
        return [rule.id for name in names for rule in self.policies[name].rules if rule.id in self.outside.rules]

    def inside(self, *names: str) -> list[Policy]:
        """These policies without the rules whose detectors are outside."""
        return [
            msgspec.structs.replace(
                self.policies[name],
                rules=tuple(rule for rule in self.policies[name].rules if rule.id not in self.outside.rules),
            )
            for name in names
        ]


def team_engine(
    policies: Iterable[Policy],
    scanner: Scanner,
    key: bytes,
    team: str,
    previous: bytes = b"",
    remembered: Remembered | None = None,
) -> PolicyEngine:
    """An engine of these policies for one team. Raises `PolicyError`."""
    return PolicyEngine(
        tuple(policies), scanner, key=key, previous=previous, team=team, timer=timer_ns, remembered=remembered
    )
