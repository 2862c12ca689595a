"""Pay out of an on-chain treasury whose signing key never leaves AWS KMS.

```python
from bursar import KmsClient, KmsSigner, Scheme

with KmsClient.from_environment() as kms:                     # credentials and Region as the AWS CLI finds them
    signer = KmsSigner.open(kms, "alias/treasury")            # one kms:GetPublicKey; the key's ARN is pinned
    print(signer.address)                                     # 0x… checksummed
    signed = signer.sign_hash(message_hash, Scheme.EIP191)    # one kms:Sign; verified before it is returned
    print(signed.signature.to_hex())                          # 65 bytes: r, s, v
```

Everything here is loaded when first used, so `import bursar` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bursar.version import VERSION as __version__  # noqa: N811  packages spell it so

if TYPE_CHECKING:
    from bursar.chains.evm import PublicKey, Scheme, Signature
    from bursar.errors import BursarError
    from bursar.kms.client import KmsClient
    from bursar.signer import KmsSigner, SignedHash, Signer

__all__ = [
    "BursarError",
    "KmsClient",
    "KmsSigner",
    "PublicKey",
    "Scheme",
    "Signature",
    "SignedHash",
    "Signer",
    "__version__",
]

_HOMES = {
    "BursarError": "bursar.errors",
    "KmsClient": "bursar.kms.client",
    "KmsSigner": "bursar.signer",
    "PublicKey": "bursar.chains.evm",
    "Scheme": "bursar.chains.evm",
    "Signature": "bursar.chains.evm",
    "SignedHash": "bursar.signer",
    "Signer": "bursar.signer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bursar' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
