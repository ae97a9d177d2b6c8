"""The vocabulary of text surfaces: which members of provider bodies hold no text, and how a place in one is written.

Two kinds of objects. Known containers (messages, content parts, tool calls, items, tools) are *structured*: there, ids,
discriminators and binary payloads are no text. Everything else is *free*: every string in it is text.

Member names that no API has are text in both, and in the body itself.

Paths: `messages[2].content[0].text`; names that are not plain are written `["a b"]`; a path ending in `{}` is the
names of an object's members (`{}` alone: of the body's), which can be judged but not rewritten.
"""

import json
import re

import msgspec


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONTAINERS = _names(
    "messages input prompt output content system tools functions function function_call tool_calls tool_choice "
    "custom response_format json_schema format source image_url input_audio file file_citation summary prediction "
    "choices message audio text output_config edits skills"
)
STRUCTURAL = _names(
    "type role id object status index model service_tier detail format media_type signature encrypted_content "
    "cache_control call_id tool_call_id tool_use_id item_id file_id container_id finish_reason stop_reason phase "
    "syntax effort verbosity"
)
"""No text where they are strings (`cache_control`: whatever it is)."""
SPOKEN = _names(
    "content text input prompt output arguments name refusal thinking reasoning reasoning_content system instructions "
    "user suffix title context description transcript"
)
"""Are texts, so that a number there is one too: some servers take it as if it were written in quotes."""
PAYLOAD = _names("data file_data url image_url file_url result")
"""May hold encoded bytes."""
ENCODED = _names("partial_image_b64 b64_json")
"""Hold nothing else."""
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}

_MOST_URI_HEAD = 512
"""Characters of what a `data:` address says of its bytes before they come."""
_BASE64 = re.compile(r"[A-Za-z0-9+/=_\r\n-]*+").fullmatch
_MEMBER = re.compile(r"[A-Za-z_$][A-Za-z_-]{0,39}+[0-9]{0,3}+(?:_[a-z]{1,16}+)?").fullmatch
_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_STEP = re.compile(r'(?:^|\.)([A-Za-z_$][A-Za-z0-9_$-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')
_escape = msgspec.json.encode

Step = str | int
"""A member's name, or a place in an array."""


def role_of_kind(kind: str, role: str) -> str:
    """Whose words an item or block of a `type` holds, where no `role` says so; `role` is its surroundings'."""
    if role != "system":
        if kind.endswith(("_output", "_result")):
            return "tool"
        if kind.endswith(("_call", "tool_use")) or kind in ("reasoning", "thinking"):
            return "assistant"
    return role


def is_encoded(uri: str) -> bool:
    """Whether a value of a member that may be an address is one of `data:` with its bytes as base64. Other `data:`
    addresses have their text in them as it is (RFC 2397)."""
    head = uri[:_MOST_URI_HEAD]
    return head[:5].lower() == "data:" and head.partition(",")[0].rstrip().lower().endswith(";base64")


def is_base64(text: str) -> bool:
    """Whether a value that is said to be encoded bytes begins like some. Others are text, whatever is said of them."""
    return _BASE64(text[:_MOST_URI_HEAD]) is not None


def is_member(name: str) -> bool:
    """Whether a name looks like one that an API gives a member. Others are somebody's text, but for the empty one."""
    return not name or _MEMBER(name) is not None


def member_path(path: str, name: str) -> str:
    """The path of a member of the object at `path` ("": the whole body)."""
    if _PLAIN.fullmatch(name):
        return f"{path}.{name}" if path else name
    return f"{path}[{_escape(sound(name)).decode()}]"


def steps(path: str) -> list[Step] | None:
    """The steps of a path; None for what is not a path of one value, such as one that ends in `{}`."""
    found: list[Step] = []
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return None
        plain, index, quoted = step.groups()
        found.append(plain if plain is not None else int(index) if index is not None else json.loads(quoted))
        at = step.end()
    return found or None


def sound(text: str) -> str:
    """Text without lone surrogates, which JSON can write and UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
