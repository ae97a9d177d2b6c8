"""What is kept between requests is never another request's."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.facts import Caller
from gateway.limits.program import LONGEST_KEPT, MOST_KEPT, Clause, LimitProgram
from gateway.operations import accept
from gateway.quota import Rolling, Rule, Scope
from gateway.routing.table import Provider, Route, RouteTable, Target
from gateway.seams import Origin
from gateway.settings.snapshot import LimitOptions
from gateway.tickets import USUAL_OUTPUT, Ticket, Tickets, targets_of

OPENAI = Provider(name="p", wire="openai", origin=Origin("http", "h", 1), base_path=b"")
ANTHROPIC = Provider(name="a", wire="anthropic", origin=Origin("http", "h", 1), base_path=b"")
ONE = Route("one", (Target(OPENAI, "one"),), fallbacks=("two",), max_output=9)
TWO = Route("two", (Target(ANTHROPIC, "two"),), fallbacks=("one", "nowhere"))
OPERATIONS = [accept("POST", path) for path in ("/v1/chat/completions", "/v1/embeddings", "/v1/moderations")]


def rule(id_: str, **more: Any) -> Clause:
    return Clause(rule=Rule(id=id_, measure="requests", amount=5, window=Rolling(60), **more))


def snapshot(*clauses: Clause, prices: Any = None) -> Any:
    options = LimitOptions()
    return SimpleNamespace(
        limits=LimitProgram(clauses), limit_options=options, prices=prices, routes=RouteTable([ONE, TWO], [])
    )


def told(ticket: Ticket) -> list[object]:
    return [getattr(ticket, name) for name in Ticket.__slots__]


asked = st.tuples(
    st.sampled_from(["k1", "k2"]),
    st.sampled_from(["t1", "t2"]),
    st.sampled_from([ONE, TWO]),
    st.sampled_from(OPERATIONS),
    st.none() | st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["", "x", "y"])),
    st.integers(0, 1),
)


@given(st.lists(asked, max_size=20))
def test_a_kept_ticket_is_the_one_that_would_be_made(questions: list[Any]) -> None:
    """Whatever was asked before, and of whichever configuration."""
    configurations = [
        snapshot(
            rule("key", each=("key",)),
            rule("model", scope=Scope(model=("one",))),
            rule("tags", each=("tag:a",), scope=Scope(tags=(("b", ("x", "")),))),
            rule("operation", scope=Scope(operation=("embeddings",), team=("t1",))),
        ),
        snapshot(rule("team", each=("team",)), rule("provider", each=("provider",))),
    ]
    tickets = Tickets()
    for key, team, route, operation, tags, which in questions:
        caller = Caller(key_id=key, team=team)
        question = (configurations[which], caller, route.name, operation, route, tags)
        assert told(tickets.of(*question)) == told(Ticket(*question))


def test_what_a_request_takes_depends_on_its_route_and_operation() -> None:
    chat, embeddings, moderations = OPERATIONS
    there, caller = snapshot(rule("all")), Caller(key_id="k", team="t")
    ticket = Ticket(there, caller, "one", chat, ONE, None)
    assert (ticket.usual, ticket.hidden, ticket.generates, ticket.counts) == (9, 0, True, True)
    assert ticket.seconds == 2 * ONE.longest + 60
    assert Ticket(there, caller, "two", chat, TWO, None).usual == USUAL_OUTPUT
    assert Ticket(there, caller, "two", chat, TWO, None).hidden > 0
    assert not Ticket(there, caller, "one", embeddings, ONE, None).generates
    assert not Ticket(there, caller, "one", moderations, ONE, None).counts
    assert not Ticket(snapshot(), caller, "one", chat, ONE, None).counts
    assert Ticket(snapshot(rule("p", each=("provider",))), caller, "one", chat, ONE, None).counts


def test_a_rate_is_kept_only_if_every_target_has_the_same() -> None:
    flat: dict[str, Any] = {"one": (1, 2, 3, 4), "two": (1, 2, 3, 4)}

    def card(_: str | None, model: str) -> Any:
        return SimpleNamespace(flat=flat[model], plain=None) if model in flat else None

    prices = SimpleNamespace(card=card)
    there, caller = snapshot(rule("all"), prices=prices), Caller(key_id="k", team="t")

    def rate() -> object:
        return Ticket(there, caller, "one", OPERATIONS[0], ONE, None).rate

    assert rate() == (1, 2, 3, 4)
    flat["two"] = (5, 2, 3, 4)
    assert rate() is None
    flat["two"] = None
    assert rate() is None
    del flat["two"]
    assert rate() == (1, 2, 3, 4)
    del flat["one"]
    assert rate() == (0, 0, 0, 1)


def test_targets_of_a_route_are_its_own_and_those_of_its_fallbacks_once() -> None:
    assert [target.model for target in targets_of(ONE, RouteTable([ONE, TWO], []))] == ["one", "two"]


def test_what_clients_choose_fills_no_memory() -> None:
    there, caller, chat = snapshot(rule("all", each=("tag:a",))), Caller(key_id="k", team="t"), OPERATIONS[0]
    tickets = Tickets()
    first = tickets.of(there, caller, "one", chat, ONE, {"a": "0"})
    assert tickets.of(there, caller, "one", chat, ONE, {"a": "0", "z": "1"}) is first
    for number in range(1, MOST_KEPT + 1):
        tickets.of(there, caller, "one", chat, ONE, {"a": str(number)})
    assert tickets.of(there, caller, "one", chat, ONE, {"a": "0"}) is not first
    long = "x" * (LONGEST_KEPT + 1)
    for model, tags in ((long, {"a": "1"}), ("one", {"a": long})):
        made = tickets.of(there, caller, model, chat, ONE, tags)
        assert tickets.of(there, caller, model, chat, ONE, tags) is not made
