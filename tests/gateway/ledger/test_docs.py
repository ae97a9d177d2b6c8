import re
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gateway.ledger.posting import post
from gateway.ledger.spend import GROUPS
from gateway.ledger.store import reading, writing
from gateway.ledger.tables import OUTCOMES
from tests.gateway.ledger.helpers import T0, end

PAGE = (Path(__file__).parents[3] / "docs" / "spend.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_of_the_page_runs(engine: Engine, query: str):
    with writing(engine) as connection:
        post(connection, [end(received_ns=T0 + 10**17, tags={"app": "x"}, outcome="client_left")], T0)
    with reading(engine) as connection:
        assert len(connection.execute(text(query)).all()) == 1


def test_the_page_names_every_group():
    assert QUERIES
    for group in (*GROUPS, "tag:NAME"):
        assert f"`{group}`" in PAGE


def test_the_page_says_what_every_outcome_means():
    assert (
        tuple(re.findall(r"^\| `([a-z_]+)` \| ", PAGE.split("| outcome |")[1].split("\n\n")[0], re.MULTILINE))
        == OUTCOMES
    )
