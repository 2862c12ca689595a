"""An eth-account account whose private key nobody has, so that web3.py works unchanged.

```python
from bursar.accounts import SignerAccount
from web3.middleware import SignAndSendRawMiddlewareBuilder

account = SignerAccount(KmsSigner.open(kms, "alias/treasury"))
w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
w3.eth.send_transaction({"from": account.address, "to": recipient, "value": 10**15})
```

Transactions are read strictly and encoded by `bursar.chains.transactions`, and signed with one call of the signer;
the signature is checked once more against the account's address before anything is returned.
What comes back equals what eth-account's own `Account` would give for the same key. Two differences are meant: the
`hash` of a blob transaction with its sidecar is the hash the chain knows it by, and input that eth-account would
coerce or complete in silence is refused.

Needs the `web3` extra. Importing this module imports eth-account, about 0.7 s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, cast

from eth_account.datastructures import (
    SignedMessage,
    SignedSetCodeAuthorization,
    SignedTransaction,
)
from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_account.typed_transactions.base import Blob, BlobPooledTransactionData
from eth_account.types import Blobs
from eth_keys.datatypes import Signature as EthKeysSignature
from eth_typing import ChecksumAddress
from hexbytes import HexBytes

from bursar.chains import evm, transactions
from bursar.chains.evm import Scheme, Signature
from bursar.errors import (
    BursarError,
    DigestError,
    InputError,
    SignerMismatch,
    TransactionError,
    UnsupportedOperation,
)
from bursar.signer import Signer

_SIDECAR_VERSION = 1  # EIP-7594: cell proofs


class SignerAccount(LocalAccount):
    """An eth-account `LocalAccount` over any `bursar.signer.Signer`: KMS in process, the deployed signer, a test.

    Each signature is one `sign_hash` call with the raw scheme: one `kms:Sign` behind a `KmsSigner`. Calls
    block; in an event loop run them with `asyncio.to_thread`. Bad input raises before the signer is asked.
    It does not judge what a transaction pays, and a signer that refuses bare hashes refuses these calls too.

    Two accounts are equal when they are of this class and of the same address.
    """

    def __init__(self, signer: Signer) -> None:
        # LocalAccount.__init__ wants the private key, so it is not called: there is none, not even a made-up one.
        self._signer = signer
        self._address = cast("ChecksumAddress", evm.parse_address(signer.address))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address!r})"

    @property
    def key(self) -> bytes:
        """Refuse: the private key never leaves KMS.

        Raises:
            UnsupportedOperation: always; so does `bytes(account)`.
        """
        _refuse_key()

    def encrypt(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Refuse: there is no private key to write to a keyfile.

        Raises:
            UnsupportedOperation: always.
        """
        _refuse_key()

    def __getattr__(self, name: str) -> Any:
        if name in {"_key_obj", "_private_key", "private_key", "privateKey"}:
            _refuse_key()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def unsafe_sign_hash(self, message_hash: bytes | str) -> SignedMessage:
        """Sign 32 bytes, or 0x and 64 hex digits, as they are. One signer call.

        Nothing is hashed, prefixed or looked at: the hash may be any transaction of this account. Prefer
        `sign_message` (EIP-191), `sign_typed_data` or `sign_transaction`, which know what they sign.

        Raises:
            DigestError: not 32 bytes, or text in another form; nothing was signed.
            SignatureError: what the signer gave is not this account's signature.
        """
        if isinstance(message_hash, str) and message_hash[:2] in {"0x", "0X"}:
            return self._sign_digest(evm.parse_hash(message_hash))
        if not isinstance(message_hash, bytes | bytearray):
            raise DigestError(
                "a hash is 32 bytes, or text of 0x and 64 hex digits",
                hint="to sign a message, use sign_message(encode_defunct(text=…))",
            )
        return self._sign_digest(bytes(message_hash))

    def sign_message(self, signable_message: SignableMessage) -> SignedMessage:
        """Sign an EIP-191 message made by `eth_account.messages.encode_…`. It hashes once; one signer call.

        Raises:
            DigestError: not a SignableMessage of bytes; nothing was signed.
            SignatureError: what the signer gave is not this account's signature.
        """
        return self._sign_digest(_message_digest(signable_message))

    def sign_typed_data(
        self,
        domain_data: dict[str, Any] | None = None,
        message_types: dict[str, Any] | None = None,
        message_data: dict[str, Any] | None = None,
        full_message: dict[str, Any] | None = None,
    ) -> SignedMessage:
        """Sign EIP-712 data, given as three parts or as one full message. One signer call.

        Values are encoded by eth-account's rules, which are wider than EIP-712's: a string for a `bytes` field is
        its hex or its UTF-8, keys that no type names are left out. A float is refused wherever it stands.

        Raises:
            DigestError: the data does not encode under its types; nothing was signed.
            SignatureError: what the signer gave is not this account's signature.
        """
        parts = (domain_data, message_types, message_data, full_message)
        with _as(DigestError, "the typed data cannot be encoded"):
            _refuse_floats(parts)
            message = encode_typed_data(*parts)
        return self._sign_digest(_message_digest(message))

    def sign_transaction(
        self, transaction_dict: Mapping[str, Any], blobs: Blobs | None = None
    ) -> SignedTransaction:
        """Sign a transaction of type 0 (EIP-155), 1 (EIP-2930), 2 (EIP-1559), 3 (EIP-4844) or 4 (EIP-7702).

        Integers or 0x hex for quantities, wei for amounts; `type` may be left out where the fields tell it;
        a matching `from` is accepted and left out. `chainId` is demanded. Blobs (131,072 bytes each, at most 6)
        make the network form with its sidecar, several seconds of work; without them the canonical form is made
        from `blobVersionedHashes`. Fees, nonce and gas are not looked up: web3.py fills them. One signer call.

        Raises:
            TransactionError: a field is missing, unknown or malformed; nothing was signed.
            SignerMismatch: `from` is another account; nothing was signed.
            SignatureError: what the signer gave is not this account's signature.
        """
        fields = self._own(transaction_dict)
        sidecar = [] if blobs is None else _sidecar(fields, blobs)
        return self._sign_unsigned(transactions.read_transaction(fields), sidecar)

    def unsafe_sign_replayable_transaction(
        self, transaction_dict: Mapping[str, Any]
    ) -> SignedTransaction:
        """Sign a legacy transaction that names no chain, as before EIP-155. One signer call.

        Anyone may send it on every chain where the account has this nonce. Its one honest use is deploying a
        contract at the same address everywhere from an account that holds nothing else.

        Raises:
            TransactionError: it names a chain, or is not a valid legacy transaction; nothing was signed.
            SignerMismatch: `from` is another account; nothing was signed.
            SignatureError: what the signer gave is not this account's signature.
        """
        fields = self._own(transaction_dict)
        return self._sign_unsigned(transactions.read_transaction(fields, replayable=True), [])

    def sign_authorization(  # type: ignore[override]  # eth-account annotates SignedMessage and returns this
        self, authorization: Mapping[str, Any]
    ) -> SignedSetCodeAuthorization:
        """Sign an EIP-7702 authorization `{chainId, address, nonce}`: let this account run that contract's code.

        The code at `address` can then move everything the account holds, until another authorization replaces it.
        `chainId` 0 means every chain and must be asked for by name. Where this account also sends the
        transaction that carries the authorization, `nonce` is the transaction's nonce plus one, because sending
        raises the nonce first. One signer call.

        Raises:
            TransactionError: a field is missing, unknown or malformed; nothing was signed.
            SignatureError: what the signer gave is not this account's signature.
        """
        unsigned = transactions.read_authorization(authorization)
        digest = unsigned.digest()
        signature = self._sign(digest)
        vrs = (signature.recovery_id, signature.r, signature.s)
        return SignedSetCodeAuthorization(
            chain_id=unsigned.chain_id,
            address=unsigned.address,
            nonce=unsigned.nonce,
            y_parity=signature.recovery_id,
            r=signature.r,
            s=signature.s,
            signature=EthKeysSignature(vrs=vrs),
            authorization_hash=HexBytes(digest),
        )

    def _own(self, transaction: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(transaction, Mapping):
            raise TransactionError("a transaction is a dict of its fields")
        fields = dict(transaction)
        if "from" in fields:
            sender = evm.checksum_address(transactions.read_address("from", fields.pop("from")))
            if sender != self._address:
                raise SignerMismatch(
                    f"the transaction is from {sender}, and this account is {self._address}"
                )
        return _plain(fields)

    def _sign_unsigned(
        self, unsigned: transactions.UnsignedTransaction, sidecar: list[Any]
    ) -> SignedTransaction:
        signature = self._sign(unsigned.digest())
        signed = unsigned.signed(signature, sidecar)
        return SignedTransaction(
            raw_transaction=HexBytes(signed.raw),
            hash=HexBytes(signed.hash),
            r=signature.r,
            s=signature.s,
            v=signed.v,
        )

    def _sign(self, digest: bytes) -> Signature:
        signed = self._signer.sign_hash(digest, Scheme.RAW)
        return evm.parse_signature(signed.signature.to_bytes(), digest, self._address)

    def _sign_digest(self, digest: bytes) -> SignedMessage:
        evm.require_32_bytes(digest)
        signature = self._sign(digest)
        return SignedMessage(
            message_hash=HexBytes(digest),
            r=signature.r,
            s=signature.s,
            v=signature.v,
            signature=HexBytes(signature.to_bytes()),
        )


def _refuse_key() -> NoReturn:
    raise UnsupportedOperation(
        "this account has no private key to give: the key is generated in KMS and never leaves it",
        hint="sign with the account itself; to move funds elsewhere, send a transaction",
    )


@contextmanager
def _as(error: type[InputError], what: str) -> Iterator[None]:
    """Turn whatever a library raises on bad input into our error, with one line of its reason."""
    try:
        yield
    except BursarError:
        raise
    except Exception as cause:
        reason = " ".join(str(cause).split())[:200]
        raise error(f"{what}: {reason or type(cause).__name__}") from cause


def _message_digest(message: SignableMessage) -> bytes:
    if (
        not isinstance(message, SignableMessage)
        or not all(isinstance(part, bytes) for part in message)
        or len(message.version) != 1
    ):
        raise DigestError(
            "not a SignableMessage of bytes",
            hint="make one with eth_account.messages.encode_defunct(text=…)",
        )
    return evm.keccak256(b"\x19" + message.version + message.header + message.body)


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise DigestError("the typed data holds a float", hint="write amounts as integers")
    if isinstance(value, Mapping):
        _refuse_floats(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)


def _sidecar(fields: dict[str, Any], blobs: Blobs) -> list[Any]:
    """Put the blobs' versioned hashes into the fields; return what follows the body on the network (EIP-7594)."""
    if transactions.type_of(fields) != transactions.BLOB:
        raise TransactionError("only a type 3 transaction carries blobs")
    with _as(TransactionError, "the blobs cannot be committed to"):
        data = BlobPooledTransactionData(blobs=[Blob(data=HexBytes(blob)) for blob in blobs])
        hashes = [item.as_bytes() for item in data.versioned_hashes]
        given = fields.setdefault("blobVersionedHashes", hashes)
        if transactions.read_versioned_hashes(given) != hashes:
            raise TransactionError("blobVersionedHashes are not those of the blobs")
        parts = (data.blobs, data.commitments, data.cell_proofs)
        return [_SIDECAR_VERSION, *([item.as_bytes() for item in part] for part in parts)]


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    authorizations = fields.get("authorizationList")
    if isinstance(authorizations, list | tuple):
        fields["authorizationList"] = [
            item.model_dump(by_alias=True) if isinstance(item, SignedSetCodeAuthorization) else item
            for item in authorizations
        ]
    return fields
