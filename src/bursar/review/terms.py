"""Which contracts a review knows, and what it accepts beyond a plain call. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bursar.chains.evm import parse_address

# Kernel's meta factory (FactoryStaker), and the account factories of Kernel 0.3.1, 0.3.2 and 0.3.3, at the same
# addresses on every chain. Sources: ZeroDev's SDK constants (KernelVersionToAddressesMap); the meta factory, 0.3.1
# and 0.3.3 are those in Crossmint's captured answers of 2025.
_META_FACTORIES: Final = frozenset({"0xd703aaE79538628d27099B8c4f621bE4CCd142d5"})
_FACTORIES: Final = frozenset(
    {
        "0xaac5D4240AF87249B3f71BC8E4A2cae074A3E419",
        "0x7a1dBAB750f12a90EB1B60D2Ae3aD17D4D81EfFe",
        "0x2577507b78c2008Ff367261CB6285d44ba5eF2E9",
    }
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a review takes for granted; the default is what Crossmint's own wallets need.

    `factories` are the contracts that may give a wallet its code, `meta_factories` those that call one of them.
    `delegatecall` lets other code run as the wallet: it may then do anything, whatever the review shows.

    Raises:
        AddressError: a factory is no address.
    """

    factories: frozenset[str] = _FACTORIES
    meta_factories: frozenset[str] = _META_FACTORIES
    delegatecall: bool = False

    def __post_init__(self) -> None:
        for name in ("factories", "meta_factories"):
            plain = frozenset(parse_address(each) for each in getattr(self, name))
            object.__setattr__(self, name, plain)


DEFAULT_TERMS: Final = Terms()
