"""From calls to the user operation a wallet would send: nonce, gas, sponsor, and the account's birth."""

from __future__ import annotations

from bursar.sandbox.chain import RpcError, kernel
from bursar.sandbox.chain.userop import Gas, Paymaster, UserOperation
from bursar.sandbox.crossmint.replies import Json, build_refused, transaction_error
from bursar.sandbox.crossmint.stand_in import StandIn

# The placeholder of an unsigned operation: right length, low s, nobody's.
DUMMY_SIGNATURE = bytes.fromhex("7f" * 32 + "0f" * 32 + "1c")
_MAX_PRIORITY_FEE = 10**8  # wei a gas: 0.1 gwei
# Measured with EntryPoint v0.7 and Kernel 0.3.1, and doubled.
_VERIFICATION_GAS, _DEPLOYMENT_GAS = 250_000, 500_000
_CALL_OVERHEAD_GAS, _EXECUTE_GAS = 40_000, 50_000
_PRE_VERIFICATION_GAS = 60_000
_SPONSOR_VERIFICATION_GAS, _SPONSOR_POST_OP_GAS = 60_000, 1
_SPONSOR_DATA = b"bursar sandbox sponsor"
_LANES = 2**16


def build(
    stand_in: StandIn, wallet: Json, calls: list[kernel.Call], *, simulate: bool
) -> tuple[int, UserOperation]:
    """Return the nonce lane taken and the unsigned operation.

    Each operation under way has a lane of its own in the nonce, so that several may wait for approval at once.
    All of them carry the factory while the account has no code; only the first to land can use it, others fail.

    Raises:
        ApiError: 422, execution_reverted: a call would revert as things are.
    """
    address = wallet["api"]["address"]
    call_gas = _estimate(stand_in, address, calls) if simulate else 500_000
    lane = next(n for n in range(_LANES) if str(n) not in wallet.get("lanes", {}))
    key = kernel.nonce_key(wallet["validator"], lane)
    born = bool(stand_in.rpc.code(address))
    return lane, UserOperation(
        sender=address,
        nonce=kernel.next_nonce(stand_in.rpc, stand_in.contracts.entry_point, address, key),
        call_data=kernel.execute(calls),
        gas=_gas(stand_in, call_gas, born=born),
        paymaster=Paymaster(
            stand_in.contracts.sponsor,
            _SPONSOR_VERIFICATION_GAS,
            _SPONSOR_POST_OP_GAS,
            _SPONSOR_DATA,
        ),
        factory=None if born else wallet["factory"],
        factory_data=b"" if born else bytes.fromhex(wallet["factoryData"][2:]),
        signature=DUMMY_SIGNATURE,
    )


def operation_hash(stand_in: StandIn, operation: UserOperation) -> bytes:
    """Return the ERC-4337 hash on this chain."""
    return operation.hash(stand_in.contracts.entry_point, stand_in.chain_id)


def _estimate(stand_in: StandIn, address: str, calls: list[kernel.Call]) -> int:
    total = _EXECUTE_GAS
    for call in calls:
        try:
            used = stand_in.rpc.estimate_gas(call.to, call.data, sender=address, value=call.value)
        except RpcError as refused:
            revert = {"type": "contract_call", "reason": refused.reason}
            message = f"Transaction simulation failed: {refused.reason}"
            raise build_refused(transaction_error("execution_reverted", message, revert)) from None
        total += used + _CALL_OVERHEAD_GAS
    return total


def _gas(stand_in: StandIn, call_gas: int, *, born: bool) -> Gas:
    block = stand_in.rpc.request("eth_getBlockByNumber", "latest", False)
    return Gas(
        call=call_gas,
        verification=_VERIFICATION_GAS + (0 if born else _DEPLOYMENT_GAS),
        pre_verification=_PRE_VERIFICATION_GAS,
        max_fee=2 * int(block["baseFeePerGas"], 16) + _MAX_PRIORITY_FEE,
        max_priority_fee=_MAX_PRIORITY_FEE,
    )
