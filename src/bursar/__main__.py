"""The door: `bursar` and `python -m bursar`. It opens even where an extra is not installed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        from bursar.cli.main import run

        sys.exit(run())
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "bursar":
            raise
        sys.stderr.write(
            f"error: the bursar command needs {missing.name}, which is not installed\n"
            "hint: install bursar with its extra for the command line, as in: pip install 'bursar[cli]'\n"
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
