"""What is asked of dbos besides driving: how many wait in a wallet's queue, and to forget what has ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL

from bursar.sql import engine as sql
from bursar.sql.faults import spoken_of
from bursar.transfers.journal import JOURNAL

WORKFLOW_VERSION: Final = "1"
# What dbos calls the workflow of a turn.
WORKFLOW: Final = "transfer"
ENGINE: Final = replace(JOURNAL, it="the workflow engine")
# How many that have ended are deleted at once: a worker that looks every five seconds ends fewer meanwhile.
_SOME: Final = 200


def queue_of(treasury: str) -> str:
    """Return the queue of a wallet's transfers: a worker takes those it has the signer for."""
    return f"transfers:{treasury}"


def queued(treasury: str, most: int) -> int:
    """Return how many transfers wait in a wallet's queue for a worker that is free, counted up to `most`.

    Raises:
        JournalUnavailable: they could not be counted.
    """
    from dbos import DBOS

    with spoken_of(ENGINE):
        found = DBOS.list_workflows(
            queue_name=queue_of(treasury),
            status="ENQUEUED",
            app_version=WORKFLOW_VERSION,
            limit=most,
            load_input=False,
            load_output=False,
        )
    return len(found)


def forget_ended() -> int:
    """Delete what dbos keeps of turns that have ended, a few hundred at most; return how many that were.

    All that is to be known is in the journal. Begun again by mistake, a turn that has ended does nothing.

    Raises:
        JournalUnavailable: they could not be deleted.
    """
    from dbos import DBOS

    with spoken_of(ENGINE):
        ended = DBOS.list_workflows(
            name=WORKFLOW,
            status=["SUCCESS", "ERROR"],
            limit=_SOME,
            load_input=False,
            load_output=False,
        )
        if ended:
            DBOS.delete_workflows([each.workflow_id for each in ended])
    return len(ended)


def engine_url(url: URL) -> str:
    """Return where dbos keeps its own tables: in the journal's PostgreSQL, or in a file beside the journal's."""
    if url.get_backend_name() != "sqlite":
        return url.render_as_string(hide_password=False)
    beside = Path(str(url.database)).with_suffix(".workflows.sqlite3")
    sql.make_private(beside, JOURNAL)
    return f"sqlite:///{beside}"
