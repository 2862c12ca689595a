"""Screening of recipients: addresses and people made up to fail each check.

Crossmint screens inside the create-transfer call, before there is anything to sign. The HTTP status of a refusal
is not documented; 400 is an assumption.
"""

from __future__ import annotations

from bursar.sandbox.crossmint.replies import ApiError, Json, refused
from bursar.sandbox.crossmint.stand_in import StandIn
from bursar.sandbox.crossmint.wallets import COMPANY

# Nobody holds the keys of these.
SANCTIONED_ADDRESSES = (
    "0x5a4C710000000000000000000000000000000001",
    "0x5A4C710000000000000000000000000000000002",
)
SANCTIONED_PERSON = "Sam Sanctioned"
PERSON_OF_SANCTIONED_WALLETS = "Wanda Watched"
PENDING_PERSON = "Percy Pending"
PENDING_ATTEMPTS = 2
UNSUPPORTED_COUNTRIES = frozenset({"CU", "IR", "KP", "SY"})
_KYC_RUNNING = "User KYC is in progress. Please retry in a few seconds."


def is_sanctioned(address: str) -> bool:
    """Say whether an address is on the list."""
    return address.lower() in {listed.lower() for listed in SANCTIONED_ADDRESSES}


def screen(stand_in: StandIn, project: str, recipient: str) -> None:
    """Screen the recipient of a regulated transfer: the address, its owner, the owner's data, the owner.

    Raises:
        ApiError: 400 with a reason; without one while Percy Pending's identity check runs, to be retried.
    """
    if is_sanctioned(recipient):
        raise _refusal("recipient_wallet_sanctioned", "The recipient address is sanctioned")
    wallet = stand_in.store.find("wallet", project, recipient)
    owner = wallet["api"].get("owner", COMPANY) if wallet else COMPANY
    if owner == COMPANY:
        raise _refusal(
            "recipient_type_unsupported", "The recipient must be the wallet of a registered user"
        )
    user: Json = stand_in.store.find("user", project, owner) or {}
    if not user.get("userDetails"):
        raise _refusal(
            "recipient_personal_data_missing", "The recipient's personal data is missing"
        )
    _screen_person(stand_in, project, user)


def _screen_person(stand_in: StandIn, project: str, user: Json) -> None:
    details = user["userDetails"]
    name = f"{details['firstName']} {details['lastName']}"
    if name == PERSON_OF_SANCTIONED_WALLETS:
        raise _refusal("recipient_wallet_sanctioned", "The recipient address is sanctioned")
    if name == SANCTIONED_PERSON or details["countryOfResidence"] in UNSUPPORTED_COUNTRIES:
        raise _refusal(
            "recipient_person_sanctioned", "The recipient did not pass sanctions screening"
        )
    attempts = user.get("attempts", 0)
    if name == PENDING_PERSON and attempts < PENDING_ATTEMPTS:
        stand_in.store.save("user", project, user["locator"], user | {"attempts": attempts + 1})
        raise refused(400, _KYC_RUNNING)


def _refusal(reason: str, message: str) -> ApiError:
    return ApiError(400, {"error": {"reason": reason, "message": message}})
