# pragma version ==0.4.3
# An ERC-4337 paymaster that pays the gas of every user operation, as Crossmint's staging sponsor does.
# Its deposit in the EntryPoint is local play money.

struct PackedUserOperation:
    sender: address
    nonce: uint256
    initCode: Bytes[4096]
    callData: Bytes[32768]
    accountGasLimits: bytes32
    preVerificationGas: uint256
    gasFees: bytes32
    paymasterAndData: Bytes[1024]
    signature: Bytes[1024]

ENTRY_POINT: immutable(address)


@deploy
def __init__(entryPoint: address):
    ENTRY_POINT = entryPoint


@external
@view
def validatePaymasterUserOp(
    userOp: PackedUserOperation, userOpHash: bytes32, maxCost: uint256
) -> (Bytes[32], uint256):
    assert msg.sender == ENTRY_POINT, "not the EntryPoint"
    return b"", 0
