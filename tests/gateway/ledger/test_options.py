import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.options import LoaderOptions

SECONDS = st.floats(0, 10**9)


@given(st.builds(LoaderOptions, poll=SECONDS, drain=SECONDS, retain_events=st.none() | SECONDS))
def test_options_reach_the_child_as_they_are(options: LoaderOptions):
    """They travel as JSON on the command line."""
    assert msgspec.json.decode(msgspec.json.encode(options).decode(), type=LoaderOptions) == options


@pytest.mark.parametrize("module", ["options", "journal", "loader_process", "status", "recovery"])
def test_the_gateway_need_not_import_the_database_library(module: str):
    """It only writes the journal and watches the loader: SQLAlchemy would cost start time and memory."""
    program = f"import sys, gateway.ledger.{module}; print('sqlalchemy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.strip() == "False", done.stderr
