"""What a database's errors mean. Its own words are never repeated: they may quote what was written.

Sources: SQLite, "Result and Error Codes"; PostgreSQL, "PostgreSQL Error Codes".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

from bursar.errors import BursarError

# Serialization failure, deadlock: undone by the server because somebody else was there too.
_OTHERS_FIRST: Final = {"40001", "40P01"}
# What a server decides on while it commits: duplicates (23) and rollbacks (40), but for one it is not sure of.
_UNDONE: Final = ("23", "40")
_UNSURE: Final = "40003"
_DENIED: Final = {"42501"}
_NO_TABLE: Final = {"42P01", "42703"}
_PASSING: Final = ("08", "25006", "53", "55P03", "57", "58")
_SQLITE: Final = {
    "SQLITE_BUSY": "another program keeps {its} file locked",
    "SQLITE_LOCKED": "another program keeps {its} file locked",
    "SQLITE_FULL": "there is no room left for {it}",
    "SQLITE_READONLY": "{its} file cannot be written",
    "SQLITE_IOERR": "{its} file could not be read or written",
    "SQLITE_CANTOPEN": "{its} file cannot be opened",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept in a database, as errors speak of it ("the ledger"), and which errors those are.

    `contended` is raised where somebody else was first and nothing was written; `rights` says what a user needs.
    """

    it: str
    failed: type[BursarError]
    unavailable: type[BursarError]
    damaged: type[BursarError]
    contended: type[BursarError]
    rights: str

    @property
    def its(self) -> str:
        """The genitive: "the ledger's"."""
        return f"{self.it}'s"

    def out_of_turn(self) -> BursarError:
        """Return the error of whoever came second."""
        return self.contended(f"somebody else wrote {self.it} first", hint="read it again")


@contextmanager
def spoken_of(kept: Kept) -> Iterator[None]:
    """Raise a database's errors as those of what is kept in it, without its words."""
    try:
        yield
    except SQLAlchemyError as error:  # its message has statements and texts
        raise meaning(error, kept) from None
    except UnicodeEncodeError:  # the drivers' own, before anything is sent
        raise kept.failed(
            f"a text for {kept.it} is not Unicode", hint="half a surrogate pair is in it"
        ) from None


def meaning(error: SQLAlchemyError, kept: Kept) -> BursarError:
    """Return our error for one of the database's that came before a commit: nothing was written."""
    if isinstance(error, DBAPIError):
        if name := _sqlite_name(error):
            return _of_sqlite(name, kept)
        if state := _state(error):
            return _of_state(state, kept)
    if isinstance(error, NoConnectionLeft):
        return kept.unavailable(f"all connections to {kept.its} database are in use")
    return _of_class(error, kept)


def was_undone(error: DBAPIError) -> bool:
    """Tell whether the server said, of a commit that failed, that it undid it; otherwise nobody knows."""
    state = _state(error)
    return state.startswith(_UNDONE) and state != _UNSURE


def _of_class(error: SQLAlchemyError, kept: Kept) -> BursarError:
    if isinstance(error, DataError):
        return kept.failed(
            f"a text for {kept.it} is not one this database can keep",
            hint="PostgreSQL takes no NUL",
        )
    if isinstance(error, OperationalError | InterfaceError):
        return kept.unavailable(
            f"{kept.its} database could not be reached",
            hint="check the host, the database, the user and the password in its URL",
        )
    return kept.failed(f"{kept.its} database failed ({type(error).__name__})")


def _of_sqlite(name: str, kept: Kept) -> BursarError:
    kind = "_".join(name.split("_")[:2])
    if kind in _SQLITE:
        return kept.unavailable(
            _SQLITE[kind].format(it=kept.it, its=kept.its),
            hint="check the disk, the permissions, other programs",
        )
    if kind in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
        return kept.damaged(f"{kept.its} file is not a database, or is damaged")
    return kept.failed(f"{kept.its} database failed ({name})")


def _of_state(state: str, kept: Kept) -> BursarError:
    if state in _OTHERS_FIRST:
        return kept.out_of_turn()
    if state in _DENIED:
        return kept.failed(f"the database does not let this user at {kept.it}", hint=kept.rights)
    if state in _NO_TABLE:
        return kept.failed(f"{kept.its} table is not there", hint="opening it makes it")
    if state.startswith(_PASSING):
        return kept.unavailable(f"{kept.its} database is not available ({state})")
    return kept.failed(f"{kept.its} database refused ({state})")


def _sqlite_name(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlite_errorname", None) or "")


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
