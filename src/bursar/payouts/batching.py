"""Which lines of a payout are paid together in one transaction. Pure.

The journal gathers by this rule, and what is foreseen of a plan goes by it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from bursar.crossmint.locators import RecipientLocator
from bursar.transfers.intent import TransferType

T = TypeVar("T")
# How many lines are written at once: no batch reaches from one such part into the next.
CHUNK: Final = 500


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield items in the parts in which they are written."""
    left = iter(items)
    while some := list(islice(left, CHUNK)):
        yield some


def may_be_batched(kind: TransferType, recipient: RecipientLocator) -> bool:
    """Tell whether a payment can be in a batch: straight from the wallet, to an address."""
    return kind is TransferType.DIRECT and recipient.address is not None


def groups(items: Sequence[T], size: int, fits: Callable[[T], bool]) -> list[list[T]]:
    """Return those of one part's items that fit in groups of up to `size`, in order; one alone is no group."""
    if size < 2:
        return []
    fit = [each for each in items if fits(each)]
    found = [fit[start : start + size] for start in range(0, len(fit), size)]
    return [group for group in found if len(group) > 1]
