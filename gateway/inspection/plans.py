"""What the events of one shape mean to a guardrail: which strings are text, of which channel, and what ends there.

The rule for text is that of whole answers (`gateway/wire/surfaces.py`): in known containers all strings but ids,
discriminators and payloads; in everything else all strings and numbers, and the names of members (`Plan.names`).

A string under one of the names in `STREAMED` is a piece of a text that goes on in later events. Any other string is
judged by itself, whole: the declared default for members this code does not know.
"""

import re
from collections.abc import Callable

import msgspec

from gateway.inspection.scan import Leaf, Path, Scan, is_free, is_open, text_of
from gateway.wire.surfaces import ENCODED, PAYLOAD, ROLES, SPOKEN, STRUCTURAL, Step, role_of_kind

STREAMED = frozenset(
    ("content", "text", "reasoning_content", "reasoning", "refusal", "arguments", "input", "transcript", "thinking",
     "partial_json", "delta", "summary", "stdout", "stderr")
)  # fmt: skip
"""Names of texts that come in pieces."""
JSON_TEXTS = frozenset(("arguments", "partial_json"))
"""Their text is a JSON document."""

_BYTES = PAYLOAD | ENCODED
_EMPTY = re.compile(rb'"[a-z_]+"\s*:\s*\{\s*\}')
_IDS = STRUCTURAL | frozenset(("obfuscation", "encrypted_index", "event_id"))


def _says_why(path: Path) -> bool:
    """Whether a string's name tells nothing of it: inside of an object that is not known, or of an error, which may
    quote the request in any of its members."""
    return is_free(path) or "error" in path[:-1]


class Slot(msgspec.Struct, gc=False):
    """A string or number that is text. Groups are numbers of spans, -1: there is none."""

    group: int
    family: str
    """Kind of channel; empty: the string is judged by itself."""
    ids: tuple[int | bytes, ...] = ()
    """What names the channel, with the family: bytes, or the group where they are. Of a string
    that is judged by itself: clients put it behind what came before with these."""
    role: str = "assistant"
    json: bool = False
    logprobs: int = -1
    """Group of the log-probabilities that repeat this text."""
    uri: bool = False
    """A `data:` URI holds no text."""
    payload: bool = False
    """Nor does it if it is encoded bytes."""
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
    logprobs: tuple[int, ...] = ()
    """Groups of all that may repeat texts token by token."""
    names: str = ""
    """Member names of objects that are not known, one a line. They can be judged, not rewritten."""
    room: bytes = b""
    """An empty member, as it stands in the event, that can take the rest of a text which is over."""

    @property
    def says_nothing(self) -> bool:
        """An event of this shape has no text and repeats none, ends none and fails nothing: it may only tell usage."""
        return not (self.slots or self.ends or self.names or self.failed or self.logprobs)


class Reader:
    """Takes a scanned event apart into a plan, and notes which leaves the plan needs."""

    def __init__(self, data: bytes, found: Scan) -> None:
        self.data = data
        self.leaves = found.leaves
        self.literal: set[int] = set()
        """Leaves of which the plan depends on more than that they are there."""
        self._names = found.names
        self._at: dict[Path, int] = {leaf.path: number for number, leaf in enumerate(found.leaves)}
        self._groups: dict[int, int] = {}
        for number, leaf in enumerate(found.leaves):
            if leaf.path[-1:] in (("type",), ("role",)) and self._is_string(leaf) and not _says_why(leaf.path):
                self.literal.add(number)

    def has(self, *path: Step) -> bool:
        """Whether there is a string, a number or log-probabilities at a path."""
        return path in self._at

    def value(self, *path: Step) -> str:
        """The string at a path; empty: there is none. The plan then depends on it."""
        number = self._at.get(path)
        if number is None or not self._is_string(self.leaves[number]):
            return ""
        self.literal.add(number)
        return text_of(self._raw(number))

    def group(self, *path: Step) -> int:
        """The group for the leaf at a path; -1: there is none."""
        number = self._at.get(path)
        return -1 if number is None else self._groups.setdefault(number, len(self._groups))

    def strings(self, *under: Step) -> list[Path]:
        """The paths of all strings at or below a path, but for discriminators, and of numbers that are text there."""
        depth = len(under)
        return [
            leaf.path
            for number, leaf in enumerate(self.leaves)
            if leaf.path[:depth] == under
            and number not in self.literal
            and (
                self._is_string(leaf)
                or (self._is_number(leaf) and (is_free(leaf.path) or last_name(leaf.path[-1:]) in SPOKEN))
            )
        ]

    def logprobs(self) -> tuple[int, ...]:
        """The groups of everything that repeats texts token by token."""
        return tuple([self.group(*leaf.path) for leaf in self.leaves if self.data[leaf.start] in b"{["])

    def settle(self, plan: Plan) -> tuple[Plan, list[int]]:
        """The plan with its groups in the order of the event, and their leaves."""
        order = sorted(self._groups)
        place = {self._groups[number]: at for at, number in enumerate(order)} | {-1: -1}
        slots = [
            msgspec.structs.replace(
                slot,
                group=place[slot.group],
                ids=tuple([place[one] if isinstance(one, int) else one for one in slot.ids]),
                logprobs=place[slot.logprobs],
                call=place[slot.call],
                way=tuple([(step, place[group], kind) for step, group, kind in slot.way]),
            )
            for slot in plan.slots
        ]
        ends = tuple([(name, place[group]) for name, group in plan.ends])
        logprobs = tuple([place[group] for group in plan.logprobs])
        sequence = place[plan.sequence]
        return msgspec.structs.replace(plan, slots=tuple(slots), ends=ends, sequence=sequence, logprobs=logprobs), order

    def is_text(self, path: Path) -> bool:
        """Whether a string is text, by its place alone."""
        return _says_why(path) or last_name(path) not in _IDS

    def role(self, path: Path, role: str) -> str:
        """Whose words a string is."""
        for depth in range(1, len(path)):
            named = self._at.get((*path[:depth], "role"))
            kind = self._at.get((*path[:depth], "type"))
            if named is not None and named in self.literal:
                role = ROLES.get(text_of(self._raw(named)), role)
            elif kind is not None and kind in self.literal:
                role = role_of_kind(text_of(self._raw(kind)), role)
        return role

    def free_names(self, is_judged: Callable[[Path], bool]) -> str:
        """Member names that may be text, where texts are judged; one a line."""
        return "\n".join(dict.fromkeys([name for path, name in self._names if is_open(path, name) and is_judged(path)]))

    def room(self, *path: Step) -> bytes:
        """The member at a path as it is written, if it is an empty object and the only member of its name. In a string
        its quotes would be escaped, so that these bytes stand nowhere else in any event of this shape."""
        if [place for place, name in self._names if name == path[-1]] != [path]:
            return b""
        written = _EMPTY.findall(self.data)
        return next((one for one in written if one.startswith(b'"%b"' % str(path[-1]).encode())), b"")

    def whole(self, path: Path, role: str = "assistant") -> Slot:
        """A slot for a string that is judged by itself."""
        name = last_name(path)
        return Slot(
            self.group(*path),
            "",
            role=self.role(path, role),
            json=name in JSON_TEXTS,
            uri=name in _BYTES and not is_free(path),
            payload=name in _BYTES and not is_free(path) and self._is_payload(name, path),
            logprobs=self.group(*path[:-1], "logprobs"),
        )

    def _is_string(self, leaf: Leaf) -> bool:
        return self.data[leaf.start] == 0x22

    def _is_number(self, leaf: Leaf) -> bool:
        return self.data[leaf.start] in b"-0123456789"

    def _raw(self, number: int) -> bytes:
        leaf = self.leaves[number]
        return self.data[leaf.start : leaf.end]

    def _is_payload(self, name: str, path: Path) -> bool:
        beside = path[:-1]
        kind = self.value(*beside, "type")
        if name == "data":
            return kind in ("base64", "redacted_thinking") or bool(beside and beside[-1] in ("audio", "input_audio"))
        if name == "result":
            return kind == "image_generation_call"
        return name == "file_data" or name in ENCODED


def last_name(path: Path) -> str:
    """The name of the member a leaf is, or is an item of."""
    return next((step for step in reversed(path) if isinstance(step, str)), "")
