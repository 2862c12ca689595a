"""The recipe: pin a key once, then turn each hash into a proved signature with one KMS call.

```
with KmsClient.from_environment() as kms:
    signer = KmsSigner.open(kms, "alias/treasury")
    signed = signer.sign_hash(message_hash, Scheme.EIP191)
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

from bursar.chains import evm
from bursar.chains.evm import KmsSignRequest, PublicKey, Scheme, Signature
from bursar.errors import KmsWrongUsage, SignatureError, SignerMismatch
from bursar.kms.wire import KmsPublicKey, KmsSignature


class KmsDataPlane(Protocol):
    """The two calls a signer makes. `bursar.kms.KmsClient` is the real one."""

    def get_public_key(self, key_id: str) -> KmsPublicKey:
        """Return the public key of a key named by id, ARN, alias or alias ARN (`kms:GetPublicKey`)."""
        ...

    def sign(self, key_arn: str, request: KmsSignRequest) -> KmsSignature:
        """Ask KMS to sign, once logically, retries included (`kms:Sign`)."""
        ...


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """The key a signer is bound to: by ARN, never by alias, so that an alias that moves changes nothing."""

    key_arn: str
    public_key: PublicKey

    @property
    def address(self) -> str:
        """The account this key controls, checksummed."""
        return self.public_key.address


@dataclass(frozen=True, slots=True)
class SignedHash:
    """A proved signature, what it is over, and who made it.

    `request_id` is KMS's id of the call. `unanswered` attempts before it may have reached KMS and got no answer:
    each may be one more signature in CloudTrail.
    """

    signature: Signature
    digest: bytes
    address: str
    request_id: str
    unanswered: int = 0


class Signer(Protocol):
    """Anything that signs a 32-byte hash for one address: in process, behind the API, in a test."""

    @property
    def address(self) -> str:
        """The account whose signatures these are, checksummed."""
        ...

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        """Sign 32 bytes under the named scheme. It does not hash, review or judge them."""
        ...


class KmsSigner:
    """Signs with one KMS key, pinned when the signer is built.

    It does not review what a hash stands for: that is the caller's duty, and the API's when it is in front.
    """

    def __init__(self, kms: KmsDataPlane, key: PinnedKey) -> None:
        self._kms = kms
        self.key = key

    @classmethod
    def open(cls, kms: KmsDataPlane, key_id: str, *, expected_address: str | None = None) -> Self:
        """Resolve a key once and pin it. One `kms:GetPublicKey` call.

        `key_id` is a key id, key ARN, alias name or alias ARN; across accounts it must be an ARN.

        Raises:
            KmsWrongUsage: not an ECC_SECG_P256K1 key for SIGN_VERIFY.
            SignerMismatch: the key's address is not `expected_address`.
            PublicKeyError: KMS's public key cannot be read.
            KmsError: KMS refused or could not be reached.
        """
        key = pin(kms.get_public_key(key_id))
        if expected_address and not evm.same_address(key.address, expected_address):
            raise SignerMismatch(
                f"{key_id} is the key of {key.address}, not of {evm.parse_address(expected_address)}",
                hint="the alias may have been moved to another key; name the key by its ARN",
            )
        return cls(kms, key)

    @property
    def address(self) -> str:
        """The account this signer signs for, checksummed."""
        return self.key.address

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        """Return a signature over 32 bytes, verified under the pinned key. One `kms:Sign` call.

        Raises:
            DigestError: not 32 bytes, or to be signed raw and zero; KMS was not called.
            SignatureError: KMS's answer is malformed, or by another key; nothing is released.
            KmsError: KMS refused or could not be reached.
        """
        digest = evm.digest_of(message_hash, scheme)
        answer = self._kms.sign(self.key.key_arn, evm.kms_request(digest))
        if answer.key_arn != self.key.key_arn:
            raise SignatureError(
                f"KMS signed with {answer.key_arn}, not with the pinned {self.key.key_arn}"
            )
        signature = evm.signature_from_kms(answer.der, digest, self.key.public_key)
        return SignedHash(signature, digest, self.address, answer.request_id, answer.unanswered)


def pin(answer: KmsPublicKey) -> PinnedKey:
    """Return the key to pin from KMS's GetPublicKey answer.

    Raises:
        KmsWrongUsage: the key is not ECC_SECG_P256K1 for SIGN_VERIFY.
        PublicKeyError: its SubjectPublicKeyInfo cannot be read.
    """
    if answer.key_spec != evm.KMS_KEY_SPEC or answer.key_usage != "SIGN_VERIFY":
        raise KmsWrongUsage(
            f"the key is {answer.key_spec} for {answer.key_usage}; "
            f"an EVM signer needs {evm.KMS_KEY_SPEC} for SIGN_VERIFY",
            hint="create one with: bursar key create",
        )
    return PinnedKey(answer.key_arn, evm.parse_spki_der(answer.spki_der))
