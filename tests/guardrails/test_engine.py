"""The engine on whole bodies: what is concluded, what is enforced, what passes."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.detector import Match
from guardrails.engine import PolicyEngine
from guardrails.interface import ALLOWED, Engine, Finding, Given, Segment, Verdict
from guardrails.policy import AllowList, Policy, PolicyError, Rule
from guardrails.scanner import Scanner
from guardrails.vault import LENGTH, Vault
from tests.support.detectors import Accuser, Card, Failing, Overlapping, Pattern, ReGate, Words, mail
from tests.support.oracle import KEY

REQUEST = frozenset(("request",))
SCANNER = Scanner(
    [mail(), Card(), Words("names", "NAME", "kestrel"), Overlapping("xs", "x")], [Accuser()], ["remote"], gate=ReGate
)


def rule(detector: str = "mail", action: str = "mask", id: str = "", **more: object) -> Rule:
    return Rule(id=id or detector, detector=detector, action=action, **more)  # pyright: ignore


def engine(*rules: Rule, team: str = "", scanner: Scanner = SCANNER) -> PolicyEngine:
    return PolicyEngine([Policy("p", rules)], scanner, key=KEY, team=team)


def user(text: str, path: str = "messages[0].content") -> list[Segment]:
    return [Segment(path, "user", text)]


def test_it_is_what_the_seam_asks_for() -> None:
    seam: Engine = engine(rule())
    assert seam.inspect(user("a@b.co"), "request", "chat").enforced == "mask"


def test_nothing_found_is_the_one_shared_verdict_and_asks_no_detector() -> None:
    asked = mail()
    clean = engine(rule(), scanner=Scanner([asked], gate=ReGate))
    assert clean.inspect([*user("clean prose"), *user("more")], "request", "chat") is ALLOWED
    assert asked.confirmed == 0
    assert engine(rule(threshold=0.95)).inspect(user("a@b.co"), "request") is ALLOWED
    assert engine(rule(on=REQUEST)).inspect(user("a@b.co"), "response") is ALLOWED
    assert engine().inspect(user("a@b.co"), "request") is ALLOWED
    assert engine(rule()).inspect([], "request") is ALLOWED


def test_a_finding_says_what_where_and_how_sure_and_never_the_text() -> None:
    verdict = engine(rule(id="addresses")).inspect(user("to a@b.co!"), "request")
    digest = engine().hasher.digest("A@B.co")
    finding = Finding(
        "EMAIL_ADDRESS", "messages[0].content", 3, 9, 0.9, "mail.one", "pattern", "addresses", digest, "user", "mail"
    )  # fmt: skip
    assert verdict.findings == (finding,)
    assert verdict.rewrites == (Segment("messages[0].content", "user", "to <EMAIL_ADDRESS>!"),)
    assert (verdict.action, verdict.enforced, verdict.policy) == ("mask", "mask", "p")
    assert "a@b.co" not in repr(verdict).replace("rewrites", "")


@pytest.mark.parametrize("mode", ["shadow", "warn"])
def test_shadow_and_warn_record_and_act_not(mode: str) -> None:
    verdict = engine(rule(action="block", mode=mode)).inspect(user("a@b.co"), "request")
    assert (verdict.action, verdict.enforced, verdict.rewrites) == ("block", "allow", ())
    (result,) = verdict.results
    assert (result.rule, result.policy, result.mode, result.action, result.types, result.count) == (
        "mail", "p", mode, "block", ("EMAIL_ADDRESS",), 1,
    )  # fmt: skip


def test_rules_of_all_policies_compose_and_the_strongest_enforced_action_wins() -> None:
    both = PolicyEngine(
        [
            Policy("first", (rule(action="flag", id="a"), rule("card", "redact", "b"))),
            Policy("second", (rule(action="hash", id="c"), rule("names", "block", "d", mode="warn"))),
        ],
        SCANNER,
        key=KEY,
    )
    verdict = both.inspect(user("a@b.co 4111111111111111 kestrel"), "request")
    assert (verdict.action, verdict.enforced, verdict.policy) == ("block", "hash", "second")
    assert [(r.rule, r.action) for r in verdict.results] == [
        ("a", "flag"),
        ("b", "redact"),
        ("c", "hash"),
        ("d", "block"),
    ]
    assert verdict.rewrites[0].text.endswith("> ************1111 kestrel")


def test_a_block_rewrites_nothing_and_says_its_message() -> None:
    verdict = engine(rule(), rule("names", "block", message="No birds.")).inspect(
        [*user("a@b.co"), *user("kestrel"), *user("c@d.co")], "request"
    )
    assert (verdict.enforced, verdict.rewrites, verdict.message, len(verdict.findings)) == ("block", (), "No birds.", 2)


def test_a_reroute_names_its_model() -> None:
    local = rule("names", "reroute", reroute_to="local", on=REQUEST)
    verdict = engine(rule(), local).inspect(user("a@b.co kestrel"), "request")
    assert (verdict.enforced, verdict.reroute) == ("reroute", "local")
    assert verdict.rewrites[0].text == "<EMAIL_ADDRESS> kestrel"
    assert (
        engine(rule("names", "reroute", reroute_to="x", on=REQUEST, mode="shadow"))
        .inspect(user("kestrel"), "request")
        .reroute
        == ""
    )


def test_types_thresholds_and_switched_off_rules() -> None:
    assert engine(rule(types=frozenset(("OTHER",)))).inspect(user("a@b.co"), "request") is ALLOWED
    assert engine(rule(threshold=0.95, thresholds={"EMAIL_ADDRESS": 0.5})).inspect(user("a@b.co"), "request").findings
    assert engine(rule(without=frozenset(("mail.one",)))).inspect(user("a@b.co"), "request") is ALLOWED


def test_allow_lists_by_value_digest_and_pattern() -> None:
    class Inside:
        def fullmatch(self, value: str) -> object:
            return value if value.endswith("@b.co") else None

    digest = engine().hasher.digest("a@b.co")
    allowed = (AllowList(values=frozenset(("A@b.CO",))), AllowList(digests=frozenset((digest,))))
    for allow in (*allowed, AllowList(patterns=(Inside(),))):
        judged = engine(rule(allow=allow))
        assert judged.inspect(user("a@b.co"), "request") is ALLOWED
        assert judged.inspect(user("z@c.co"), "request").enforced == "mask"


def test_roles_operations_and_teams() -> None:
    users = engine(rule(roles=frozenset(("user",))), rule("names", "flag"))
    assert users.inspect([Segment("s", "system", "a@b.co")], "request") is ALLOWED
    assert users.inspect(user("a@b.co"), "request").enforced == "mask"
    assert users.inspect([Segment("s", "system", "kestrel")], "request").enforced == "flag"
    chats = engine(rule(operations=frozenset(("chat",))))
    assert chats.inspect(user("a@b.co"), "request", "chat").enforced == "mask"
    assert chats.inspect(user("a@b.co"), "request", "embeddings") is ALLOWED
    only = rule(teams=frozenset(("legal",)))
    assert engine(only, team="legal").inspect(user("a@b.co"), "request").enforced == "mask"
    assert engine(only, team="sales").inspect(user("a@b.co"), "request") is ALLOWED


def test_outside_its_rollout_and_when_demoted_a_rule_is_in_shadow() -> None:
    half = engine(rule(rollout=50))
    seen = {half.inspect(user("a@b.co"), "request", key=f"k{n}").enforced for n in range(40)}
    assert seen == {"mask", "allow"}
    verdict = engine(rule()).inspect(user("a@b.co"), "request", demoted={"mail"})
    assert (verdict.action, verdict.enforced, verdict.results[0].mode) == ("mask", "allow", "shadow")


def test_names_of_members_cannot_be_rewritten_and_block() -> None:
    assert engine(rule()).inspect(user("a@b.co", "metadata{}"), "request").enforced == "block"
    assert engine(rule(action="flag")).inspect(user("a@b.co", "metadata{}"), "request").enforced == "flag"
    assert engine(rule(mode="shadow")).inspect(user("a@b.co", "metadata{}"), "request").enforced == "allow"


@given(st.sampled_from(["a@b.co", "to", "x a@b.co"]), st.sampled_from(["a@b.co", "to"]), st.integers(1, 5))
def test_names_of_members_meet_the_same_in_arguments_objects_and_streams(name: str, value: str, size: int) -> None:
    """docs/guardrails.md: *Where a rule would rewrite one, the answer is blocked, whole or streamed.*"""
    document = json.dumps({name: value})
    masking = engine(rule())
    arguments = masking.inspect(
        [Segment("choices[0].message.tool_calls[0].function.arguments", "assistant", document)], "response"
    )
    names, values = Segment("content[0].input{}", "assistant", name), Segment("content[0].input.x", "assistant", value)
    stream = masking.stream()
    assert stream is not None
    out = "".join(stream.feed("c", document[at : at + size], json=True) for at in range(0, len(document), size))
    out += stream.flush("c")
    enforced = {each.enforced for each in (arguments, masking.inspect([names, values], "response"), stream.verdict)}
    assert enforced == {"block" if "@" in name else "mask" if "@" in value else "allow"}
    if enforced != {"block"}:
        assert json.loads(out) == {name: value.replace("a@b.co", "<EMAIL_ADDRESS>")}
    assert "a@b.co" not in out


def test_arguments_that_are_no_document_are_plain_text() -> None:
    verdict = engine(rule()).inspect(user('echo "a@b.co"', "output[0].input"), "request")
    assert verdict.rewrites[0].text == 'echo "<EMAIL_ADDRESS>"'


def test_pseudonyms_go_out_and_come_back() -> None:
    both = engine(rule(action="pseudonymize"), rule("names", "pseudonymize"))
    vault = Vault(bytes(16))
    sent = both.inspect(
        [*user("ann@b.co and bob@b.co, ann@b.co"), *user('{"to": "ann@b.co"}', "c.arguments")], "request", vault=vault
    ).rewrites
    one, two = (sent[0].text[:LENGTH], sent[0].text[LENGTH + 5 : 2 * LENGTH + 5])
    assert sent[0].text == f"{one} and {two}, {one}"
    assert sent[1].text == f'{{"to": "{one}"}}'
    answer = [Segment("choices[0]", "assistant", f"I wrote to **{one.lower()}** and new@b.co")]
    verdict = both.inspect(answer, "response", vault=vault)
    assert verdict.rewrites[0].text == "I wrote to **ann@b.co** and <EMAIL_ADDRESS>"
    assert both.inspect(user("ann@b.co"), "request").rewrites[0].text == "<EMAIL_ADDRESS>", "no vault, no way back"


def test_restoring_alone_is_a_rewrite_without_a_finding() -> None:
    vault = Vault(bytes(16))
    token = vault.placeholder("Ann")
    verdict = engine().inspect([Segment("c", "assistant", f"Dear {token}")], "response", vault=vault)
    assert verdict == Verdict(rewrites=(Segment("c", "assistant", "Dear Ann"),))
    assert engine().inspect(user(f"Dear {token}"), "request", vault=vault) is ALLOWED


def test_matches_brought_from_outside_compose_with_our_own() -> None:
    judged = engine(rule("remote", "mask"), rule())
    match = Match("PERSON", 0, 3, 0.8, "remote.person", "external")
    given = Given({"remote": ([match], [])})
    verdict = judged.inspect([*user("Ann a@b.co"), *user("Ann")], "request", given=given)
    assert [s.text for s in verdict.rewrites] == ["<PERSON> <EMAIL_ADDRESS>"]
    document = user('{"to": "Ann"}', "c.arguments")
    found = Given({"remote": ([Match("PERSON", 8, 11, 0.8, "remote.person")],)})
    assert judged.inspect(document, "request", given=found).enforced == "block", "no raw span of JSON is rewritten"
    assert judged.inspect(user("Ann"), "request", given=Given({"remote": ([Match("P", 2, 99, 1, "r")],)})) is ALLOWED


def test_an_outside_detector_that_did_not_answer_fails_its_rules() -> None:
    given = Given(failures={"remote": "Timeout"})
    assert engine(rule("remote", "flag")).inspect(user("hello"), "request", given=given).enforced == "block"
    verdict = engine(rule("remote", "flag", on_failure="open")).inspect(user("hello"), "request", given=given)
    assert (verdict.enforced, verdict.failures[0].detector, verdict.failures[0].error) == ("allow", "remote", "Timeout")


def test_a_failing_detector_blocks_or_passes_as_declared() -> None:
    broken = Scanner([Failing(mail(), "@")], gate=ReGate)
    closed = engine(rule(), scanner=broken).inspect(user("a@b.co"), "request")
    assert (closed.action, closed.enforced, closed.rewrites) == ("block", "block", ())
    assert (closed.failures[0].error, closed.failures[0].closed) == ("RuntimeError", True)
    opened = engine(rule(on_failure="open"), scanner=broken).inspect(user("a@b.co"), "request")
    assert (opened.enforced, opened.rewrites, opened.failures[0].closed) == ("allow", (), False)


def test_an_engine_that_breaks_fails_all_its_rules() -> None:
    given = Given({"remote": ()})
    assert engine(rule("remote", "flag")).inspect(user("x"), "request", given=given).enforced == "block"


@pytest.mark.parametrize("beyond", ["block", "allow", "scan_head_and_tail"])
def test_longer_texts_than_max_scan(beyond: str) -> None:
    text = "a@b.co " + "z " * 50 + "c@d.co " + "z " * 50 + "e@f.co"
    verdict = engine(rule(max_scan=40, beyond=beyond)).inspect(user(text), "request")
    if beyond == "block":
        assert verdict.enforced == "block"
    else:
        head = text.replace("a@b.co", "<EMAIL_ADDRESS>")
        both = head.replace("e@f.co", "<EMAIL_ADDRESS>")
        assert verdict.rewrites[0].text == (head if beyond == "allow" else both)
        assert verdict.dropped == 0


def several(*texts: str) -> list[Segment]:
    return [Segment(f"messages[{at}].content", "user", text) for at, text in enumerate(texts)]


def test_texts_beyond_max_total_are_not_judged_or_block() -> None:
    """ "The text that goes beyond them, and those behind it, are not"; which depends on the body alone."""
    texts = several("a@b.co 1234", "a@b.co 12345", "x", "a@b.co")
    passing = engine(rule(max_total=20, beyond="allow")).inspect(texts, "request")
    assert [each.path for each in passing.rewrites] == ["messages[0].content"]
    assert [(each.type, each.path) for each in passing.findings] == [
        ("EMAIL_ADDRESS", "messages[0].content"),
        ("SCAN_LIMIT", "messages[1].content"),
    ]
    blocked = engine(rule(max_total=20)).inspect(texts, "request")
    assert (blocked.enforced, blocked.rewrites) == ("block", ())
    shadow = engine(rule(max_total=20, mode="shadow")).inspect(texts, "request")
    assert (shadow.action, shadow.enforced, shadow.rewrites) == ("block", "allow", ())
    within = engine(rule(max_total=30)).inspect(texts, "request")
    assert len(within.rewrites) == 3


def test_max_total_counts_where_nothing_is_found_and_is_the_rule_s_own() -> None:
    texts = several("nothing", "a@b.co")
    assert engine(rule(max_total=9)).inspect(texts, "request").enforced == "block"
    both = engine(rule(max_total=9, beyond="allow", id="short"), rule(id="long")).inspect(texts, "request")
    assert [each.text for each in both.rewrites] == ["<EMAIL_ADDRESS>"]
    assert not engine(rule(max_total=9)).clear(b'{"a":"nothing","b":"nothing"}', "request")


def test_an_answer_has_no_max_total() -> None:
    verdict = engine(rule(max_total=3)).inspect(several("a@b.co"), "response")
    assert verdict.rewrites[0].text == "<EMAIL_ADDRESS>"


def test_a_scan_far_over_its_limit_looks_only_where_matches_count() -> None:
    asked = mail()
    scanner = Scanner([asked], gate=ReGate)
    gate = scanner.gate
    assert isinstance(gate, ReGate)
    engine(rule(max_scan=1000, beyond="scan_head_and_tail"), scanner=scanner).inspect(user("z" * 1_000_000), "request")
    assert gate.scanned < 3_000


def test_a_hundred_thousand_matches_are_all_rewritten_and_not_all_listed() -> None:
    asked = mail()
    verdict = engine(rule(), scanner=Scanner([asked], gate=ReGate)).inspect(user("a@b.co " * 100_000), "request")
    assert verdict.rewrites[0].text == "<EMAIL_ADDRESS> " * 100_000
    assert (len(verdict.findings), verdict.dropped, verdict.results[0].count) == (1_000, 99_000, 100_000)
    assert asked.confirmed == 4, "once for each slice"


def test_a_timer_tells_what_detectors_took() -> None:
    now = iter(range(0, 10_000, 7))
    timed = PolicyEngine([Policy("p", (rule(),))], SCANNER, key=KEY, timer=lambda: next(now))
    assert timed.inspect(user("a@b.co"), "request").spent == (("mail", 7),)
    assert timed.inspect(user("clean"), "request") is ALLOWED


def test_wrong_policies_are_refused_with_every_reason() -> None:
    with pytest.raises(PolicyError) as refused:
        engine(rule("nobody"), rule("accuser", "mask"))
    assert len(refused.value.problems) == 2
    with pytest.raises(PolicyError, match="window"):
        PolicyEngine([], SCANNER, key=KEY, step=100, window=10)


@given(st.text(st.characters(codec=None), max_size=60), st.sampled_from(["c", "c.arguments", "c{}"]), st.integers())
def test_it_never_raises_on_any_text(text: str, path: str, seed: int) -> None:
    """ "Never blocks, never raises on input", and what passes unchanged is not among the rewrites."""
    chance = random.Random(seed)
    detectors: list[Pattern | Words | Overlapping] = [mail(), Card(), Overlapping("xs", "x")]
    actions = ["flag", "mask", "redact", "hash", "block", "pseudonymize"]
    judged = engine(
        *(rule(d.name, chance.choice(actions)) for d in detectors), scanner=Scanner(detectors, gate=ReGate)
    )  # fmt: skip
    verdict = judged.inspect([Segment(path, "user", text)], "request", vault=Vault(bytes(16)))
    assert verdict.failures == ()
    assert all(segment.text != text for segment in verdict.rewrites)


@pytest.mark.parametrize("direction", ["request", "response"])
def test_what_nobody_can_read_is_kept_back_by_an_enforced_closed_rule_alone(direction: str) -> None:
    """`on_failure: closed` keeps the text back, `open` passes it; a rule in shadow or warn never blocks."""

    def enforced(*rules: Rule, **more: object) -> tuple[str, int]:
        verdict = engine(*rules).unread(direction, "chat", "UnreadableBody", **more)  # pyright: ignore
        return verdict.enforced, len(verdict.failures)

    closed, opened = rule(mode="enforce"), rule(mode="enforce", on_failure="open", id="open")
    assert enforced(opened, closed) == ("block", 1)
    assert enforced(opened, rule(mode="shadow"), rule(mode="warn", id="warn")) == ("allow", 1)
    assert enforced(closed, demoted={"mail"}) == ("allow", 1)
    assert enforced(rule(mode="enforce", operations=frozenset(("other",)))) == ("allow", 0)
