"""What `bursar payout plan` and `run` look at beforehand: policy, ledger, balances and recipients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bursar.amounts import to_base_units
from bursar.cli import connect
from bursar.cli import office as offices
from bursar.cli.shell import Shell
from bursar.crossmint.locators import RecipientLocator, TokenLocator, WalletLocator
from bursar.errors import AmountError, BursarError, ConfigError
from bursar.payouts.foresight import Situation, foresee
from bursar.payouts.funds import FeePayer, Fees, Need, Wanted, held_of, needs
from bursar.payouts.outlook import Outlook
from bursar.payouts.readiness import Readiness, check_recipients, registered_by
from bursar.policy.model import NATIVE_DECIMALS, address_key
from bursar.transfers.intent import TransferType

if TYPE_CHECKING:
    from bursar.crossmint.client import CrossmintClient
    from bursar.crossmint.models import Wallet
    from bursar.ledger.pages import Seen
    from bursar.payouts.foresight import Foresight
    from bursar.payouts.plan import Plan
    from bursar.payouts.problems import Problem
    from bursar.policy.model import Policy
    from bursar.policy.rulebook import Rulebook

# Crossmint allows 360 reads a minute, and one recipient is one read.
MOST_ASKED = 1_000


@dataclass(frozen=True, slots=True)
class Glance:
    """What is to be looked at: are recipients asked about, whose ARN will ask (None: you), and by which way.

    `payout` is the id that the plan would be paid under.
    """

    payout: str
    recipients: bool = True
    by: str | None = None
    via: str | None = None


@dataclass
class Watch:
    """Looks ahead for one plan, and remembers what could not be looked at."""

    shell: Shell
    plan: Plan
    glance: Glance
    left_out: list[str] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)

    def look(self) -> Outlook:
        """Return what is foreseen. Nothing is signed, reserved or recorded; what cannot be read is left out.

        Scopes: wallets.read, wallets:balance.read. Permissions: sts:GetCallerIdentity; to read the key's ledger.

        Raises:
            ConfigError: the policy or a setting is wrong.
        """
        fees = self._fees()
        readiness = self._recipients()
        with self.shell.waiting("looking at balances, and at what the policy will say"):
            needed = self._needs(fees)
            foresight = self._foresight(fees)
            known = self._taken()
        return Outlook(foresight, needed, readiness, tuple(self.left_out), known)

    def _taken(self) -> tuple[Problem, ...]:
        from bursar.payouts.taken import taken

        try:
            with offices.journal(self.shell) as journal:
                return taken(journal, self.plan, self.glance.payout)
        except BursarError as problem:
            self.left_out.append(f"whether ids were used before: {problem.message}")
            return ()

    def _recipients(self) -> Readiness | None:
        regulated = (each for each in self.plan.lines if each.type is TransferType.REGULATED)
        asked = len({each.recipient for each in regulated})
        if not asked:
            return None
        if not self.glance.recipients:
            self.left_out.append("whether recipients are registered, as you asked")
            return None
        try:
            with offices.bulk_crossmint(self.shell) as client:
                return self._ask(client, min(asked, MOST_ASKED))
        except BursarError as problem:
            self.left_out.append(f"whether recipients are registered: {problem.message}")
            return None

    def _ask(self, client: CrossmintClient, asked: int) -> Readiness:
        directory = registered_by(_Remembering(client, self.addresses))
        with self.shell.counting("asking about recipients", asked) as count:
            every = _now_and_then(count)
            return check_recipients(self.plan, directory, most=MOST_ASKED, progress=every)

    def _fees(self) -> Fees:
        text = self.shell.config.wallet.fee_each
        if text is None:
            return Fees(FeePayer.SPONSOR)
        try:
            return Fees(FeePayer.WALLET, to_base_units(text, NATIVE_DECIMALS))
        except AmountError as problem:
            raise ConfigError(
                f"wallet.fee_each: {problem.message}", hint='decimal text, like "0.0002"'
            ) from None

    def _needs(self, fees: Fees) -> tuple[Need, ...]:
        wanted = list(self._wanted(fees))
        names = [each.locator.symbol or str(each.locator) for each in wanted]
        try:
            with (
                offices.journal(self.shell) as journal,
                offices.crossmint(self.shell, journal) as client,
            ):
                found = client.balances(self.plan.wallet, tokens=names, chains=[self.plan.chain])
            held = held_of(wanted, found)
        except BursarError as problem:
            self.left_out.append(f"what the wallet holds: {problem.message}")
            held = {}
        return needs(self.plan, held, fees)

    def _wanted(self, fees: Fees) -> Iterator[Wanted]:
        """Yield the plan's tokens, and the chain's own coin where fees take of it."""
        first = {line.meant.contract: line for line in reversed(self.plan.lines)}
        for line in first.values():
            yield Wanted(line.token, line.meant)
        if fees.payer is FeePayer.WALLET and None not in first:
            for text, meant in connect.reading(self.shell).tokens.items():
                if meant.contract is None and text.startswith(f"{self.plan.chain}:"):
                    yield Wanted(TokenLocator.parse(text), meant)
                    return
            self.left_out.append("what the wallet holds of the chain's own coin, which has no name")

    def _foresight(self, fees: Fees) -> Foresight | None:
        rules = connect.rulebook(self.shell)
        if rules is None:
            self.left_out.append("the policy's word: the settings name none under [policy] file")
            return None
        self._compare(rules)
        seen = self._seen(rules.policy)
        situation = Situation(
            datetime.now(UTC),
            self.glance.by or self._caller(),
            fees.each,
            None if seen is None else lambda needed: seen.spent(needed, ""),
            seen.first_seen if seen else {},
            self.addresses,
        )
        return foresee(self.plan, rules, situation)

    def _compare(self, rules: Rulebook) -> None:
        deployed = connect.deployed_policy(self.shell)
        if deployed not in (None, rules.hash):
            self.left_out.append(
                f"the word of the policy that is deployed ({deployed}): the settings' is another ({rules.hash})"
            )

    def _caller(self) -> str | None:
        try:
            return caller(self.shell)
        except BursarError as problem:
            self.left_out.append(f"whether you may ask for signatures: {problem.message}")
            return None

    def _seen(self, policy: Policy) -> Seen | None:
        """Return what the key's ledger holds: what was spent in any window, and since when it knows recipients."""
        from bursar.ledger.pages import Question

        seconds = max((each.seconds for each in policy.limits), default=0)
        question = Question("", (), tuple(self._listed(policy)), None, seconds)
        try:
            with connect.ledger(self.shell, self.glance.via) as book:
                return book.look(question)[0]
        except BursarError as problem:
            self.left_out.append(f"what was spent before: {problem.message}")
            return None

    def _listed(self, policy: Policy) -> Iterable[str]:
        """Return the recipients of whom the ledger may know something the policy asks for."""
        if policy.recipients.new_delay is None:
            return ()
        named = (
            each.recipient.address or self.addresses.get(str(each.recipient))
            for each in self.plan.lines
        )
        keys = dict.fromkeys(address_key(each) for each in named)
        return [each for each in keys if each is not None and each in policy.recipients.allow]


@dataclass(frozen=True, slots=True)
class _Remembering:
    """Asks about wallets, and remembers users' addresses: the policy's lists of recipients go by those."""

    client: CrossmintClient
    addresses: dict[str, str]

    def get_wallet(self, wallet: WalletLocator | str) -> Wallet:
        found = self.client.get_wallet(wallet)
        if isinstance(wallet, WalletLocator) and wallet.user is not None:
            self.addresses[str(RecipientLocator(user=wallet.user))] = found.address
        return found


def caller(shell: Shell) -> str:
    """Return whose AWS credentials these are, as an ARN. Permission: sts:GetCallerIdentity, which everybody has.

    Raises:
        AwsError: there are none, or AWS does not answer.
    """
    from bursar.aws.cloud import Cloud

    return Cloud(shell.config.aws.region).caller_arn


def _now_and_then(count: Callable[[int], None]) -> Callable[[int, int], None]:
    # A line for every recipient would be a thousand lines, where nobody sees a bar.
    return lambda done, whole: count(done) if done % 50 == 0 or done == whole else None
