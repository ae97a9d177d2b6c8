"""One exchange's part in a conversation whose pseudonyms are kept: they are fetched before its request is judged, and
what is new is kept before the request goes on. The store away, the exchange has what it makes itself.

No value, placeholder or conversation is ever named in a log or a metric.
"""

from collections import Counter

from gateway.facts import Caller
from gateway.pseudonyms.sealing import Sealer, derive
from gateway.pseudonyms.store import ConversationStore, StoreAway
from gateway.settings.guardrail_programs import Pseudonyms
from guardrails.vault import Vault


class Conversations:
    """A worker's. `counts`: by what became of each."""

    def __init__(self, store: ConversationStore) -> None:
        self.store = store
        self.counts: Counter[str] = Counter()


class Talk:
    """One exchange's conversation. `vault`: of the exchange, with what is known from before once `recall` is done."""

    __slots__ = ("_conversation", "_conversations", "_options", "_sealer", "vault")

    def __init__(self, conversations: Conversations, options: Pseudonyms, caller: Caller, name: str) -> None:
        self._conversations = conversations
        self._options = options
        self._conversation = derive(options.secret, caller.team, caller.key_id, name)
        self._sealer = Sealer(self._conversation)
        self.vault = Vault(self._conversation.seed, options.most)

    async def recall(self) -> None:
        """Fetch what was kept. Never raises: what cannot be had is counted."""
        counts, vault = self._conversations.counts, self.vault
        try:
            sealed = await self._conversations.store.load(self._conversation.name, self._options.ttl)
        except StoreAway:
            counts["away"] += 1
            return
        for token, data in sealed.items():
            value = self._sealer.open(token, data)
            if value is None:
                counts["unreadable"] += 1
            else:
                vault.bring(token, value)
        counts["resumed" if vault else "begun"] += 1

    async def keep(self) -> None:
        """Keep what is new. Never raises."""
        fresh = self.vault.take_fresh()
        if not fresh:
            return
        sealed = {token: self._sealer.seal(token, value) for token, value in fresh.items()}
        try:
            await self._conversations.store.keep(self._conversation.name, sealed, self._options.ttl)
        except StoreAway:
            self._conversations.counts["not_kept"] += 1
