"""The review runs in the signing function: bursar's core and the two compiled packages, nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import bursar.review

FOLDER = Path(bursar.review.__file__).parent


def test_the_review_imports_nothing_that_signing_does_not() -> None:
    code = (
        "import sys, bursar.chains.evm; before = set(sys.modules)\n"
        "import bursar.review.transaction, bursar.review.signatures\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if not name.startswith("bursar.")] == []


def test_no_module_is_imported_that_could_do_io_or_is_not_the_core() -> None:
    allowed = {"bursar.review", "bursar.chains", "bursar.amounts", "bursar.errors"}
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                top = ".".join(node.module.split(".")[:2])
                assert top in allowed or node.module.split(".")[0] in sys.stdlib_module_names, path
                assert node.module not in ("os", "time", "logging", "socket", "re"), path
