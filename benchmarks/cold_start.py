"""What a cold start of the signing function costs: its imports, then the first request's own, next to others.

Each is a new interpreter, all of them in turn, round after round; what is printed is the median, less the bare
interpreter's, and its ratio to the handler's imports. Without cffi, as in the function's zip.

    python benchmarks/cold_start.py --rounds 15
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

POLICY = Path(__file__).parents[1] / "docs/examples/policy.toml"
_NO_CFFI = "import sys; sys.modules['cffi'] = None\n"
_HANDLER = f"{_NO_CFFI}import bursar.aws.handler\n"
CASES = {
    "the bare interpreter": _NO_CFFI,
    "the handler's imports": _HANDLER,
    "… and the ledger's, and the policy read": (
        f"{_HANDLER}import bursar.aws.ledger_table\nfrom bursar.policy.rulebook import Rulebook\n"
        f"Rulebook.read(open({str(POLICY)!r}, 'rb').read())\n"
    ),
    "boto3's KMS client": "import boto3; boto3.client('kms', region_name='eu-central-1')\n",
    "eth-account": "import eth_account\n",
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=11)
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    times = measure(chosen.rounds)
    bare = times["the bare interpreter"]
    handler = times["the handler's imports"] - bare
    rows = {
        name: {"ms": (at - bare) * 1000, "ratio": (at - bare) / handler}
        for name, at in times.items()
    }
    if chosen.json:
        print(json.dumps(rows, indent=2))
        return
    for name, row in rows.items():
        print(f"{name:<44}{row['ms']:8.1f} ms{row['ratio']:8.2f} x")


def measure(rounds: int) -> dict[str, float]:
    """Return the median of each case in seconds."""
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, code in CASES.items():
            taken[name].append(once(code))
    return {name: statistics.median(times) for name, times in taken.items()}


def once(code: str) -> float:
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-S", "-c", code], env=environment, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
