from gateway.routing.health import CREDENTIAL_PAUSE, LONGEST_PAUSE, Health


def test_a_refused_credential_is_down_for_every_model_and_alerts_once(target) -> None:
    """must-haves: 401/403 from a provider marks that credential down and alerts."""
    health = Health()
    assert health.answered(target("p", "m1"), 401, None, 0) is True
    assert health.answered(target("p", "m2"), 403, None, 1) is False
    assert not health.ready(target("p", "m3"), 2)
    assert health.ready(target("q", "m1"), 2)
    assert health.down(2) == ["p"]
    assert health.ready(target("p", "m1"), 1 + CREDENTIAL_PAUSE)
    assert health.down(1 + CREDENTIAL_PAUSE) == []


def test_a_busy_model_pauses_alone_and_recovers_on_success(target) -> None:
    health = Health()
    health.answered(target("p", "m1"), 429, 20, 0)
    assert not health.ready(target("p", "m1"), 19)
    assert health.paused(19) == {"p": 1}
    assert health.paused(20) == {"p": 0}
    assert health.ready(target("p", "m2"), 19)
    health.answered(target("p", "m1"), 302, None, 19)
    assert not health.ready(target("p", "m1"), 19), "a redirect has served nobody"
    health.answered(target("p", "m1"), 200, None, 19)
    assert health.ready(target("p", "m1"), 19)
    assert health.paused(19) == {}


def test_no_pause_is_longer_than_the_longest(target) -> None:
    health = Health()
    health.answered(target("p"), 503, 1e9, 0)
    assert health.ready(target("p"), LONGEST_PAUSE)
