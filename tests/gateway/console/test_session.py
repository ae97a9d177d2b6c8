import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import ManualClock
from gateway.console.session import LIFETIME, Sessions
from gateway.settings.snapshot import AdminKey
from tests.gateway.admin.fakes import FakeWorld

KEY = b"k" * 32


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(KEY)


def cookie_of(world: FakeWorld, sessions: Sessions, role: str = "admin") -> str:
    admin = next(each for each in world.configuration.snapshot.admin_keys if each.role == role)
    return sessions.begin(admin, world.clock.now_ns())


def holds(world: FakeWorld, sessions: Sessions, cookie: str) -> bool:
    return sessions.read(cookie, world.configuration.snapshot, world.clock.now_ns()) is not None


def test_a_session_is_read_back_until_its_lifetime_is_over(world: FakeWorld, sessions: Sessions):
    cookie = cookie_of(world, sessions, "oncall")
    found = sessions.read(cookie, world.configuration.snapshot, world.clock.now_ns())
    assert found is not None
    assert found[1].role == "oncall"
    world.clock.advance(LIFETIME - 1)
    assert holds(world, sessions, cookie)
    world.clock.advance(1)
    assert not holds(world, sessions, cookie)


def test_nobody_else_can_make_one(world: FakeWorld, sessions: Sessions):
    assert not holds(world, sessions, cookie_of(world, Sessions(b"x" * 32)))


def test_every_changed_character_spoils_it(world: FakeWorld, sessions: Sessions):
    """ "a signed session cookie": any other text is none, also one that base64 would read as the same bytes."""
    cookie = cookie_of(world, sessions)
    for at in range(len(cookie)):
        for other in "AQgw.=-":
            if other != cookie[at]:
                assert not holds(world, sessions, cookie[:at] + other + cookie[at + 1 :])
    for other in (cookie + "=", cookie + "A", cookie[:-1], "", ".", "..", "a.b", "ü.ü", "x" * 5000):
        assert not holds(world, sessions, other)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading(text: str):
    world_free = Sessions(KEY)
    assert world_free.read(text, _Nobody(), 10**18) is None  # type: ignore[arg-type]


class _Nobody:
    admin_keys: tuple[AdminKey, ...] = ()


def test_a_signed_payload_that_is_no_session_is_none(world: FakeWorld, sessions: Sessions):
    payload = b'{"admin": 1}'
    mac = sessions._mac(b"session", payload)
    cookie = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (payload, mac))
    assert not holds(world, sessions, cookie)


def test_a_key_that_is_changed_or_taken_out_ends_its_sessions(world: FakeWorld, sessions: Sessions):
    cookie = cookie_of(world, sessions)
    snapshot = world.configuration.snapshot
    now_ns = ManualClock().now_ns()

    class Changed:
        admin_keys = tuple(AdminKey(each.id, each.role, each.scheme, b"other" * 6) for each in snapshot.admin_keys)

    assert sessions.read(cookie, snapshot, now_ns) is not None
    assert sessions.read(cookie, Changed(), now_ns) is None  # type: ignore[arg-type]
    assert sessions.read(cookie, _Nobody(), now_ns) is None  # type: ignore[arg-type]


def test_the_role_is_the_configurations_and_not_the_cookies(world: FakeWorld, sessions: Sessions):
    cookie = cookie_of(world, sessions)
    snapshot = world.configuration.snapshot

    class Demoted:
        admin_keys = tuple(AdminKey(each.id, "viewer", each.scheme, each.digest) for each in snapshot.admin_keys)

    found = sessions.read(cookie, Demoted(), world.clock.now_ns())  # type: ignore[arg-type]
    assert found is not None
    assert found[1].role == "viewer"


def test_form_tokens_are_of_one_session(world: FakeWorld, sessions: Sessions):
    found = [
        sessions.read(cookie_of(world, sessions), world.configuration.snapshot, world.clock.now_ns()) for _ in range(2)
    ]
    one, other = (each[0] for each in found if each is not None)
    assert sessions.fits(one, sessions.token(one))
    assert not sessions.fits(one, sessions.token(other))
    assert not sessions.fits(one, "")
    assert not sessions.fits(one, "\udcff")
