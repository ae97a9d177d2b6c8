"""Makes engines of written guardrails. What cannot be compiled is an error with its place."""

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from gateway.errors import ConfigError
from gateway.settings.guardrail_programs import GuardrailPrograms, team_engine
from gateway.settings.guardrail_rules import Placed, blame, place_rules
from gateway.settings.guardrail_warnings import guardrail_warnings
from gateway.settings.interpolate import DataPath
from gateway.settings.load import Written
from gateway.settings.outside_rules import collect
from gateway.settings.pseudonym_rules import collect_pseudonyms
from gateway.settings.schema_guardrails import RuleSection
from gateway.settings.workshop import OUTSIDE, PartError, Workshop
from guardrails import catalogue
from guardrails.engine import PolicyEngine
from guardrails.policy import Policy, PolicyError
from guardrails.remembered import Remembered
from guardrails.scanner import Scanner
from guardrails.words.language import UserPattern
from guardrails.words.terms import TermList

_PURPOSE = b"tollway: digests of guardrail findings"


BUILT_IN = "built-in"
"""Name of the policy that `tollway guardrails` tries where none is named."""
_BUILT_IN = (
    {"detect": "pii", "action": "mask"},
    {"detect": "secrets", "action": "mask"},
    {"detect": "prompt_injection"},
    {"detect": "moderation"},
)


def compile_guardrails(written: Written, workshop: Workshop) -> GuardrailPrograms | None:
    """None: no policy is written. Raises `ConfigError` with the place of everything that cannot be compiled."""
    root = written.root
    if not root.guardrails:
        return None
    placed, problems = place_rules(root.guardrails, written.terms)
    outside, unlike = collect([(each.path, each.written, each.rule.id) for each in placed if _is_outside(each)])
    problems += unlike
    try:
        scanner = workshop.scanner([each.part for each in placed])
    except PartError as error:
        problems += [problem for part, what in error.problems for problem in _blamed(placed, part.name, what)]
        scanner = None
    pseudonyms, unlike = collect_pseudonyms(written, placed, workshop.random_key)
    problems += unlike
    if problems or scanner is None:
        raise ConfigError([written.problem(path, message) for path, message in problems])
    policies = _policies(root.guardrails, placed)
    inside = _policies(root.guardrails, [each for each in placed if not _is_outside(each)])
    beyond = _policies(root.guardrails, [each for each in placed if _is_outside(each)])
    secret = root.secrets.key_hash
    key = workshop.random_key if secret is None else digest_key(secret.get_secret_value().encode())
    earlier = root.secrets.previous_key_hash
    previous = b"" if earlier is None else digest_key(earlier.get_secret_value().encode())
    governed = [each for each in placed if each.written.bounds is not None and each.rule.mode == "enforce"]
    return GuardrailPrograms(
        policies=policies,
        engines=_engines(written, inside, scanner, (key, previous), policies),
        pseudonyms=pseudonyms,
        outside=outside,
        outside_engines=_engines(written, beyond, scanner, (key, previous)),
        scanner=scanner,
        bounds={each.rule.id: each.rule.bounds for each in governed},
        governed={each.rule.id: (each.written, written.terms.get(each.path)) for each in governed},
        types=_types(placed),
        backend=workshop.gate.backend if workshop.gate is not None else "",
        key=key,
        previous=previous,
        warnings=tuple(_warnings(written, placed, workshop)),
    )


def built_in(workshop: Workshop) -> GuardrailPrograms:
    """The policy `BUILT_IN`: every built-in detector at its own threshold. Raises `PartError`."""
    rules = [RuleSection.model_validate({**rule, "mode": "enforce"}) for rule in _BUILT_IN]
    everything = sorted(catalogue.usual_types("pii") | catalogue.IMPERSONAL)
    rules[0] = rules[0].model_copy(update={"entities": everything})
    placed, _ = place_rules({BUILT_IN: rules}, {})
    scanner = workshop.scanner([each.part for each in placed])
    return GuardrailPrograms(
        policies=_policies({BUILT_IN: rules}, placed),
        engines={},
        scanner=scanner,
        bounds={},
        types=_types(placed),
        backend=workshop.gate.backend if workshop.gate is not None else "",
        key=workshop.random_key,
    )


def _policies(names: Iterable[str], placed: Sequence[Placed]) -> dict[str, Policy]:
    return {name: Policy(name, tuple(each.rule for each in placed if each.policy == name)) for name in names}


def _types(placed: Sequence[Placed]) -> dict[str, frozenset[str]]:
    """What the rules of each detector may report."""
    found: dict[str, frozenset[str]] = {}
    for each in placed:
        if _is_outside(each):
            types = each.rule.types
        elif each.part.kind in catalogue.BUILTINS:
            types = each.rule.types or frozenset(catalogue.types(each.part.kind))
        else:
            types = frozenset(made.type for made in cast("tuple[UserPattern | TermList, ...]", each.part.content))
        found[each.part.name] = found.get(each.part.name, frozenset()) | types
    return found


def digest_key(server_secret: bytes) -> bytes:
    """The key of digests, made of `secrets.key_hash` so that it needs no secret of its own and tells nothing of it."""
    return hmac.digest(server_secret, _PURPOSE, hashlib.sha256)


def _blamed(placed: list[Placed], part: str, what: str) -> Iterator[tuple[DataPath, str]]:
    for each in placed:
        if each.part.name == part:
            yield from blame(each, what)


def _is_outside(placed: Placed) -> bool:
    return placed.part.kind == OUTSIDE


def _engines(
    written: Written,
    policies: Mapping[str, Policy],
    scanner: Scanner,
    keys: tuple[bytes, bytes],
    all_policies: Mapping[str, Policy] | None = None,
) -> dict[str, PolicyEngine]:
    """An engine for each team that has rules among these, or among `all_policies` (perhaps one without rules)."""
    engines: dict[str, PolicyEngine] = {}
    remembered = Remembered(os.urandom(16))
    for name, team in written.root.teams.items():
        named = [policies[policy] for policy in team.policies if policies[policy].rules]
        if any((all_policies or policies)[policy].rules for policy in team.policies):
            try:
                engines[name] = team_engine(named, scanner, keys[0], name, keys[1], remembered)
            except PolicyError as error:
                path = ("teams", name, "guardrails")
                raise ConfigError([written.problem(path, what) for what in error.problems]) from None
    return engines


def _warnings(written: Written, placed: list[Placed], workshop: Workshop) -> Iterator[str]:
    if workshop.gate is not None and workshop.gate.backend != "hyperscan":
        yield f"guardrails run on {workshop.gate.why}; install tollway[guardrails] for speed"
    if placed and written.root.secrets.key_hash is None:
        allows = [each.rule.id for each in placed if each.rule.allow.digests]
        what = f": the allow-list of {allows[0]} never matches" if allows else ""
        yield f"secrets.key_hash is not set, so digests of guardrail findings change at every start{what}"
    for each in placed:
        notes: list[str] = getattr(workshop.made(each.part), "notes", [])
        yield from (f"guardrail rule {each.rule.id}: {note}" for note in notes)
    yield from guardrail_warnings(written.root, placed)
