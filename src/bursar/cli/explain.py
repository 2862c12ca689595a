"""What `bursar policy explain` and `simulate` look at: a waiting transaction, and what the key's ledger holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from bursar.chains.evm import Scheme
from bursar.cli import connect
from bursar.errors import BursarError, CrossmintNotFound
from bursar.ledger.receipts import Event, moment_of, read_receipt
from bursar.policy.decision import Outcome
from bursar.policy.model import Policy
from bursar.policy.principals import identity_of
from bursar.policy.proposal import Circumstances, Kind, Proposal
from bursar.policy.records import Record, proposal_of
from bursar.policy.rulebook import Rulebook
from bursar.policy.windows import windows

if TYPE_CHECKING:
    from bursar.cli.shell import Shell
    from bursar.crossmint.client import CrossmintClient
    from bursar.crossmint.locators import WalletLocator
    from bursar.ledger.pages import Seen


@dataclass(frozen=True, slots=True)
class Looked:
    """What is to be judged, in the policy's words and in a sentence, and what the ledger holds of it.

    `deployed` is the hash of the policy that the deployed signer goes by, None where that is not known.
    """

    proposal: Proposal
    sentence: str | None = None
    seen: Seen | None = None
    deployed: str | None = None

    def circumstances(self, policy: Policy, now: datetime) -> Circumstances:
        """Return the circumstances as the ledger has them."""
        if self.seen is None:
            return Circumstances(now)
        seen = replace(self.seen, now=now)
        spent = seen.spent(windows(policy, self.proposal), self.proposal.transaction or "")
        return Circumstances(now, spent, seen.first_seen)


def look(shell: Shell, rules: Rulebook, record_id: str, wallet: str | None, by: str) -> Looked:
    """Return what a transaction, or an off-chain signature, that waits for the key is about.

    Raises:
        CrossmintNotFound: the wallet has neither.
        Unverifiable, IntentMismatch, NotAwaitingApproval: as the review.
    """
    locator = connect.wallet_locator(shell, wallet)
    with connect.crossmint(shell) as client:
        address = connect.signer_address(shell, client, locator)
        sender = connect.treasury_wallet(client, locator).address
        try:
            raw = connect.transaction(client, locator, record_id).raw
        except CrossmintNotFound as missing:
            return _signature(client, locator, record_id, f"external-wallet:{address}", missing)
    from bursar.signing.case import explained, proposal_of
    from bursar.signing_contract import Caller

    found = explained(raw, f"external-wallet:{address}", sender, rules)
    digest = "0x" + found.digest(Scheme(shell.config.signer.scheme)).hex()
    proposal = proposal_of(found, Caller(by, "process"), digest, rules.policy)
    seen = _seen(shell, rules.policy, proposal)
    deployed = connect.deployed_policy(shell)
    return Looked(_with_consents(proposal, seen), found.sentence, seen, deployed)


def decided(shell: Shell) -> list[Record]:
    """Return what the key's ledger says was decided, as records to simulate with.

    Raises:
        LedgerError: it cannot be read.
    """
    return list(_records(shell))


def _records(shell: Shell) -> Iterator[Record]:
    with connect.ledger(shell) as book:
        for text in book.receipts():
            receipt, _ = read_receipt(text)
            body = receipt.body
            if receipt.event == Event.DECISION and body.get("proposal") and not body["earlier"]:
                outcome = Outcome(body["outcome"])
                yield Record(moment_of(receipt.at), proposal_of(body["proposal"]), outcome)


def _signature(
    client: CrossmintClient,
    wallet: WalletLocator,
    record_id: str,
    signer: str,
    missing: CrossmintNotFound,
) -> Looked:
    from bursar.review.signatures import review_signature

    try:
        raw = client.get_signature(wallet, record_id).raw
    except CrossmintNotFound:
        raise missing from None
    sender = client.get_wallet(wallet).address
    found = review_signature(raw, signer=signer, wallet=sender)
    return Looked(Proposal(Kind.OTHER, chain=found.chain), found.sentence)


def _seen(shell: Shell, policy: Policy, proposal: Proposal) -> Seen | None:
    """Return what the ledger holds of a proposal; None, and why, where it cannot be read."""
    from bursar.signing.case import question_of

    try:
        with connect.ledger(shell) as book:
            return book.look(question_of(proposal, policy))[0]
    except BursarError as problem:
        shell.say(f"what was spent and who consented is not known: {problem.message}")
        return None


def _with_consents(proposal: Proposal, seen: Seen | None) -> Proposal:
    if seen is None:
        return proposal
    askers = seen.operation.asked_by if seen.operation else frozenset[str]()
    counted = tuple(c for c in seen.consents if identity_of(c.principal) not in askers)
    return replace(proposal, approvals=counted)
