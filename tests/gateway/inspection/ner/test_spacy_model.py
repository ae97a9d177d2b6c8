"""spaCy behind the model seam: labels by our names, offsets in characters."""

from gateway.inspection.ner.features import Entity
from gateway.inspection.ner.spacy_model import SpacyModel


def test_labels_are_the_entities_names() -> None:
    model = SpacyModel()
    texts = ["🦓 Barack Obama was born in Hawaii in 1961.", ""]
    found, nothing = model(texts)
    assert Entity("PERSON", 2, 14) in found
    assert {entity.label for entity in found} == {"PERSON", "LOCATION", "DATE_TIME"}
    assert nothing == []
