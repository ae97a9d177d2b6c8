"""What a Responses model does on its way: the items of the tools that run at the provider, and their events."""

from typing import Any

from loadtest.mock.rich.values import PIXEL, cut

Fields = dict[str, Any]
Work = tuple[Fields, Fields, list[tuple[str, Fields]]]
"""An item in the end, what is different when it is added, and the events between, as kind and fields."""

_STARTED: Fields = {"status": "in_progress"}
_CODE = "print('\u00e9' * 3)"
_PATCH = "@@ -1 +1 @@\n-old\n+new\n"


def at_work(mark: str) -> list[Work]:
    """Every tool, whose items' ids end with `mark`."""
    return [
        *_searches(mark),
        _code(mark),
        _image(mark),
        *_mcp(mark),
        *_shell(mark),
        _custom(mark),
        *_quiet(mark),
    ]


def _phases(kind: str, *phases: str) -> list[tuple[str, Fields]]:
    return [(f"response.{kind}.{phase}", {}) for phase in phases]


def _pieces(kind: str, text: str, size: int, done: str) -> list[tuple[str, Fields]]:
    return [
        *((f"response.{kind}.delta", {"delta": piece}) for piece in cut(text, size)),
        (f"response.{kind}.done", {done: text}),
    ]


def _searches(mark: str) -> list[Work]:
    sources = [{"type": "url", "url": "https://example.com/a"}]
    action = {"type": "search", "query": "a road", "queries": ["a road"], "sources": sources}
    found = {
        "file_id": "file-mock",
        "filename": "road.pdf",
        "score": 0.98,
        "text": "A road.",
        "attributes": {"year": 2024},
    }
    events = ("in_progress", "searching", "completed")
    return [
        (
            {"id": f"ws_{mark}", "type": "web_search_call", "status": "completed", "action": action},
            _STARTED,
            _phases("web_search_call", *events),
        ),
        (
            {
                "id": f"ws2_{mark}",
                "type": "web_search_call",
                "status": "completed",
                "action": {"type": "open_page", "url": "https://example.com/b"},
            },
            _STARTED,
            [],
        ),
        (
            {
                "id": f"fs_{mark}",
                "type": "file_search_call",
                "status": "completed",
                "queries": ["a road"],
                "results": [found],
            },
            {**_STARTED, "results": None},
            _phases("file_search_call", *events),
        ),
    ]


def _code(mark: str) -> Work:
    outputs = [
        {"type": "logs", "logs": "\u00e9\u00e9\u00e9\n"},
        {"type": "image", "url": "https://example.com/plot.png"},
    ]
    item: Fields = {
        "id": f"ci_{mark}",
        "type": "code_interpreter_call",
        "status": "completed",
        "code": _CODE,
        "container_id": "cntr_mock",
        "outputs": outputs,
    }
    events = [
        *_phases("code_interpreter_call", "in_progress"),
        *_pieces("code_interpreter_call_code", _CODE, 4, "code"),
        *_phases("code_interpreter_call", "interpreting", "completed"),
    ]
    return item, {**_STARTED, "code": "", "outputs": None}, events


def _image(mark: str) -> Work:
    looks: Fields = {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
    item: Fields = {
        "id": f"ig_{mark}",
        "type": "image_generation_call",
        "status": "completed",
        "result": PIXEL,
        "revised_prompt": "a road",
        "action": "generate",
        **looks,
    }
    kind = "image_generation_call"
    partial: Fields = {"partial_image_index": 0, "partial_image_b64": PIXEL, **looks}
    events = [
        *_phases(kind, "in_progress", "generating"),
        (f"response.{kind}.partial_image", partial),
        *_phases(kind, "completed"),
    ]
    return item, {**_STARTED, "result": None, "revised_prompt": None}, events


def _mcp(mark: str) -> list[Work]:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    tool = {"name": "look", "description": "Looks.", "input_schema": schema, "annotations": {"read_only": True}}
    arguments = '{"q":"a road"}'
    call: Fields = {"type": "mcp_call", "name": "look", "server_label": "maps", "arguments": arguments}
    listed: Fields = {"type": "mcp_list_tools", "server_label": "maps"}
    started = {**_STARTED, "arguments": "", "output": None}
    asked = _pieces("mcp_call_arguments", arguments, 4, "arguments")
    return [
        (
            {"id": f"mcpl_{mark}", **listed, "tools": [tool]},
            {"tools": []},
            _phases("mcp_list_tools", "in_progress", "completed"),
        ),
        (
            {"id": f"mcpl2_{mark}", **listed, "tools": [], "error": "unreachable"},
            {"error": None},
            _phases("mcp_list_tools", "in_progress", "failed"),
        ),
        (
            {"id": f"mcp_{mark}", **call, "status": "completed", "output": "a road", "error": None},
            started,
            [*_phases("mcp_call", "in_progress"), *asked, *_phases("mcp_call", "completed")],
        ),
        (
            {
                "id": f"mcp2_{mark}",
                **call,
                "status": "failed",
                "output": None,
                "error": {"type": "http_error", "code": 500, "message": "broken"},
            },
            {**started, "error": None},
            [*_phases("mcp_call", "in_progress"), *asked, *_phases("mcp_call", "failed")],
        ),
        ({"id": f"mcpr_{mark}", **call, "type": "mcp_approval_request"}, {}, []),
    ]


def _shell(mark: str) -> list[Work]:
    command = "ls -l | head"
    kind = "response.shell_call_command"
    typed = [(f"{kind}.added", {"command_index": 0, "command": ""})]
    typed += [
        (f"{kind}.delta", {"command_index": 0, "delta": piece, "obfuscation": "aQ7f"}) for piece in cut(command, 5)
    ]
    typed += [(f"{kind}.done", {"command_index": 0, "command": command})]
    output = {"stdout": "total 0\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    kind = "response.shell_call_output_content"
    shown: list[tuple[str, Fields]] = [
        (f"{kind}.delta", {"command_index": 0, "delta": {"stdout": piece}}) for piece in cut("total 0\n", 3)
    ]
    shown.append((f"{kind}.done", {"command_index": 0, "output": [output]}))
    call_id = f"call_{mark}sh"
    call: Fields = {
        "id": f"sh_{mark}",
        "type": "shell_call",
        "status": "completed",
        "call_id": call_id,
        "action": {"commands": [command], "timeout_ms": 1000, "max_output_length": 4096},
        "environment": {"type": "local"},
    }
    result: Fields = {
        "id": f"sho_{mark}",
        "type": "shell_call_output",
        "status": "completed",
        "call_id": call_id,
        "max_output_length": 4096,
        "output": [output],
    }
    return [
        (call, {**_STARTED, "action": {**call["action"], "commands": []}}, typed),
        (result, {**_STARTED, "output": []}, shown),
    ]


def _custom(mark: str) -> Work:
    item: Fields = {
        "id": f"ctc_{mark}",
        "type": "custom_tool_call",
        "call_id": f"call_{mark}ct",
        "name": "grammar",
        "input": "SELECT 'a road'",
    }
    return item, {"input": ""}, _pieces("custom_tool_call_input", item["input"], 4, "input")


def _quiet(mark: str) -> list[Work]:
    """Items without events of their own."""
    patch: Fields = {
        "id": f"apc_{mark}",
        "type": "apply_patch_call",
        "status": "completed",
        "call_id": f"call_{mark}ap",
        "operation": {"type": "update_file", "path": "a/road.py", "diff": _PATCH},
    }
    click: Fields = {
        "id": f"cu_{mark}",
        "type": "computer_call",
        "status": "completed",
        "call_id": f"call_{mark}cu",
        "action": {"type": "click", "button": "left", "x": 10, "y": 20},
        "pending_safety_checks": [{"id": "cu_sc_mock", "code": "malicious_instructions", "message": "Look first."}],
    }
    local: Fields = {
        "id": f"lsh_{mark}",
        "type": "local_shell_call",
        "status": "completed",
        "call_id": f"call_{mark}ls",
        "action": {"type": "exec", "command": ["ls", "-l"], "env": {"LANG": "C"}},
    }
    compacted: Fields = {"id": f"cmp_{mark}", "type": "compaction", "encrypted_content": "Z0FBQUFBQm1vY2s="}
    return [
        (patch, _STARTED, []),
        (click, _STARTED, []),
        (local, _STARTED, []),
        (compacted, {}, _phases("compaction", "compacting")),
    ]
