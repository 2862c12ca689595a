"""What a database's errors mean for the ledger. Its own words are never repeated: they may quote what was written.

Sources: SQLite, "Result and Error Codes"; PostgreSQL, "PostgreSQL Error Codes".
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

from bursar.errors import LedgerDamaged, LedgerError, LedgerUnavailable
from bursar.ledger.store import OutcomeUnknown, OutOfTurn

# Serialization failure, deadlock: undone by the server because somebody else was there too.
_OTHERS_FIRST: Final = {"40001", "40P01"}
# What a server decides on while it commits: duplicates (23) and rollbacks (40), but for one it is not sure of.
_UNDONE: Final = ("23", "40")
_UNSURE: Final = "40003"
_DENIED: Final = {"42501"}
_NO_TABLE: Final = {"42P01", "42703"}
_PASSING: Final = ("08", "25006", "53", "55P03", "57", "58")
_SQLITE: Final = {
    "SQLITE_BUSY": "another program keeps the ledger's file locked",
    "SQLITE_LOCKED": "another program keeps the ledger's file locked",
    "SQLITE_FULL": "there is no room left for the ledger",
    "SQLITE_READONLY": "the ledger's file cannot be written",
    "SQLITE_IOERR": "the ledger's file could not be read or written",
    "SQLITE_CANTOPEN": "the ledger's file cannot be opened",
}


def meaning(error: SQLAlchemyError) -> LedgerError:
    """Return our error for one of the database's that came before a commit: nothing was written."""
    if isinstance(error, DBAPIError):
        if name := _sqlite_name(error):
            return _of_sqlite(name)
        if state := _state(error):
            return _of_state(state)
    if isinstance(error, NoConnectionLeft):
        return LedgerUnavailable("all connections to the ledger's database are in use")
    return _of_class(error)


def commit_error(error: DBAPIError) -> LedgerError:
    """Return our error for one that came of a commit: unless the server said that it undid it, who knows."""
    state = _state(error)
    if state.startswith(_UNDONE) and state != _UNSURE:
        return OutOfTurn("somebody else wrote the ledger first", hint="read it again")
    return OutcomeUnknown(
        "the ledger's database did not say whether it wrote",
        hint="look before it is written again",
    )


def _of_class(error: SQLAlchemyError) -> LedgerError:
    if isinstance(error, DataError):
        return LedgerError(
            "a text for the ledger is not one this database can keep",
            hint="PostgreSQL takes no NUL",
        )
    if isinstance(error, OperationalError | InterfaceError):
        return LedgerUnavailable(
            "the ledger's database could not be reached",
            hint="check the host, the database, the user and the password in its URL",
        )
    return LedgerError(f"the ledger's database failed ({type(error).__name__})")


def _of_sqlite(name: str) -> LedgerError:
    kind = "_".join(name.split("_")[:2])
    if kind in _SQLITE:
        return LedgerUnavailable(
            _SQLITE[kind], hint="check the disk, the permissions, other programs"
        )
    if kind in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
        return LedgerDamaged("the ledger's file is not a database, or is damaged")
    return LedgerError(f"the ledger's database failed ({name})")


def _of_state(state: str) -> LedgerError:
    if state in _OTHERS_FIRST:
        return OutOfTurn("somebody else wrote the ledger first", hint="read it again")
    if state in _DENIED:
        return LedgerError(
            "the database does not let this user at the ledger",
            hint="it needs SELECT, INSERT and UPDATE on ledger_entries, and CREATE the first time",
        )
    if state in _NO_TABLE:
        return LedgerError("the ledger's table is not there", hint="DatabaseStore.open makes it")
    if state.startswith(_PASSING):
        return LedgerUnavailable(f"the ledger's database is not available ({state})")
    return LedgerError(f"the ledger's database refused ({state})")


def _sqlite_name(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlite_errorname", None) or "")


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
