"""Alembic migrations of the ledger, run by `gateway.ledger.store.ensure_schema`.

A new one: add `versions/NNNN_what.py` (see `script.py.mako`), and raise `HEAD` in `gateway/ledger/store.py`.
"""
