"""What whoever is woken by an incident does first, by its signal: the short form of its runbook in docs/slo.md."""

from gateway.incidents.detect import Signal

_TRY: dict[Signal, str] = {
    "availability": "See which provider, model or team fails. If it began with a configuration, tollway config history "
    "says what changed and tollway config rollback takes it back.",
    "provider": "Is its status page red, or its address unreachable from here? The log's upstream_failed says why it "
    "failed. Let another model serve: tollway switch set fallback model NAME --to OTHER.",
    "provider_limited": "More is asked than your quota with it allows: give it a capacity, limit the team that asks "
    "most, or move traffic to another provider.",
    "credential": "Its key expired, was revoked or is out of credit. Put the new one where the configuration reads it, "
    "then tollway reload.",
    "guardrail_blocks": "If what it blocks is harmless: tollway switch set guardrail policy NAME --to shadow. What it "
    "found: tollway guardrails review.",
    "guardrail_shadow": "Nothing is blocked. See what it finds before you enforce it: tollway guardrails review.",
    "guardrail_demoted": "What it finds passes meanwhile. The log's guardrail_demoted says if it was too slow or acted "
    "too often. Mend the rule or raise its bounds, and save: that enforces it again at once.",
    "spend": "Which key and model: tollway spend --team NAME --by key,model --since 3h. To stop it: tollway switch set "
    "stop team NAME.",
    "ledger_lag": "Requests go on. Is the database slow, or locked by somebody? The gateway's log says why the loader "
    "waits.",
    "loader": "Requests go on, and nothing is lost. Is the database up, and has its disk room? The gateway's log says "
    "why the loader waits.",
    "journal": "The log's journal_unhealthy says why. Is the disk full or read-only? It goes on by itself.",
    "limit_store": "Rules do what their on_store_failure says. Bring Redis back: workers find it by themselves.",
}


def advice(signal: str) -> str:
    """A sentence or two for people; empty for a signal of a newer release."""
    found = {str(name): text for name, text in _TRY.items()}
    return found.get(signal, "")
