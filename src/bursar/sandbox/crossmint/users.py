"""Users: the people behind recipients' wallets. Personal data stays in the stand-in and is never answered back."""

from __future__ import annotations

from bursar.sandbox.crossmint import locators
from bursar.sandbox.crossmint.replies import Call, Json, Reply
from bursar.sandbox.crossmint.requests import LegalDocument, PutUser, parse
from bursar.sandbox.crossmint.stand_in import StandIn

_SECTIONS = ("userDetails", "kycData", "dueDiligence", "verificationHistory")
_IDENTIFIERS = {"email": "email", "userId": "userId", "phoneNumber": "phoneNumber"}
_PURPOSES = ("regulated-transfer", "onramp", "onramp-light", "offramp")


def put(stand_in: StandIn, call: Call) -> Reply:
    """Replace a user's data, or make the user. Answers which sections are there, not what they say."""
    locator = locators.user(call.path["user"])
    wanted = parse(PutUser, call.body).model_dump(exclude_none=True)
    kept = stand_in.store.find("user", call.project, locator) or {}
    user = {"locator": locator, "documents": kept.get("documents", [])} | wanted
    stand_in.store.save("user", call.project, locator, user)
    kind, _, value = locator.partition(":")
    identifiers = {_IDENTIFIERS[kind]: value} if kind in _IDENTIFIERS else {}
    return Reply(200, identifiers | {section: section in user for section in _SECTIONS})


def put_legal_document(stand_in: StandIn, call: Call) -> Reply:
    """Record that a user accepted the privacy policy; makes the user if there is none."""
    locator = locators.user(call.path["user"])
    document = parse(LegalDocument, call.body).model_dump()
    user = stand_in.store.find("user", call.project, locator) or {"locator": locator}
    documents: list[Json] = [*user.get("documents", []), document]
    stand_in.store.save("user", call.project, locator, user | {"documents": documents})
    return Reply(200, document)


def put_identity_verification(stand_in: StandIn, call: Call) -> Reply:
    """Return what a user may be paid for. Only payouts are judged here, and they need only `userDetails`."""
    locator = locators.user(call.path["user"])
    user = stand_in.store.find("user", call.project, locator) or {}
    ready = bool(user.get("userDetails"))
    payout: Json = (
        {"status": "verified"}
        if ready
        else {"status": "requires-data", "missingData": ["userDetails"]}
    )
    return Reply(
        200, {purpose: {"status": "not-started"} for purpose in _PURPOSES} | {_PURPOSES[0]: payout}
    )
