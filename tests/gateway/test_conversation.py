"""One exchange's part in a conversation: recalled, kept, counted, and never in the way."""

from gateway.clock import ManualClock
from gateway.conversation import Conversations, Talk
from gateway.facts import Caller
from gateway.pseudonyms.store import MemoryConversations, Sealed, StoreAway
from gateway.settings.guardrail_programs import Pseudonyms

OPTIONS = Pseudonyms(secret=b"a secret of the server, for tests", ttl=60.0, most=3)
ANN = Caller(key_id="ann", team="team")


class Away:
    async def load(self, name: str, ttl: float) -> Sealed:
        raise StoreAway("gone")

    async def keep(self, name: str, sealed: Sealed, ttl: float) -> None:
        raise StoreAway("gone")


def conversations() -> Conversations:
    return Conversations(MemoryConversations(ManualClock()))


async def talk(kept: Conversations, caller: Caller = ANN, name: str = "c", options: Pseudonyms = OPTIONS) -> Talk:
    opened = Talk(kept, options, caller, name)
    await opened.recall()
    return opened


async def test_what_one_exchange_makes_the_next_restores() -> None:
    kept = conversations()
    first = await talk(kept)
    token = first.vault.placeholder("jane@example.org")
    assert token is not None
    await first.keep()
    await first.keep()
    second = await talk(kept)
    assert second.vault.restore(f"to {token}") == "to jane@example.org"
    assert second.vault.placeholder("jane@example.org") == token
    assert second.vault.take_fresh() == {}
    assert kept.counts == {"begun": 1, "resumed": 1}


async def test_nobody_else_has_it() -> None:
    """ "A placeholder of another team/conversation is never restored.\""""
    kept = conversations()
    first = await talk(kept)
    token = first.vault.placeholder("jane@example.org") or ""
    await first.keep()
    others = (Caller(key_id="ann", team="other"), Caller(key_id="bob", team="team"))
    for other in [await talk(kept, each) for each in others] + [await talk(kept, name="d")]:
        assert other.vault.restore(token) == token
        assert other.vault.placeholder("jane@example.org") != token


async def test_with_the_store_away_it_has_its_own_and_the_same_placeholders() -> None:
    kept = conversations()
    there = await talk(kept)
    gone = Conversations(Away())
    alone = await talk(gone)
    token = alone.vault.placeholder("jane@example.org")
    await alone.keep()
    assert token == there.vault.placeholder("jane@example.org")
    assert gone.counts == {"away": 1, "not_kept": 1}


async def test_what_cannot_be_opened_is_left_out_and_counted() -> None:
    """As after another secret, or when somebody wrote into the store."""
    kept = conversations()
    first = await talk(kept)
    token = first.vault.placeholder("jane@example.org") or ""
    await first.keep()
    store = kept.store
    assert isinstance(store, MemoryConversations)
    name = next(iter(store._kept))
    store._kept[name].values[token] = b"forged"
    again = await talk(kept)
    assert again.vault.restore(token) == token
    assert kept.counts["unreadable"] == 1


async def test_a_conversation_is_bounded() -> None:
    kept = conversations()
    first = await talk(kept)
    assert [first.vault.placeholder(f"v{n}") is None for n in range(5)] == [False, False, False, True, True]
    await first.keep()
    again = await talk(kept)
    assert len(again.vault) == 3
    assert again.vault.placeholder("more") is None
