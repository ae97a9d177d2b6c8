from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import LedgerError
from gateway.ledger.periods import HINT, moment_ns
from tests.gateway.ledger.helpers import T0

NOW = T0  # 2025-10-09T08:53:20Z


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("30m", ns("2025-10-09T08:23:20")),
        ("12h", ns("2025-10-08T20:53:20")),
        ("7d", ns("2025-10-02T08:00:00")),
        ("2w", ns("2025-09-25T08:00:00")),
        ("2025-10-01", ns("2025-10-01T00:00:00")),
        (" 2025-10-01T12:30Z ", ns("2025-10-01T12:30:00")),
        ("2025-10-01T12:30+02:00", ns("2025-10-01T10:30:00")),
        ("2025-10-01T00:00:00.000001", ns("2025-10-01T00:00:00") + 1000),
        ("999999w", 0),
    ],
)
def test_moments(text: str, moment: int):
    assert moment_ns(text, NOW) == moment


@given(st.text(max_size=20))
def test_anything_else_says_what_is_allowed(text: str):
    try:
        moment = moment_ns(text, NOW)
    except LedgerError as error:
        moment, message = 0, str(error)
    else:
        message = HINT
    assert moment >= 0
    assert message.endswith(HINT)


@pytest.mark.parametrize("text", ["yesterday", "", "7", "d7", "7y", "-7d", "1969-12-31"])
def test_mistakes(text: str):
    with pytest.raises(LedgerError, match="allowed are"):
        moment_ns(text, NOW)


@pytest.mark.parametrize("text", ["2262-04-12", "9999-12-31"])
def test_what_no_database_can_hold_is_too_far_away(text: str):
    assert moment_ns("2262-04-11", NOW) < 2**63
    with pytest.raises(LedgerError, match="is too far away; allowed are"):
        moment_ns(text, NOW)
