"""One rewriter for each operation that streams texts."""

import pytest

from gateway.inspection.rewriters import OPERATIONS, Rewriters
from tests.gateway.inspection.helpers import Masker


def test_every_operation_that_streams_has_a_rewriter():
    for operation in OPERATIONS:
        assert not Rewriters().open(operation, Masker()).blocked
    with pytest.raises(KeyError):
        Rewriters().open("embeddings", Masker())
