"""Plain commands to the server of a group, for what else is kept beside the counters."""

import asyncio
from collections.abc import Sequence
from functools import partial

from gateway.limits.shared.fleet import Fleet
from gateway.limits.shared.node import Node
from gateway.limits.shared.remote import AWAY, REDIRECTS
from gateway.limits.shared.wire import Reply, ReplyError, WireLost, encode, told

Command = Sequence[bytes | str | int]


async def ask(fleet: Fleet, group: str, commands: Sequence[Command], patience: float) -> list[Reply]:
    """The replies to `commands`, carried out in order, within `patience` seconds. Follows a Cluster that is being
    rearranged. Raises `WireLost`; what was asked may have been carried out then."""
    due = asyncio.get_running_loop().time() + patience
    node = fleet.node_of(group)
    for _ in range(REDIRECTS):
        if node is None:
            break
        replies = await _Question(node, commands, due).replies
        error = next((told(each) for each in replies if isinstance(each, ReplyError)), None)
        if error is None:
            return replies
        word, *rest = error.split(" ")
        if word == "MOVED" and len(rest) == 2:
            host, _, port = rest[1].rpartition(":")
            node = fleet.moved(group, (host or node.place[0], int(port)))
            continue
        if word in AWAY:
            node.give_up(f"it answers: {error[:200]}")
        raise WireLost(f"it answers: {word}")
    raise WireLost("nobody knows the server of the group now")


class _Question:
    """Commands on their way. Needs no task of its own: a request is not driven by one."""

    def __init__(self, node: Node, commands: Sequence[Command], due: float) -> None:
        loop = asyncio.get_running_loop()
        self.replies: asyncio.Future[list[Reply]] = loop.create_future()
        self._taken: list[Reply] = [None] * len(commands)
        self._missing = len(commands)
        late = WireLost("no answer in time", True)
        self._timer = loop.call_at(due, self._take, 0, late)
        self.replies.add_done_callback(lambda _: self._timer.cancel())
        for at, command in enumerate(commands):
            node.send(encode(*command), partial(self._take, at))

    def _take(self, at: int, reply: Reply) -> None:
        if self.replies.done():
            return
        if isinstance(reply, WireLost):
            self.replies.set_exception(reply)
            return
        self._taken[at] = reply
        self._missing -= 1
        if not self._missing:
            self.replies.set_result(self._taken)
