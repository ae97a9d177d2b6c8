"""Lists of terms that stand in files of their own: one a line, blank lines left out."""

from pathlib import Path

MOST_BYTES = 64 * 1024 * 1024


class TermFileError(ValueError):
    """A file that cannot be used: says why, without quoting it."""


def read_terms(path: Path) -> tuple[str, ...]:
    """The terms of a file, in its order, each without blanks around it. Raises TermFileError."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise TermFileError(f"the file of terms cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise TermFileError(f"the file of terms is too long; allowed are {MOST_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TermFileError(f"the file of terms is not text in UTF-8 (line {line})") from None
    terms = tuple(term for line in text.split("\n") if (term := line.strip()))
    if not terms:
        raise TermFileError("the file holds no terms; allowed is one a line")
    return terms
