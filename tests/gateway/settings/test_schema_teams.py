"""Keys and the names of policies as they may be written; the complaints are in `test_load.py`."""

import pytest
from pydantic import ValidationError

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
