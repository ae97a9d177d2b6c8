from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.incident_shapes import Happening, IncidentDetail, IncidentView
from gateway.console.postmortem import draft


def detail(title: str = "openai fails", **changes: object) -> IncidentDetail:
    values: dict[str, object] = {
        "id": "inc-1", "state": "resolved", "severity": "page", "signal": "provider", "subject": "openai",
        "title": title, "teams": ["search"], "detail": {"share_failed": 0.25}, "gateway": "",
        "since": "2026-11-27T10:00:00Z", "opened_at": "2026-11-27T10:02:00Z", "updated_at": "2026-11-27T10:30:00Z",
        "resolved_at": "2026-11-27T10:31:00Z", "acknowledged_at": "2026-11-27T10:05:00Z", "acknowledged_by": "key:ops",
    }  # fmt: skip
    timeline = [
        Happening(at="2026-11-27T09:55:00Z", kind="config", actor="", text="reloaded"),
        Happening(at="2026-11-27T10:02:00Z", kind="opened", actor="", text=title),
        Happening(at="2026-11-27T10:07:00Z", kind="switches.stop", actor="key:ops", text="provider openai: it is down"),
        Happening(at="2026-11-27T10:31:00Z", kind="resolved", actor="", text=title),
    ]
    return IncidentDetail(incident=IncidentView(**{**values, **changes}), timeline=timeline)  # type: ignore[arg-type]


def test_the_draft_tells_what_the_timeline_knows_and_leaves_judgement_to_people():
    text = draft(detail())
    assert text.startswith("# Postmortem: openai fails\n")
    assert "| Acknowledged | 2026-11-27 10:05:00 by key:ops |" in text
    assert "- share failed: 0.25" in text
    assert "- 2026-11-27 10:07:00 **switches.stop** (key:ops): provider openai: it is down" in text
    why = text.split("## Why it happened")[1].split("## What went well")[0]
    assert "2026-11-27 09:55:00 **config**" in why
    assert "switches.stop" not in why
    assert "not resolved yet" in draft(detail(resolved_at=None, acknowledged_at=None, acknowledged_by=""))


@given(st.text(max_size=200))
def test_words_of_people_are_read_as_words(title: str):
    text = draft(detail(title))
    lines = text.split("\n")
    assert lines[1] == ""
    unescaped = lines[0].removeprefix("# Postmortem: ").replace("\\\\", "")
    for at, letter in enumerate(unescaped):
        if letter in "<>[]|`*":
            assert unescaped[at - 1] == "\\"
