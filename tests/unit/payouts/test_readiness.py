from __future__ import annotations

import pytest

from bursar.crossmint.locators import RecipientLocator, WalletLocator
from bursar.crossmint.models import Wallet
from bursar.errors import CrossmintNotFound, CrossmintUnavailable
from bursar.payouts.readiness import check_recipients, registered_by
from tests.unit.payouts.payroll import ADA, CLOSED, GRACE, WALLET, csv_of, planned

USERS = "email:ada@example.com"
PLAN = planned(
    csv_of(
        f"p-1,{ADA},1,",
        f"p-2,{GRACE},1,regulated",
        f"p-3,{CLOSED},1,direct",
        f"p-4,{ADA},2,",
        f"p-5,{USERS},1,",
        header="id,recipient,amount,type",
    )
)


class Directory:
    """Knows of some recipients whether they are registered, and who was asked about."""

    def __init__(self, **known: bool | None) -> None:
        self.known = known
        self.asked: list[str] = []

    def __call__(self, recipient: RecipientLocator) -> bool | None:
        self.asked.append(str(recipient))
        return self.known.get(str(recipient), True)


class Down:
    def __init__(self, *, after: int = 0) -> None:
        self.calls = 0
        self.after = after

    def __call__(self, _: RecipientLocator) -> bool | None:
        self.calls += 1
        if self.calls <= self.after:
            return True
        raise CrossmintUnavailable("nobody answers")


def test_each_recipient_of_a_regulated_transfer_is_asked_about_once():
    directory, told = Directory(), list[tuple[int, int]]()
    found = check_recipients(
        PLAN, directory, progress=lambda done, whole: told.append((done, whole))
    )
    assert directory.asked == [ADA, GRACE, USERS]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert (found.asked, found.problems, found.warnings) == (3, (), ())


def test_who_is_not_registered_is_a_problem_and_who_may_be_a_warning():
    found = check_recipients(PLAN, Directory(**{GRACE: False, USERS: None}))
    assert [(each.line, each.value) for each in found.problems] == [(3, GRACE)]
    assert [(each.line, each.value, each.what) for each in found.warnings] == [
        (6, USERS, "whether the recipient is registered is not known")
    ]


def test_only_so_many_are_asked_about_and_that_is_said():
    directory, told = Directory(), list[tuple[int, int]]()
    found = check_recipients(
        PLAN, directory, most=1, progress=lambda done, whole: told.append((done, whole))
    )
    assert (directory.asked, told) == ([ADA], [(1, 1)])
    assert [each.what for each in found.warnings] == ["2 recipients were not asked about"]


def test_who_does_not_answer_is_not_asked_for_ever():
    many = planned(csv_of(*(f"p-{n},userId:u{n},1" for n in range(20))))
    down = Down(after=2)
    found = check_recipients(many, down)
    assert down.calls == 5
    assert [each.line for each in found.warnings] == [4, 5, 6, 0]
    assert found.warnings[0].what.endswith("is not known (nobody answers)")
    assert found.warnings[-1].what == "15 recipients were not asked about"


def test_an_error_that_is_no_answer_is_not_swallowed():
    def broken(_: RecipientLocator) -> bool | None:
        raise TypeError("a bug")

    with pytest.raises(TypeError):
        check_recipients(PLAN, broken)


def test_nobody_is_asked_about_direct_transfers():
    plan = planned(csv_of(f"p-1,{ADA},1,direct", header="id,recipient,amount,type"))
    assert check_recipients(plan, Down()).asked == 0


# What Crossmint is asked


class Crossmint:
    def __init__(self, **owners: str | None) -> None:
        self.owners = owners

    def get_wallet(self, wallet: WalletLocator | str) -> Wallet:
        if str(wallet) not in self.owners:
            raise CrossmintNotFound("there is no such wallet")
        return Wallet.read({"address": WALLET, "type": "smart", "owner": self.owners[str(wallet)]})


@pytest.mark.parametrize(
    ("recipient", "owners", "answer"),
    [
        (ADA, {ADA: USERS}, True),
        (ADA, {ADA: "userId:42"}, True),
        (ADA, {ADA: "COMPANY:treasury"}, None),
        (ADA, {ADA: None}, None),
        (ADA, {}, False),
        (USERS, {f"{USERS}:evm:smart": USERS}, True),
        (USERS, {f"{USERS}:evm:smart": None}, True),
        (USERS, {}, False),
    ],
)
def test_a_recipient_is_ready_who_has_a_wallet_of_a_user(recipient, owners, answer):
    assert registered_by(Crossmint(**owners))(RecipientLocator.parse(recipient)) is answer
