# pragma version ==0.4.3
# An ERC-7579 validator (module type 1) for m-of-n: valid when at least `threshold` members signed the same hash.
#
# The signature is the members' 65-byte signatures one after another, in ascending order of their addresses, so that
# none counts twice. Install data: one byte of threshold, then the members' addresses, 20 bytes each.

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

VALID: constant(uint256) = 0
INVALID: constant(uint256) = 1
VALIDATOR_MODULE: constant(uint256) = 1
ERC1271_VALID: constant(bytes4) = 0x1626ba7e
ERC1271_INVALID: constant(bytes4) = 0xffffffff
MAX_MEMBERS: constant(uint256) = 10
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168

thresholdOf: public(HashMap[address, uint256])
isMember: public(HashMap[address, HashMap[address, bool]])


@external
@payable
def onInstall(data: Bytes[201]):
    assert self.thresholdOf[msg.sender] == 0, "already installed"
    threshold: uint256 = convert(slice(data, 0, 1), uint256)
    members: uint256 = (len(data) - 1) // 20
    assert members * 20 + 1 == len(data) and threshold > 0 and threshold <= members, "bad quorum"
    for i: uint256 in range(members, bound=MAX_MEMBERS):
        member: address = convert(slice(data, 1 + 20 * i, 20), address)
        assert member != empty(address) and not self.isMember[msg.sender][member], "bad member"
        self.isMember[msg.sender][member] = True
    self.thresholdOf[msg.sender] = threshold


@external
@payable
def onUninstall(data: Bytes[201]):
    self.thresholdOf[msg.sender] = 0


@external
@view
def isModuleType(moduleType: uint256) -> bool:
    return moduleType == VALIDATOR_MODULE


@external
@view
def isInitialized(account: address) -> bool:
    return self.thresholdOf[account] != 0


@external
@payable
def validateUserOp(userOp: PackedUserOperation, userOpHash: bytes32) -> uint256:
    if self._signed(msg.sender, userOpHash, userOp.signature):
        return VALID
    return INVALID


@external
@view
def isValidSignatureWithSender(sender: address, digest: bytes32, signature: Bytes[1024]) -> bytes4:
    if self._signed(msg.sender, digest, signature):
        return ERC1271_VALID
    return ERC1271_INVALID


@internal
@view
def _signed(account: address, digest: bytes32, signature: Bytes[1024]) -> bool:
    count: uint256 = len(signature) // 65
    if count * 65 != len(signature) or count == 0 or count > MAX_MEMBERS or count < self.thresholdOf[account]:
        return False
    prefixed: bytes32 = keccak256(concat(b"\x19Ethereum Signed Message:\n32", digest))
    last: uint256 = 0
    for i: uint256 in range(count, bound=MAX_MEMBERS):
        r: bytes32 = extract32(signature, 65 * i)
        s: bytes32 = extract32(signature, 65 * i + 32)
        v: uint256 = convert(slice(signature, 65 * i + 64, 1), uint256)
        if convert(s, uint256) > HALF_ORDER:
            return False
        member: address = ecrecover(digest, v, r, s)
        if not self.isMember[account][member]:
            member = ecrecover(prefixed, v, r, s)
        if not self.isMember[account][member] or convert(member, uint256) <= last:
            return False
        last = convert(member, uint256)
    return self.thresholdOf[account] != 0
