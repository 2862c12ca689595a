"""Where the sandbox keeps its tools and its state."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def home(environ: Mapping[str, str] | None = None) -> Path:
    """Return `BURSAR_HOME`, or the user's data folder for bursar. It need not exist yet."""
    environ = os.environ if environ is None else environ
    if named := environ.get("BURSAR_HOME"):
        return Path(named).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("bursar", appauthor=False)
