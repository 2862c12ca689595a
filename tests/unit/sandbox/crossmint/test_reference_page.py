from __future__ import annotations

from pathlib import Path
from typing import get_args

from bursar.sandbox.crossmint import compliance
from bursar.sandbox.crossmint.app import OPERATIONS
from bursar.sandbox.crossmint.config import ALL_SCOPES, StandInConfig
from bursar.sandbox.crossmint.faults import Fault, Tamper

PAGE = (Path(__file__).parents[4] / "docs/reference/sandbox-crossmint.md").read_text()


def test_the_page_lists_every_operation_with_its_scope() -> None:
    rows = {
        line.split("|")[1].strip(" `"): line for line in PAGE.splitlines() if line.startswith("| `")
    }
    for operation in OPERATIONS:
        assert f"`{operation.scope}` |" in rows[operation.name]
        assert f"`{operation.method} " in rows[operation.name]
        assert operation.scope in ALL_SCOPES


def test_the_page_names_every_person_address_country_and_fault() -> None:
    people = (
        compliance.SANCTIONED_PERSON,
        compliance.PERSON_OF_SANCTIONED_WALLETS,
        compliance.PENDING_PERSON,
    )
    kinds = get_args(Fault.model_fields["kind"].annotation)
    names = (*people, *compliance.SANCTIONED_ADDRESSES, *compliance.UNSUPPORTED_COUNTRIES)
    missing = [
        name
        for name in (*names, *kinds, *get_args(Tamper), *StandInConfig.model_fields)
        if name not in PAGE
    ]
    assert missing == []
