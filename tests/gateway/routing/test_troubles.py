import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConnectFailed, Disconnected
from gateway.routing.troubles import QUIET, Trouble, Troubles


def test_the_first_failure_of_a_kind_is_told_at_once_with_its_reason() -> None:
    told: list[Trouble] = []
    troubles = Troubles(told.append)
    troubles.note("openai", ConnectFailed("its certificate is not trusted: self-signed certificate"), 5.0)
    troubles.note("openai", Disconnected("the connection was reset", sent=True), 5.0)
    troubles.note("other", ConnectFailed("refused"), 5.0)
    assert told == [
        Trouble("openai", "ConnectFailed", "its certificate is not trusted: self-signed certificate", 0),
        Trouble("openai", "Disconnected", "the connection was reset", 0),
        Trouble("other", "ConnectFailed", "refused", 0),
    ]


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60))
def test_one_a_minute_at_most_and_none_goes_uncounted(gaps: list[float]) -> None:
    """Tells the first failure of each kind of each provider at once, and then one a minute at most."""
    told: list[tuple[float, Trouble]] = []
    now = 0.0
    troubles = Troubles(lambda trouble: told.append((now, trouble)))
    for gap in gaps:
        now += gap
        troubles.note("p", ConnectFailed("refused"), now)
    times = [at for at, _ in told]
    assert times[0] == gaps[0]
    assert all(later - earlier >= QUIET for earlier, later in itertools.pairwise(times))
    assert len(gaps) - len(told) >= sum(trouble.untold for _, trouble in told)
    troubles.note("p", ConnectFailed("refused"), now + QUIET)
    assert len(told) + sum(trouble.untold for _, trouble in told) == len(gaps) + 1
    assert troubles.counts == {("p", "ConnectFailed"): len(gaps) + 1}
