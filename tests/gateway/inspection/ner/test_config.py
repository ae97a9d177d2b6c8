"""What can be found is what the tagger and the model can find."""

from gateway.inspection.ner.config import ENTITIES, NerConfig
from gateway.inspection.ner.tagger import CLASSES


def test_entities() -> None:
    assert set(ENTITIES) == {*CLASSES[1:], "NRP", "DATE_TIME"}
    assert set(NerConfig().entities) <= set(ENTITIES)
