"""What the events of one shape mean to a guardrail: which strings are text, of which channel, and what ends there.

The rule for text is that of whole answers (`gateway/wire/surfaces.py`): in known containers all strings but ids,
discriminators and payloads; in everything else all strings. Numbers and member names, which are text in whole answers
where they are free, are not looked at in events: see `Plan.names` for the names.

A string under one of the names in `STREAMED` is a piece of a text that goes on in later events. Any other string is
judged by itself, whole: the declared default for members this code does not know.
"""

from collections.abc import Iterable

import msgspec

from gateway.inspection.scan import Path, Scan, text_of
from gateway.wire.surfaces import CONTAINERS, PAYLOAD, ROLES, STRUCTURAL, Step, role_of_kind

STREAMED = frozenset(
    ("content", "text", "reasoning_content", "reasoning", "refusal", "arguments", "input", "transcript", "thinking",
     "partial_json", "delta", "summary", "stdout", "stderr")
)  # fmt: skip
"""Names of texts that come in pieces."""
JSON_TEXTS = frozenset(("arguments", "partial_json"))
"""Their text is a JSON document."""

_KNOWN = CONTAINERS | frozenset(("delta", "content_block", "item", "part", "annotation", "response", "error"))
_IDS = STRUCTURAL | frozenset(("obfuscation", "encrypted_index", "event_id", "partial_image_b64", "b64_json"))


class Slot(msgspec.Struct, gc=False):
    """A string that is text. Groups are numbers of spans, -1: there is none."""

    group: int
    family: str
    """Kind of channel; empty: the string is judged by itself."""
    ids: tuple[int, ...] = ()
    """Groups whose bytes, with the family, name the channel."""
    role: str = "assistant"
    json: bool = False
    logprobs: int = -1
    """Group of the log-probabilities that repeat this text."""
    call: int = -1
    """Group of the id of the tool call this text belongs to."""
    way: tuple[tuple[Step, int, bytes], ...] = ()
    """How to write an event for the channel: each step to the text, and for an item of an array the group of its
    `index` and the bytes of its `type`."""


class Plan(msgspec.Struct, gc=False):
    """What events of one shape mean."""

    slots: tuple[Slot, ...] = ()
    kind: str = ""
    """The event's `type`, where the dialect has one."""
    ends: tuple[tuple[str, int], ...] = ()
    """What is over with this event, as the dialect reads it: names and the groups of their values."""
    droppable: bool = False
    """Nothing is lost if an event whose text became empty is not sent."""
    failed: bool = False
    """The event says that the stream failed."""
    sequence: int = -1
    """Group of the event's number."""
    names: str = ""
    """Member names of objects that are not known, one a line. They can be judged, not rewritten."""


class Reader:
    """Takes a scanned event apart into a plan, and notes which leaves the plan needs."""

    def __init__(self, data: bytes, found: Scan) -> None:
        self.data = data
        self.leaves = found.leaves
        self.names = found.names
        self.at: dict[Path, int] = {leaf.path: number for number, leaf in enumerate(found.leaves)}
        self.literal: set[int] = set()
        self._wanted: list[int] = []
        for number, leaf in enumerate(found.leaves):
            if leaf.path[-1:] in (("type",), ("role",)) and data[leaf.start] == 0x22:
                self.literal.add(number)

    def value(self, *path: Step) -> str:
        """The string at a path; empty: there is none. The shape then depends on it."""
        number = self.at.get(path)
        if number is None or self.data[self.leaves[number].start] != 0x22:
            return ""
        self.literal.add(number)
        return text_of(self.raw(number))

    def raw(self, number: int) -> bytes:
        leaf = self.leaves[number]
        return self.data[leaf.start : leaf.end]

    def group(self, *path: Step) -> int:
        """The group for the leaf at a path; -1: there is none, or it is literal."""
        number = self.at.get(path)
        if number is None or number in self.literal:
            return -1
        if number not in self._wanted:
            self._wanted.append(number)
        return self._wanted.index(number)

    def strings(self, *under: Step) -> Iterable[Path]:
        """The paths of all strings at or below a path that are not literal."""
        depth = len(under)
        for number, leaf in enumerate(self.leaves):
            if leaf.path[:depth] == under and self.data[leaf.start] == 0x22 and number not in self.literal:
                yield leaf.path

    def settle(self, plan: Plan) -> tuple[Plan, list[int]]:
        """The plan with its groups in the order of the event, and their leaves."""
        order = sorted(self._wanted)
        place = {old: order.index(number) for old, number in enumerate(self._wanted)} | {-1: -1}
        slots = [
            msgspec.structs.replace(
                slot,
                group=place[slot.group],
                ids=tuple(place[group] for group in slot.ids),
                logprobs=place[slot.logprobs],
                call=place[slot.call],
                way=tuple((step, place[group], kind) for step, group, kind in slot.way),
            )
            for slot in plan.slots
        ]
        ends = tuple((name, place[group]) for name, group in plan.ends)
        settled = msgspec.structs.replace(plan, slots=tuple(slots), ends=ends, sequence=place[plan.sequence])
        return settled, order

    def is_text(self, path: Path, start: int) -> bool:
        """Whether a string below `path[:start]`, which is a known container, is text."""
        if self._is_free(path, start):
            return True
        name = last_name(path)
        if name in _IDS or self.raw(self.at[path])[:6].lower() == b'"data:':
            return False
        return not (name in PAYLOAD and self._is_payload(name, path))

    def role(self, path: Path, role: str) -> str:
        """Whose words a string is."""
        for depth in range(1, len(path)):
            named = self.at.get((*path[:depth], "role"))
            kind = self.at.get((*path[:depth], "type"))
            if named is not None and named in self.literal:
                role = ROLES.get(text_of(self.raw(named)), role)
            elif kind is not None and kind in self.literal:
                role = role_of_kind(text_of(self.raw(kind)), role)
        return role

    def free_names(self, start: int, *under: Step) -> str:
        """Member names below a path, of objects that are not known."""
        depth = len(under)
        names = [name for path, name in self.names if path[:depth] == under and self._is_free(path, start)]
        return "\n".join(names)

    def whole(self, path: Path, role: str = "assistant") -> Slot:
        """A slot for a string that is judged by itself."""
        return Slot(self.group(*path), "", role=self.role(path, role), json=last_name(path) in JSON_TEXTS)

    def _is_free(self, path: Path, start: int) -> bool:
        for at in range(start, len(path) - 1):
            step = path[at]
            if isinstance(step, str) and (step not in _KNOWN or (step == "input" and isinstance(path[at + 1], str))):
                return True
        return False

    def _is_payload(self, name: str, path: Path) -> bool:
        beside = path[:-1]
        kind = self.value(*beside, "type")
        if name == "data":
            return kind in ("base64", "redacted_thinking") or bool(beside and beside[-1] in ("audio", "input_audio"))
        if name == "result":
            return kind == "image_generation_call"
        return name == "file_data"


def last_name(path: Path) -> str:
    """The name of the member a leaf is, or is an item of."""
    return next((step for step in reversed(path) if isinstance(step, str)), "")
