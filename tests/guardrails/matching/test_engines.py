"""The two engines behind the gate."""

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from guardrails.matching import engines


@pytest.mark.parametrize("pattern", [rb"\s", rb"[\sa]", rb"[]\s]", rb"[^\s]", rb"\\s", rb"a[b[]\s", rb"[\]\s]x"])
@given(data=st.binary(max_size=6) | st.text("\x0b \ts\\\\ab[]x", max_size=6).map(str.encode))
def test_blanks_are_the_same_for_re2(pattern: bytes, data: bytes) -> None:
    """RE2's `\\s` is the only one of the three that leaves out the vertical tab."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    mine = re2.compile(engines.with_vertical_tab(pattern), options).search(data)
    theirs = re.search(pattern, data)
    assert (mine and mine.span()) == (theirs and theirs.span())


def test_the_compiler_s_words_are_kept() -> None:
    with pytest.raises(engines.CompileError, match="Embedded start anchors not supported"):
        engines.compile_database([(b"a", False, False), (b"b^a", False, False)])
    assert engines.compile_fails([(b"b^a", False, False)])
    assert engines.hyperscan_version()


def test_what_is_damaged_is_not_loaded() -> None:
    assert engines.load_database(b"no database") is None
