"""A database, opened and spoken of in errors the same way by all who keep something there.

`engine.py` opens SQLite in a file of this machine, or PostgreSQL; `faults.py` reads what it raises. It needs
SQLAlchemy (`bursar[ledger]`).
"""
