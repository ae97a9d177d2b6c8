"""Pseudonyms of conversations, as the rules of each team ask for them."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence

from gateway.settings.guardrail_programs import Pseudonyms
from gateway.settings.guardrail_rules import Placed
from gateway.settings.interpolate import DataPath
from gateway.settings.load import Written
from gateway.settings.schema_guardrails import PseudonymsSection

_PURPOSE = b"tollway: pseudonyms of conversations"
_USUAL = PseudonymsSection.model_validate({})


def collect_pseudonyms(
    written: Written, placed: Sequence[Placed], random_key: bytes
) -> tuple[Mapping[str, Pseudonyms], list[tuple[DataPath, str]]]:
    """By team whose pseudonyms outlive an exchange: for how long; and what is wrong with that. `random_key`: used where
    `secrets.key_hash` is not set, and enough for a store in memory."""
    root = written.root
    problems: list[tuple[DataPath, str]] = []
    found: dict[str, Pseudonyms] = {}
    hashed = root.secrets.key_hash
    secret = random_key if hashed is None else hmac.digest(hashed.get_secret_value().encode(), _PURPOSE, hashlib.sha256)
    for team, section in root.teams.items():
        mine = [
            each
            for each in placed
            if each.policy in section.policies
            and each.rule.action == "pseudonymize"
            and (not each.rule.teams or team in each.rule.teams)
        ]
        options = [each.written.pseudonyms or _USUAL for each in mine]
        if not any(each.scope == "conversation" for each in options):
            continue
        unlike = next((each for each, said in zip(mine, options, strict=True) if said != options[0]), None)
        if unlike is not None:
            what = (
                f"another rule of team '{team}' that pseudonymizes says otherwise; allowed is the same in all of them"
            )
            problems.append(((*unlike.path, "pseudonyms" if unlike.written.pseudonyms else "action"), what))
        problems += [((*mine[0].path, "pseudonyms"), what) for what in _unfit(written)]
        found[team] = Pseudonyms(secret=secret, ttl=options[0].ttl, most=options[0].most)
    return found, list(dict.fromkeys(problems))


def _unfit(written: Written) -> Iterator[str]:
    """Why the store of the limits cannot keep conversations as it is configured."""
    root = written.root
    workers = root.server.workers if written.workers is None else written.workers
    if not root.limits.store.get_secret_value().startswith("memory:"):
        if root.secrets.key_hash is None:
            yield "workers that share conversations need one secret to seal them with; set secrets.key_hash"
    elif workers > 1:
        yield (
            f"{workers} workers cannot share conversations in memory; allowed are 1 worker, or "
            "limits.store: redis://HOST:PORT"
        )
