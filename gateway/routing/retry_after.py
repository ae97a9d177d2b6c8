"""Reads `retry-after` (RFC 9110 section 10.2.3: seconds or an HTTP date) and OpenAI's `retry-after-ms`."""

from email.utils import parsedate_to_datetime

from gateway.seams import Headers


def retry_after(headers: Headers, now_ns: int) -> float | None:
    """Seconds to wait, never negative; None when the answer names none or names nonsense."""
    found: float | None = None
    for name, value in headers:
        if name == b"retry-after-ms":
            millis = _number(value)
            if millis is not None:
                return millis / 1000
        elif name == b"retry-after":
            found = _number(value)
            if found is None:
                found = _until(value, now_ns)
    return found


def _number(value: bytes) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None


def _until(value: bytes, now_ns: int) -> float | None:
    try:
        moment = parsedate_to_datetime(value.decode("ascii"))
        return max(0.0, moment.timestamp() - now_ns / 1e9)
    except (ValueError, UnicodeDecodeError, OverflowError):
        return None
