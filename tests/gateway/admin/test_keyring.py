"""Rules of keys that need no HTTP: expiry, names, tags."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.access import Conflict
from gateway.admin.keyring import check_team, expiry_ns, open_keyring
from gateway.clock import ManualClock
from gateway.errors import BadRequest, NotFound

NOW = 1_700_000_000_000_000_000
MODELS = {"gpt-4o-mini": None, "local/*": None}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90d", 90 * 86400), ("1h30m", 5400), ("2023-11-15", 6400), ("2023-11-14T22:13:21Z", 1)]
)
def test_expiry(text: str, seconds: int) -> None:
    assert expiry_ns(text, NOW) == NOW + seconds * 10**9


@pytest.mark.parametrize("text", ["", "0", "0d", "90", "-1d", "never", "2023-11-14", "99999999w", "9999-99-99"])
def test_no_expiry(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        expiry_ns(text, NOW)
    assert caught.value.param == "expires"


@given(st.text(max_size=30))
def test_any_text_is_an_expiry_in_the_future_or_refused(text: str) -> None:
    with contextlib.suppress(BadRequest):
        assert NOW < expiry_ns(text, NOW) < 2**63


def test_nearest_teams() -> None:
    with pytest.raises(BadRequest, match="Did you mean 'search'"):
        check_team("serch", ["search", "support"])
    with pytest.raises(BadRequest, match="Teams are: search, support"):
        check_team("zzz", ["support", "search"])
    with pytest.raises(BadRequest, match="none yet"):
        check_team("zzz", [])


def test_what_a_key_may_be(tmp_path) -> None:
    clock = ManualClock()
    with open_keyring(f"sqlite:///{tmp_path}/ledger.db", b"secret" * 4, clock) as keyring:

        def create(**changes: object) -> object:
            return keyring.create(team="a", teams=["a"], known_models=MODELS, **changes)  # type: ignore[arg-type]

        for models in (["gpt-4o-mini"], ["local/llama"], ["gpt-*"], [], None):
            assert create(models=models).models == models  # type: ignore[attr-defined]
        create(models=["local/*", "gpt-*"], team_models=["local/llama", "gpt-4o-mini"])
        refused: list[dict[str, object]] = [
            {"name": "n" * 201},
            {"name": "\x1b[31mred"},
            {"name": "two\nlines"},
            {"models": ["gpt-4o-mini"], "team_models": ["local/*"]},
            {"models": ["local/*", "gpt-4o-mini"], "team_models": ["local/llama"]},
            {"models": ["gpt-5"]},
            {"models": [""]},
            {"tags": {str(number): "v" for number in range(33)}},
            {"tags": {"": "v"}},
            {"tags": {"k": "a\nb"}},
            {"tags": {"k": "a=b"}},
            {"tags": {"k" * 100: "v" * 101}},
            {"expires": "yesterday"},
        ]
        for changes in refused:
            with pytest.raises(BadRequest):
                create(**changes)
        assert len(keyring.list()) == 6


def test_rotation_needs_a_working_key(tmp_path) -> None:
    clock = ManualClock()
    with open_keyring(f"sqlite:///{tmp_path}/ledger.db", b"secret" * 4, clock) as keyring:
        made = keyring.create(team="a", teams=["a"], known_models=MODELS, expires="1h")
        for overlap in ("", "soon", "-1h", "99999w"):
            with pytest.raises(BadRequest):
                keyring.rotate(made.id, overlap)
        keyring.rotate(made.id, "0")
        with pytest.raises(Conflict, match="expired"):
            keyring.rotate(made.id, "1h")
        with pytest.raises(NotFound, match="Did you mean"):
            keyring.revoke(made.id + "x")
