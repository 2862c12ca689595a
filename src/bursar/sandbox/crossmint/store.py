"""The stand-in's memory: JSON documents in one SQLite file, so that it survives a restart."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bursar.errors import SandboxError
from bursar.sandbox.crossmint.replies import Json, to_json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, project TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
    UNIQUE (kind, project, id)
)
"""


class Store:
    """Documents by kind, project and id, in the order they were first saved.

    One lock serialises everything: a request holds it from its first read to its commit, so requests behave as if
    they came one after another. A stand-in has no throughput to defend.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute(_SCHEMA)
        except sqlite3.Error as error:
            self._db.close()
            raise SandboxError(
                f"the stand-in cannot use {path}: {error}", hint="bursar sandbox up --fresh"
            ) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the store; commit at the end, or undo everything when the block raises."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def save(self, kind: str, project: str, key: str, body: Json) -> None:
        """Add or replace a document."""
        with self._lock:
            self._db.execute(
                "INSERT INTO documents (kind, project, id, body) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (kind, project, id) DO UPDATE SET body = excluded.body",
                (kind, project, key, to_json(body)),
            )

    def find(self, kind: str, project: str, key: str) -> Json | None:
        """Return a document, or None."""
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM documents WHERE kind = ? AND project = ? AND id = ?",
                (kind, project, key),
            ).fetchone()
        return json.loads(row[0]) if row else None

    def all(self, kind: str, project: str | None = None) -> list[Json]:
        """Return a kind's documents, of one project or of all, oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT body FROM documents WHERE kind = ? AND ? IN (project, '') ORDER BY seq",
                (kind, project or ""),
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._db.execute("DELETE FROM documents")
