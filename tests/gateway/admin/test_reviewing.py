"""The line of YAML that allows what was a mistake."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.reviewing import allow_line
from gateway.settings.schema_guardrails import AllowSection

DIGESTS = st.text("0123456789abcdef", min_size=16, max_size=16)


@given(st.lists(DIGESTS, max_size=3), st.lists(DIGESTS, min_size=1, max_size=3))
def test_the_line_is_yaml_of_an_allow_list_that_keeps_what_is_there(there: list[str], new: list[str]):
    """Digests such as `1234567890123456` and `12345678901234e5` stay text."""
    read = yaml.safe_load(allow_line(AllowSection(digests=there), new))
    assert AllowSection.model_validate(read["allow"]).digests == list(dict.fromkeys([*there, *new]))


def test_values_that_are_allowed_are_not_shown():
    line = allow_line(AllowSection(values=["Jane"], digests=["1" * 16]), ["2" * 16])
    assert line == f'digests: ["{"1" * 16}", "{"2" * 16}"]  # inside allow:, beside what stands there'
