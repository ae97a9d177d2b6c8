"""The values between the parts of the mock."""

from loadtest.mock.reply import Request


def test_the_first_value_of_a_header_counts() -> None:
    request = Request("GET", "/", "", [(b"a", b"1"), (b"a", b"2")])
    assert (request.header(b"a"), request.header(b"b")) == ("1", "")
