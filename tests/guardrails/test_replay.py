"""What a change of policies would have done to findings that were logged."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from guardrails.actions import Hasher
from guardrails.engine import PolicyEngine
from guardrails.interface import Segment
from guardrails.policy import AllowList, Policy, Rule
from guardrails.replay import EXAMPLES, Logged, Replay, Side, gaps
from guardrails.scanner import Scanner
from tests.support.detectors import ReGate, mail

KEY = b"k" * 32
SCANNER = Scanner([mail()], gate=ReGate)
MAILS = Rule(id="mails", detector="mail", types=frozenset({"EMAIL_ADDRESS"}), threshold=0.5, action="mask",
             mode="shadow")  # fmt: skip


def side(*rules: Rule, team: str = "search", policy: str = "p") -> Side:
    return Side({team: [Policy(policy, rules)]}, KEY)


def logged(exchange: str = "x1", **changes: object) -> Logged:
    fields: dict[str, object] = {
        "exchange": exchange, "team": "search", "key": "k1", "operation": "chat.completions", "direction": "request",
        "role": "user", "place": "messages[].content", "start": 3, "end": 9, "detector": "mail",
        "type": "EMAIL_ADDRESS", "pattern": "mail.one", "score": 0.9, "digest": "d" * 16, "rule": "mails",
    }  # fmt: skip
    return Logged(**{**fields, **changes})  # type: ignore[arg-type]


def changed(rule: Rule, **changes: object) -> Rule:
    return msgspec.structs.replace(rule, **changes)


def ran(new: Rule, *exchanges: list[Logged], old: Rule = MAILS) -> Replay:
    replay = Replay(side(old), side(new))
    for each in exchanges:
        replay.add(each)
    return replay


def test_enforcing_a_shadow_rule_is_counted_by_rule_team_and_exchange():
    enforced = changed(MAILS, mode="enforce", action="block")
    replay = ran(enforced, [logged(), logged(start=20, end=26)], [logged("x2")])
    assert (replay.exchanges, replay.findings, replay.changed) == (2, 3, 2)
    assert (replay.old.blocked, replay.new.blocked) == (0, 2)
    counts = replay.rules["mails"]
    assert (counts.old_found, counts.new_found, counts.old_acted, counts.new_acted) == (3, 3, 0, 3)
    assert (counts.old_exchanges, counts.new_exchanges) == (0, 2)
    assert replay.teams["search"].new.blocked == 2
    assert [(each.exchange, each.old, each.new, each.rules) for each in replay.examples] == [
        ("x1", "allow", "block", ("mails",)), ("x2", "allow", "block", ("mails",)),
    ]  # fmt: skip


def test_what_a_rule_asks_for_is_asked_of_the_log():
    """Threshold, types, without, directions, roles, operations, teams, allow-lists: none needs the text."""
    mask = changed(MAILS, mode="enforce")
    value = Hasher(KEY).digest("Jane@Example.org")
    for narrower in (
        {"threshold": 0.95},
        {"thresholds": {"EMAIL_ADDRESS": 0.95}},
        {"types": frozenset({"PHONE_NUMBER"})},
        {"without": frozenset({"mail.one"})},
        {"on": frozenset({"response"})},
        {"roles": frozenset({"tool"})},
        {"operations": frozenset({"embeddings"})},
        {"teams": frozenset({"other"})},
        {"detector": "other"},
        {"max_scan": 2},
        {"allow": AllowList(digests=frozenset({value}))},
        {"allow": AllowList(values=frozenset({"jane@example.org"}))},
        {"rollout": 0.0},
        {"mode": "warn"},
        {"action": "flag"},
    ):
        replay = ran(changed(mask, **narrower), [logged(digest=value)], old=mask)
        assert (replay.old.rewritten, replay.new.rewritten, replay.changed) == (1, 0, 1), narrower


def test_what_several_rules_found_is_one_thing():
    """A new rule of the same detector meets each thing once, however many rules have logged it."""
    again = changed(MAILS, id="again")
    replay = Replay(side(MAILS, again), side(changed(MAILS, mode="enforce")))
    replay.add([logged(), logged(rule="again"), logged(rule="again")])
    assert replay.rules["mails"].new_found == 2
    assert replay.rules["again"].new_found == 0


def test_the_strongest_action_that_is_enforced_decides():
    block = changed(MAILS, id="block", action="block", mode="shadow")
    replay = Replay(side(changed(MAILS, mode="enforce"), block), side(MAILS, changed(block, mode="enforce")))
    replay.add([logged()])
    assert (replay.old.rewritten, replay.old.blocked, replay.new.rewritten, replay.new.blocked) == (1, 0, 0, 1)
    assert replay.examples[0].rules == ("block", "mails")


def test_a_team_that_is_gone_has_no_rules_and_examples_are_few():
    replay = Replay(side(changed(MAILS, mode="enforce")), side(team="other"))
    for number in range(EXAMPLES + 5):
        replay.add([logged(f"x{number}")])
    assert replay.changed == replay.old.rewritten == EXAMPLES + 5
    assert replay.new.rewritten == 0
    assert len(replay.examples) == EXAMPLES


def test_what_was_not_looked_for_is_not_known():
    """ "states honestly what cannot be replayed": every way in which a new rule looks at more has its reason."""
    wide = {
        "scores from 0.2 to 0.5": {"threshold": 0.2},
        "PHONE_NUMBER: not looked for": {"types": MAILS.types | {"PHONE_NUMBER"}},
        "for every type": {"types": frozenset()},
    }
    for reason, changes in wide.items():
        told = gaps(side(MAILS), side(changed(MAILS, **changes)))
        assert reason in " ".join(told["mails"]), told
        assert next(iter(told["mails"].values())) == ["search"]
    narrow = changed(
        MAILS, without=frozenset({"mail.one"}), on=frozenset({"request"}), roles=frozenset({"user"}),
        operations=frozenset({"embeddings"}), allow=AllowList(digests=frozenset({"a" * 16})), max_scan=10,
    )  # fmt: skip
    told = " ".join(gaps(side(narrow), side(MAILS))["mails"])
    for part in ("mail.one: switched off", "responses: not looked at", "roles: the old", "operations: the old",
                 "allow-list", "behind 10 characters"):  # fmt: skip
        assert part in told
    assert "asked mail before" in " ".join(gaps(side(), side(MAILS))["mails"])
    assert gaps(side(MAILS), side(narrow)) == {}
    assert gaps(side(narrow, changed(MAILS, id="wide")), side(MAILS)) == {}, "another rule saw it all"


RULES = st.builds(
    Rule,
    id=st.just("mails"),
    detector=st.just("mail"),
    threshold=st.sampled_from((0.0, 0.85, 0.95)),
    roles=st.sampled_from((frozenset(), frozenset({"user"}), frozenset({"tool"}))),
    on=st.sampled_from((frozenset({"request"}), frozenset({"request", "response"}))),
    action=st.sampled_from(("flag", "mask", "block")),
    mode=st.sampled_from(("shadow", "enforce")),
    allow=st.sampled_from((AllowList(), AllowList(values=frozenset({"a@b.co"})))),
)


@given(
    RULES, st.lists(st.tuples(st.sampled_from(("user", "tool")), st.sampled_from(("a@b.co", "c@d.org"))), max_size=3)
)
def test_replayed_is_as_inspected_where_the_log_has_everything(rule: Rule, texts: list[tuple[str, str]]):
    """What the replay says of a rule is what the engine enforces on the texts, if a rule without bounds was logged."""
    segments = [Segment(f"messages[{at}].content", role, f"to {said}") for at, (role, said) in enumerate(texts)]
    everything = Rule(id="all", detector="mail", mode="shadow")
    seen = PolicyEngine([Policy("p", (everything,))], SCANNER, key=KEY).inspect(segments, "request")
    notes = [
        logged(role=f.role, start=f.start, end=f.end, type=f.type, pattern=f.rule, score=f.score, digest=f.digest,
               rule="all", place=f.path)
        for f in seen.findings
    ]  # fmt: skip
    verdict = PolicyEngine([Policy("p", (rule,))], SCANNER, key=KEY).inspect(segments, "request")
    replay = Replay(side(everything), side(rule))
    if notes:
        replay.add(notes)
    assert replay.new.blocked == (verdict.enforced == "block")
    assert replay.new.rewritten == (verdict.enforced == "mask")
    if verdict.enforced != "block":
        assert replay.rules.get("mails", None) is None or replay.rules["mails"].new_found == sum(
            result.count for result in verdict.results
        )


@given(st.text(min_size=1, max_size=8), st.sampled_from(["value", "digest"]), st.booleans())
def test_what_an_earlier_key_allowed_is_allowed(value: str, how: str, since: bool):
    """`Hasher.fits`: *or was when the key was another.* The log has digests of before and since."""
    earlier = b"e" * 32
    digest = Hasher(KEY if since else earlier).digest(value)
    allow = AllowList(values=frozenset({value})) if how == "value" else AllowList(digests=frozenset({digest}))
    new = Side({"search": [Policy("p", (changed(MAILS, allow=allow),))]}, KEY, earlier)
    replay = Replay(side(MAILS), new)
    replay.add([logged(digest=digest)])
    assert (replay.rules["mails"].old_found, replay.rules["mails"].new_found) == (1, 0)


def test_a_new_key_is_no_other_allow_list():
    allowing = changed(MAILS, allow=AllowList(values=frozenset({"a@b.co"})))
    before = Side({"search": [Policy("p", (allowing,))]}, b"e" * 32)
    assert gaps(before, Side({"search": [Policy("p", (allowing,))]}, KEY, b"e" * 32)) == {}
    assert "they were no findings" in str(gaps(before, Side({"search": [Policy("p", (allowing,))]}, KEY)))


def test_what_digests_of_another_key_leave_untold():
    """*A digest does not say which key it was made with.*"""
    digests = changed(MAILS, allow=AllowList(digests=frozenset({"d" * 16})))
    plain, with_digests = [Policy("p", (MAILS,))], [Policy("p", (digests,))]
    rotated = Side({"search": plain}, KEY, b"e" * 32), Side({"search": with_digests}, KEY, b"e" * 32)
    assert "if the previous key made them" in str(gaps(*rotated))
    ended = gaps(rotated[1], Side({"search": with_digests}, KEY))
    assert "made with a key that is no longer set" in str(ended)
    assert gaps(rotated[1], rotated[1]) == {}
