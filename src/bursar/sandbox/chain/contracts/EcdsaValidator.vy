# pragma version ==0.4.3
# An ERC-7579 validator (module type 1): an account's user operations are valid when its owner signed them.
#
# It accepts what Kernel's own ECDSA validator accepts, the ERC-4337 hash signed raw or under EIP-191, and
# refuses two things that one lets through: a high s (EIP-2) and the zero owner, which a failed ecrecover would match.
# Operational signers are kept here as well, set by calls from the account itself.

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

event SignerAdded:
    account: indexed(address)
    signer: indexed(address)

event SignerRemoved:
    account: indexed(address)
    signer: indexed(address)

VALID: constant(uint256) = 0
INVALID: constant(uint256) = 1
VALIDATOR_MODULE: constant(uint256) = 1
ERC1271_VALID: constant(bytes4) = 0x1626ba7e
ERC1271_INVALID: constant(bytes4) = 0xffffffff
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168

ownerOf: public(HashMap[address, address])
isSigner: public(HashMap[address, HashMap[address, bool]])


@external
@payable
def onInstall(data: Bytes[20]):
    assert self.ownerOf[msg.sender] == empty(address), "already installed"
    owner: address = convert(slice(data, 0, 20), address)
    assert owner != empty(address), "zero owner"
    self.ownerOf[msg.sender] = owner


@external
@payable
def onUninstall(data: Bytes[20]):
    self.ownerOf[msg.sender] = empty(address)


@external
def addSigner(signer: address):
    assert signer != empty(address), "zero signer"
    self.isSigner[msg.sender][signer] = True
    log SignerAdded(account=msg.sender, signer=signer)


@external
def removeSigner(signer: address):
    self.isSigner[msg.sender][signer] = False
    log SignerRemoved(account=msg.sender, signer=signer)


@external
@view
def isModuleType(moduleType: uint256) -> bool:
    return moduleType == VALIDATOR_MODULE


@external
@view
def isInitialized(account: address) -> bool:
    return self.ownerOf[account] != empty(address)


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
    if len(signature) != 65:
        return False
    r: bytes32 = extract32(signature, 0)
    s: bytes32 = extract32(signature, 32)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    if convert(s, uint256) > HALF_ORDER:
        return False
    prefixed: bytes32 = keccak256(concat(b"\x19Ethereum Signed Message:\n32", digest))
    return self._may_sign(account, ecrecover(digest, v, r, s)) or self._may_sign(account, ecrecover(prefixed, v, r, s))


@internal
@view
def _may_sign(account: address, signer: address) -> bool:
    # ecrecover answers the zero address when it fails, so the zero address may never sign.
    if signer == empty(address):
        return False
    return signer == self.ownerOf[account] or self.isSigner[account][signer]
