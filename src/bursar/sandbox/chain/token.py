"""The sandbox's token, by its ERC-20 face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.chain.deploy import first_account
from bursar.sandbox.chain.rpc import Rpc

TRANSFER_TOPIC = "0x" + keccak(text="Transfer(address,address,uint256)").hex()


@dataclass(frozen=True, slots=True)
class Movement:
    """One Transfer event: amount in base units, transaction and block hex text as on the wire."""

    sender: str
    receiver: str
    units: int
    transaction: str
    block: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token contract on the local chain. Amounts are integers in base units."""

    rpc: Rpc
    address: str
    decimals: int = 6

    def balance_of(self, holder: str) -> int:
        """Return what an account holds."""
        return int.from_bytes(
            self.rpc.call(self.address, call_data("balanceOf(address)", holder)), "big"
        )

    def mint(self, receiver: str, units: int) -> str:
        """Make tokens out of nothing, as only a sandbox can; return the transaction hash."""
        data = call_data("mint(address,uint256)", receiver, units)
        receipt = self.rpc.send(self.address, data, sender=first_account(self.rpc))
        return str(receipt["transactionHash"])

    def movements(self, account: str) -> list[Movement]:
        """Return every transfer out of or into an account, oldest first."""
        topic = "0x" + account[2:].lower().rjust(64, "0")
        outgoing = self.rpc.logs(self.address, [TRANSFER_TOPIC, topic])
        incoming = self.rpc.logs(self.address, [TRANSFER_TOPIC, None, topic])
        unique = {(log["blockNumber"], log["logIndex"]): log for log in outgoing + incoming}
        ordered = sorted(
            unique.values(), key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16))
        )
        return [_movement(log) for log in ordered]


def transfer_data(receiver: str, units: int) -> bytes:
    """Return the calldata of `transfer`."""
    return call_data("transfer(address,uint256)", receiver, units)


def _movement(log: dict[str, Any]) -> Movement:
    return Movement(
        sender=to_checksum_address("0x" + log["topics"][1][-40:]),
        receiver=to_checksum_address("0x" + log["topics"][2][-40:]),
        units=int(log["data"], 16),
        transaction=log["transactionHash"],
        block=log["blockNumber"],
    )
