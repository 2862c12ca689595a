"""Run the stand-in: `python -m bursar.sandbox.crossmint --config FILE`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bursar.errors import BursarError
from bursar.sandbox.crossmint.app import make_server
from bursar.sandbox.crossmint.config import StandInConfig


def main() -> int:
    """Serve until stopped; 1 when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m bursar.sandbox.crossmint")
    parser.add_argument("--config", type=Path, required=True, help="the configuration file (JSON)")
    try:
        make_server(StandInConfig.read(parser.parse_args().config)).run()
    except BursarError as error:
        sys.stderr.write(f"error: {error.message}\n")
        sys.stderr.write(f"hint: {error.hint}\n" if error.hint else "")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
