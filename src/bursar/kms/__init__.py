"""The only package that asks KMS to sign.

`KmsClient` is the data plane (Sign, GetPublicKey), `Keys` the control plane. Both are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bursar.kms.client import KmsClient
    from bursar.kms.keys import Keys

__all__ = ["Keys", "KmsClient"]


def __getattr__(name: str) -> Any:
    if name == "KmsClient":
        from bursar.kms.client import KmsClient

        return KmsClient
    if name == "Keys":
        from bursar.kms.keys import Keys

        return Keys
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
