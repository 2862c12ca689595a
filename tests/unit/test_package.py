from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import bursar

EXPORTS = sorted(set(bursar.__all__) - {"__version__"})
HEAVY = {
    "boto3",
    "botocore",
    "click",
    "dbos",
    "eth_account",
    "httpx2",
    "platformdirs",
    "pydantic",
    "rich",
    "sqlalchemy",
    "starlette",
    "vyper",
    "web3",
}


def loaded_by(statement: str) -> set[str]:
    """The top-level packages, outside the standard library, that a fresh interpreter loads for a statement."""
    code = (
        "import json, sys; before = set(sys.modules)\n"
        f"{statement}\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(run.stdout)) - sys.stdlib_module_names


def undocumented(name: str, item: Any) -> list[str]:
    members = vars(item).items() if inspect.isclass(item) else ()
    public = [
        (f"{name}.{member}", value)
        for member, value in members
        if not member.startswith("_")
        and (inspect.isroutine(value) or isinstance(value, property | classmethod))
    ]
    return [where for where, value in [(name, item), *public] if not inspect.getdoc(value)]


def test_importing_bursar_loads_nothing_else() -> None:
    assert loaded_by("import bursar") == {"bursar"}


def test_listing_the_package_loads_nothing_else() -> None:
    assert loaded_by("import bursar; dir(bursar); bursar.__version__") == {"bursar"}


def test_all_exports_together_load_nothing_heavy() -> None:
    assert loaded_by("from bursar import *") & HEAVY == set()


def test_the_list_of_exports_is_sorted_and_complete() -> None:
    assert bursar.__all__ == sorted(bursar.__all__)
    assert dir(bursar) == bursar.__all__
    assert sorted(bursar._HOMES) == EXPORTS


def test_type_checkers_see_the_same_exports_from_the_same_homes() -> None:
    tree = ast.parse(Path(bursar.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {
        alias.name: str(node.module)
        for node in imports
        if str(node.module).startswith("bursar.") and node.module != "bursar.version"
        for alias in node.names
    }
    assert seen == bursar._HOMES


@pytest.mark.parametrize("name", EXPORTS)
def test_each_export_is_found_at_home_and_documented(name: str) -> None:
    export = getattr(bursar, name)
    assert export.__module__ == bursar._HOMES[name]
    assert undocumented(name, export) == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Wallet'"):
        bursar.__getattr__("Wallet")


def test_the_version_is_the_distributions() -> None:
    assert bursar.__version__ == metadata.version("bursar")


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(bursar.__file__).parent / "py.typed").is_file()
