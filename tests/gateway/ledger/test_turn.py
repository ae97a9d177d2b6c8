import threading
from pathlib import Path

from sqlalchemy import insert, select

from gateway.ledger.store import ensure_schema, giving_way, open_engine, writing
from gateway.ledger.tables import counters
from gateway.ledger.turn import give_way, waiting
from tests.gateway.ledger.helpers import until


def test_the_loader_waits_while_somebody_waits(tmp_path: Path):
    database = str(tmp_path / "ledger.db")
    assert give_way(database, 0)
    with waiting(database):
        assert not give_way(database, 0)
        with waiting(database):
            assert not give_way(database, 0), "two wait, and neither for the other"
    assert give_way(database, 0)


def test_a_file_that_cannot_be_opened_costs_the_courtesy_alone(tmp_path: Path):
    database = str(tmp_path / "nowhere" / "ledger.db")
    with waiting(database):
        assert give_way(database, 0)


def test_who_waits_for_the_write_lock_is_not_overtaken_by_the_loader(tmp_path: Path):
    """Without a line for SQLite's write lock a busy loader had it again before anybody else looked."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    ensure_schema(url)
    database = str(tmp_path / "ledger.db")
    engine = open_engine(url)
    loader = giving_way(engine)

    def switch() -> None:
        with writing(engine) as connection:
            connection.execute(insert(counters).values(name="switch", value=1))

    somebody = threading.Thread(target=switch)
    with writing(loader):
        somebody.start()
        until(lambda: not give_way(database, 0))
    with writing(loader) as connection:
        assert connection.execute(select(counters.c.value).where(counters.c.name == "switch")).scalar() == 1
    somebody.join()
    engine.dispose()
