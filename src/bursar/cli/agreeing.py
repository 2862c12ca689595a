"""Who else has to agree to a payout, by the settings' policy: asked before it begins, and as it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.cli import connect
from bursar.cli import office as offices
from bursar.cli.foreseeing import caller
from bursar.cli.shell import Shell
from bursar.errors import AwsError, ConfigError, PayoutError
from bursar.payouts.agreement import Agreement, Subject, of_plan, of_transfers
from bursar.payouts.outcome import require_planned

if TYPE_CHECKING:
    from bursar.payouts.book import Beginning, Payout, PayoutBook
    from bursar.payouts.plan import Plan
    from bursar.transfers.record import Transfer


def beginning(shell: Shell, plan: Plan, name: str, batch: int) -> Beginning:
    """Return how a payout is begun: by whom, as AWS knows them, and how many others have to agree first.

    Raises:
        AwsError: others have to agree, and AWS does not say who begins it.
    """
    from bursar.payouts.book import Beginning

    rules = connect.rulebook(shell)
    if rules is None:
        return Beginning(name, offices.somebody(), batch)
    try:
        by, unknown = caller(shell), None
    except AwsError as problem:
        by, unknown = offices.somebody(), problem
    subject = Subject(plan.hash, plan.chain, by)
    agreement = Agreement(rules.policy, subject, of_plan(plan, batch))
    if agreement.approvers and unknown is not None:
        raise unknown
    return Beginning(name, by, batch, agreement.approvers, agreement.named)


def batch_size(shell: Shell, wanted: int) -> int:
    """Return how many lines go into one transaction: what is wanted, or what the settings' policy allows."""
    rules = connect.rulebook(shell)
    most = wanted if rules is None else min(wanted, rules.policy.calls_at_most)
    if most < wanted:
        shell.say(f"batches of {most}: the policy's calls_at_most")
    return most


def recounted(shell: Shell, book: PayoutBook, payout: Payout) -> Payout:
    """Count by the present policy who has to agree to a payout, and return it as it stands then.

    Raises:
        PayoutError: others still have to agree; the hint says how.
    """
    from bursar.payouts.book import WAITING

    agreement = _agreement(shell, book, payout)
    found = payout if agreement is None else book.recount(payout, agreement)
    if found.state == WAITING:
        raise PayoutError(
            f"payout {found.id} waits for {found.approvals_missing} more to agree to its plan",
            hint=f"they do with: bursar payout approve {found.id}; then do this again",
        )
    return found


def agreed(shell: Shell, book: PayoutBook, payout: Payout) -> Payout:
    """Write down that whoever this is, by AWS's word, agrees to a payout.

    Raises:
        ConfigError: no policy says who may.
        PayoutError, PolicyViolation: as `PayoutBook.approve`.
    """
    agreement = _agreement(shell, book, payout)
    if agreement is None:
        raise ConfigError(
            "nothing says who may agree to a payout: the settings name no policy",
            hint="set [policy] file to the policy that the treasury's key goes by",
        )
    return book.approve(payout, caller(shell), agreement)


def _agreement(shell: Shell, book: PayoutBook, payout: Payout) -> Agreement | None:
    """Return what the present policy asks of others, for what of a payout is not over."""
    rules = connect.rulebook(shell)
    if rules is None:
        return None
    # Without a rule nothing is asked, whatever is paid: a long payout need not be read.
    transfers: list[Transfer] = []
    if rules.policy.approvals:
        transfers = list(book.transfers(payout))
        require_planned(payout, transfers, connect.reading(shell))
    transactions = of_transfers(transfers, connect.reading(shell))
    subject = Subject(payout.hash, str(payout.header["chain"]), payout.began_by)
    return Agreement(rules.policy, subject, transactions)
