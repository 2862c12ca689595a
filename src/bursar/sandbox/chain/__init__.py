"""The sandbox's own chain: anvil, with the contracts a Crossmint treasury wallet runs on.

EntryPoint v0.7 sits at its canonical address, accounts are Kernel 0.3.1, their root validator and the 6-decimal
token are ours (`contracts/*.vy`). The packing and hashing of user operations here is written apart from bursar's
own, so that each checks the other and both are checked by `EntryPoint.getUserOpHash`.
"""

from bursar.sandbox.chain.anvil import BASE_SEPOLIA_CHAIN_ID, Anvil, anvil_command
from bursar.sandbox.chain.deploy import Artifacts, Contracts, deploy_contracts
from bursar.sandbox.chain.rpc import Rpc, RpcError
from bursar.sandbox.chain.token import Token

__all__ = [
    "BASE_SEPOLIA_CHAIN_ID",
    "Anvil",
    "Artifacts",
    "Contracts",
    "Rpc",
    "RpcError",
    "Token",
    "anvil_command",
    "deploy_contracts",
]
