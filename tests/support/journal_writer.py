"""A process that writes a journal and tells on its standard output what the journal took: to be killed by a test."""

import os
import sys

from gateway.clock import Ids
from gateway.facts import Usage
from gateway.ledger.journal import Journal
from tests.gateway.ledger import helpers
from tests.gateway.ledger.helpers import exchange


def main() -> None:
    helpers._ids = Ids()  # it may have been forked: ids of its own
    journal = Journal(sys.argv[1], fsync_interval=0.05, segment_bytes=20_000)
    running = []
    for number in range(10**9):
        x = exchange(number)
        assert journal.start(x)
        os.write(1, f"start {x.id}\n".encode())
        running.append(x)
        if len(running) > 5:
            x = running.pop(number % 5)
            x.usage = Usage(input_tokens=number, output_tokens=1)
            journal.finish(x)
            os.write(1, f"end {x.id} {number}\n".encode())
