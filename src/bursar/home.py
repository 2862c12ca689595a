"""Where bursar keeps what it fetches and makes on this machine: tools, wheels, sandboxes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_PACKAGE = Path(__file__).parent


def home(environ: Mapping[str, str] | None = None, package: Path = _PACKAGE) -> Path:
    """Return `BURSAR_HOME`, or the checkout's `.bursar`, or else the user's data folder for bursar.

    The checkout's is meant where `package` is run from one (`<root>/src/bursar` beside `<root>/pyproject.toml`)
    that has been set up, so that a new shell finds what `make setup` installed. The folder need not exist yet.
    """
    environ = os.environ if environ is None else environ
    if named := environ.get("BURSAR_HOME"):
        return Path(named).expanduser().absolute()
    source = package.absolute().parent
    kept = source.parent / ".bursar"
    if source.name == "src" and (source.parent / "pyproject.toml").is_file() and kept.is_dir():
        return kept
    from platformdirs import user_data_path

    return user_data_path("bursar", appauthor=False)
