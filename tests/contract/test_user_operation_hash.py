"""The EntryPoint contract is the judge of the review's hash: its own getUserOpHash, on the local chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from bursar.review.operation import ENTRY_POINT, read_operation
from bursar.sandbox.chain import Artifacts, Rpc, deploy_contracts
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.chain.bundler import Bundler
from bursar.sandbox.chain.deploy import first_account
from bursar.sandbox.chain.userop import PACKED_TYPE, UserOperation
from bursar.sandbox.setup import tools
from tests.user_operations import OPERATIONS

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/user_operations.json").read_text())


@pytest.fixture(scope="module")
def bundler(anvil_url: str) -> Iterator[Bundler]:
    installed = tools()
    artifacts = Artifacts(
        installed.entry_point_artifact, installed.kernel_precompiles, installed.compiled
    )
    with Rpc(anvil_url) as rpc:
        contracts = deploy_contracts(rpc, artifacts)
        assert contracts.entry_point == ENTRY_POINT
        yield Bundler(rpc, contracts.entry_point, first_account(rpc))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operation=OPERATIONS)
def test_our_hash_of_any_operation_is_the_entry_points(
    bundler: Bundler, operation: UserOperation
) -> None:
    ours = read_operation(operation.to_api()).hash(bundler.rpc.chain_id())
    assert ours == bundler.hash_on_chain(operation)


@pytest.mark.parametrize("vector", VECTORS["operations"], ids=lambda vector: vector["note"])
def test_the_vectors_are_the_entry_points(bundler: Bundler, vector: dict[str, Any]) -> None:
    # The contract knows its own chain's id only; the others' hashes come from the same function.
    chain_id = bundler.rpc.chain_id()
    operation = UserOperation.from_api(vector["userOperation"])
    found = bundler.rpc.call(
        ENTRY_POINT, call_data(f"getUserOpHash({PACKED_TYPE})", operation.packed())
    )
    assert read_operation(vector["userOperation"]).hash(chain_id) == found
    if vector["chainId"] == chain_id:
        assert "0x" + found.hex() == vector["userOperationHash"]
