"""Whether those who are paid by regulated transfers may be: asked of whoever knows, before anything is signed.

A regulated transfer reaches only a wallet of a registered user, whom Crossmint screens. It says so itself when the
transfer is made; asking first spares a payout that stops half way. Source: Crossmint's documentation, "Regulated
transfers".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from bursar.crossmint.locators import USER_KINDS, RecipientLocator, WalletLocator
from bursar.crossmint.models import Wallet
from bursar.errors import BursarError, CrossmintNotFound
from bursar.payouts.lines import Line
from bursar.payouts.plan import Plan
from bursar.payouts.problems import Problem
from bursar.transfers.intent import TransferType

Registered = Callable[[RecipientLocator], bool | None]
Progress = Callable[[int, int], None]

# Somebody who fails so often in a row will go on failing.
_MOST_FAILURES: Final = 3
_REGISTER: Final = "register the user and give them a wallet, or pay by a direct transfer"
_LATER: Final = "ask again, or go on: Crossmint checks it when the transfer is made"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What is known of the recipients: those who cannot be paid so, and those of whom nobody can tell."""

    asked: int
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


class Wallets(Protocol):
    """The call of Crossmint's client that `registered_by` makes."""

    def get_wallet(self, wallet: WalletLocator | str) -> Wallet:
        """Return a wallet."""
        ...


def check_recipients(
    plan: Plan,
    registered: Registered,
    *,
    most: int = 1_000,
    progress: Progress = lambda _done, _all: None,
) -> Readiness:
    """Return what is known of the recipients of a plan's regulated transfers, each asked about once.

    `registered` is asked about at most `most` recipients, one after the other; it may be slow, and raise any error
    of bursar's, which leaves the recipient not known. After three errors in a row it is asked no more. `progress`
    is told after each how many were asked and how many there are to ask.
    """
    first: dict[RecipientLocator, Line] = {}
    for line in plan.lines:
        if line.type is TransferType.REGULATED:
            first.setdefault(line.recipient, line)
    problems, warnings, asked = [], [], 0
    for asked, (line, standing, why) in enumerate(
        _answers(list(first.values())[:most], registered), 1
    ):
        progress(asked, min(len(first), most))
        who = str(line.recipient)
        if standing is False:
            what = "it is no wallet of a registered user, so a regulated transfer to it is refused"
            problems.append(Problem(line.number, "recipient", who, what, _REGISTER))
        elif standing is None:
            what = f"whether the recipient is registered is not known{why}"
            warnings.append(Problem(line.number, "recipient", who, what, _LATER))
    if asked < len(first):
        what = f"{len(first) - asked} recipients were not asked about"
        warnings.append(Problem(0, "recipient", "", what, _LATER))
    return Readiness(asked, tuple(problems), tuple(warnings))


def registered_by(client: Wallets) -> Registered:
    """Return what asks Crossmint: is it, or has it, a wallet that belongs to a user? One GET each, `wallets.read`.

    A user without a wallet and an address that Crossmint does not know are not; of a wallet without an owner it is
    not known. That a user has a wallet does not say that their data is complete.
    """

    def ask(recipient: RecipientLocator) -> bool | None:
        if recipient.address is not None:
            wallet = WalletLocator(address=recipient.address)
        else:
            wallet = WalletLocator(user=recipient.user, chain_type="evm", wallet_type="smart")
        try:
            found = client.get_wallet(wallet)
        except CrossmintNotFound:
            return False
        return True if recipient.user is not None or _is_user(found.owner) else None

    return ask


def _is_user(owner: str | None) -> bool:
    return owner is not None and owner.partition(":")[0] in USER_KINDS


def _answers(lines: list[Line], registered: Registered) -> Iterator[tuple[Line, bool | None, str]]:
    """Return what was answered about each line's recipient, and why where it is not known."""
    failures = 0
    for line in lines:
        try:
            standing, why, failures = registered(line.recipient), "", 0
        except BursarError as problem:
            standing, why, failures = None, f" ({problem.message})", failures + 1
        yield line, standing, why
        if failures >= _MOST_FAILURES:
            return
