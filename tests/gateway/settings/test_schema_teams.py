"""Keys and the names of policies as they may be written; the complaints are in `test_load.py`."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.admin.keyring import check_tags_of_key
from gateway.errors import BadRequest
from gateway.settings.schema_teams import PLACEHOLDERS, KeySection, TeamSection

HEX = "ab" * 32


@pytest.mark.parametrize("written", [f"sha256:{HEX}", f"hmac:{HEX}", HEX, HEX.upper(), *PLACEHOLDERS])
def test_hashes_that_may_be_written(written: str) -> None:
    assert KeySection.model_validate({"id": "a", "hash": written}).hash == written


@pytest.mark.parametrize(("written", "policies"), [(None, ()), ("a", ("a",)), (["a", "b", "a"], ("a", "b")), ([], ())])
def test_a_team_names_one_policy_or_several(written: object, policies: tuple[str, ...]) -> None:
    assert TeamSection.model_validate({"guardrails": written}).policies == policies


def test_no_list_allows_all_and_an_empty_list_nothing() -> None:
    assert TeamSection.model_validate({}).models is None
    assert TeamSection.model_validate({"models": []}).models == []
    with pytest.raises(ValidationError):
        TeamSection.model_validate({"models": ["a*b"]})


TEXTS = st.text(alphabet=st.sampled_from("ab .é☃,=\n"), max_size=4) | st.just("x" * 101)


@given(st.dictionaries(TEXTS, TEXTS, max_size=2))
def test_tags_of_the_file_are_those_that_a_key_can_be_made_with(tags: dict[str, str]) -> None:
    """`tollway keys create --tags` and the configuration have one rule."""
    wrong = {""} & set(tags) or any(
        len(name + value) > 200 or not (name + value).isprintable() or set(",=") & set(name + value)
        for name, value in tags.items()
    )
    told: list[str] = []
    with contextlib.suppress(ValidationError):
        assert TeamSection.model_validate({"tags": tags}).tags == tags
        told.append("team")
    with contextlib.suppress(BadRequest):
        check_tags_of_key(tags)
        told.append("key")
    assert told == ([] if wrong else ["team", "key"])
