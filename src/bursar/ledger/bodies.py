"""Receipts' bodies, read strictly as far as they can be checked: see `docs/reference/ledger.md`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn, TypeVar

from bursar.chains.evm import Scheme
from bursar.errors import LedgerDamaged
from bursar.ledger.receipts import moment_text
from bursar.policy.decision import Outcome
from bursar.policy.principals import identity_of

T = TypeVar("T")

# What a request accepts that lets the signer go on without a review, if the policy does.
_UNVERIFIABLE: Final = "unverifiable"
_HASH: Final = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_SIGNATURE: Final = re.compile(r"0x[0-9a-f]{130}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a receipt is about: the operation's hash and the digest KMS is asked to sign for it, 0x hex."""

    operation: str | None
    digest: str | None
    scheme: Scheme | None


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision. `reviewed` is the hash in its review; `judged` every outcome that the policy's decision states.

    Both are None where there is no review, or no decision of a policy. `blind`: the request asks for a bare hash,
    or accepts what cannot be verified. `policies` are the hashes of the policy that are stated, 64 hex digits.
    `earlier`: what was signed before was handed out again, and nothing new was signed. `consents` are those that
    counted: whose, to which digest, and when, as `moment_text` has it.
    """

    subject: Subject
    outcome: Outcome
    blind: bool
    reviewed: str | None
    judged: frozenset[str] | None
    policies: frozenset[str]
    refused: bool
    earlier: bool
    consents: frozenset[tuple[str, str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature, 65 bytes as 0x hex, and the number of the decision that allowed it."""

    subject: Subject
    decision: int
    unanswered: int
    signature: str
    address: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure, and the number of the decision that had allowed a signature."""

    subject: Subject
    decision: int
    unanswered: int


@dataclass(frozen=True, slots=True)
class Consented:
    """A consent to a digest; `by` is whose, None where that is not known."""

    subject: Subject
    reviewed: str | None
    by: str | None = None


class Fields:
    """A JSON object whose members are asked for by name and type.

    Each method raises:
        LedgerDamaged: the member is missing or is something else.
    """

    def __init__(self, body: Mapping[str, Any], where: str = "") -> None:
        self._body = body
        self._where = where

    def text(self, name: str) -> str:
        """Return a text."""
        return self._take(name, str, "a text")

    def whole(self, name: str) -> int:
        """Return a whole number that is not negative."""
        value = self._take(name, int, "a whole number")
        if value < 0:
            self._refuse(name, "a whole number")
        return value

    def hash(self, name: str) -> str:
        """Return 32 bytes of 0x hex in small letters."""
        value = self.text(name)
        if not _HASH.fullmatch(value):
            self._refuse(name, "0x and 64 hex digits")
        return value

    def hash_or_none(self, name: str) -> str | None:
        """Return 32 bytes of 0x hex, or None for null."""
        return None if self.is_null(name) else self.hash(name)

    def scheme(self, name: str) -> Scheme:
        """Return a scheme."""
        value = self.text(name)
        if value not in set(Scheme):
            self._refuse(name, "a scheme")
        return Scheme(value)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        return self._take(name, bool, "true or false")

    def texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        found = self._take(name, list, "a list")
        if not all(isinstance(each, str) for each in found):
            self._refuse(name, "a list of texts")
        return found

    def section(self, name: str) -> Fields:
        """Return an object's members."""
        return Fields(self._take(name, dict, "an object"), f"{self._where}{name}.")

    def section_or_none(self, name: str) -> Fields | None:
        """Return an object's members, or None for null."""
        return None if self.is_null(name) else self.section(name)

    def sections(self, name: str) -> list[Fields]:
        """Return the members of each object in a list."""
        found = self._take(name, list, "a list")
        if not all(isinstance(each, dict) for each in found):
            self._refuse(name, "a list of objects")
        return [Fields(each, f"{self._where}{name}[].") for each in found]

    def has(self, name: str) -> bool:
        """Tell whether a member is there."""
        return name in self._body

    def is_null(self, name: str) -> bool:
        """Tell whether a member is null. It has to be there."""
        if name not in self._body:
            self._refuse(name, "there")
        return self._body[name] is None

    def _take(self, name: str, kind: type[T], what: str) -> T:
        value = self._body.get(name)
        # True is an int to Python, and none in JSON.
        if type(value) is not kind:
            self._refuse(name, what)
        return value

    def _refuse(self, name: str, what: str) -> NoReturn:
        raise LedgerDamaged(f"{self._where}{name} is not {what}")


def read_decision(body: Mapping[str, Any]) -> Decided:
    """Return what a decision's body says.

    Raises:
        LedgerDamaged: a member is missing or of another form.
    """
    fields = Fields(body)
    request = fields.section("request")
    outcome, kind = fields.text("outcome"), request.text("kind")
    if outcome not in set(Outcome) or kind not in {"transaction", "digest"}:
        raise LedgerDamaged("the outcome or the request's kind is none that there is")
    decision = fields.section_or_none("decision")
    return Decided(
        Subject(
            fields.hash_or_none("operation"),
            fields.hash_or_none("digest"),
            request.scheme("scheme"),
        ),
        Outcome(outcome),
        kind == "digest" or _UNVERIFIABLE in request.texts("accept"),
        _reviewed(fields),
        None if decision is None else _judged(decision),
        _policies(fields, decision),
        not fields.is_null("refusal"),
        fields.flag("earlier"),
        _consents(fields),
    )


def read_signature(body: Mapping[str, Any]) -> Signed:
    """Return what a signature's body says.

    Raises:
        LedgerDamaged: a member is missing or of another form.
    """
    fields = Fields(body)
    signature = fields.text("signature")
    if not _SIGNATURE.fullmatch(signature):
        raise LedgerDamaged("signature is not 0x and 65 bytes of hex")
    return Signed(
        Subject(fields.hash("operation"), fields.hash("digest"), fields.scheme("scheme")),
        fields.whole("decision"),
        fields.whole("unanswered"),
        signature,
        fields.text("address"),
    )


def read_failure(body: Mapping[str, Any]) -> Failed:
    """Return what a failure's body says.

    Raises:
        LedgerDamaged: a member is missing or of another form.
    """
    fields = Fields(body)
    subject = Subject(fields.hash("operation"), fields.hash("digest"), None)
    fields.text("code")
    return Failed(subject, fields.whole("decision"), fields.whole("unanswered"))


def read_consent(body: Mapping[str, Any]) -> Consented:
    """Return what a consent's body says.

    Raises:
        LedgerDamaged: a member is missing or of another form.
    """
    fields = Fields(body)
    subject = Subject(fields.hash("operation"), fields.hash("digest"), None)
    caller = fields.section("caller")
    by = None if caller.is_null("claimedCaller") else identity_of(caller.text("claimedCaller"))
    return Consented(subject, _reviewed(fields), by)


def plain_hash(policy_hash: str) -> str:
    """Return a policy's hash without the `sha256:` that names its algorithm."""
    return policy_hash.removeprefix("sha256:")


def _consents(fields: Fields) -> frozenset[tuple[str, str, str]]:
    proposal = fields.section_or_none("proposal")
    if proposal is None or not proposal.has("approvals"):
        return frozenset()
    return frozenset(
        (each.text("principal"), each.text("digest"), _moment(each.text("at")))
        for each in proposal.sections("approvals")
    )


def _moment(text: str) -> str:
    try:
        return moment_text(datetime.fromisoformat(text))
    except ValueError:
        raise LedgerDamaged("the time of a consent is none") from None


def _reviewed(fields: Fields) -> str | None:
    review = fields.section_or_none("review")
    return None if review is None else review.hash("userOperationHash")


def _judged(decision: Fields) -> frozenset[str]:
    rules = (rule.text("outcome") for rule in decision.sections("rules"))
    return frozenset({decision.text("outcome"), *rules})


def _policies(fields: Fields, decision: Fields | None) -> frozenset[str]:
    policy = fields.section_or_none("policy")
    stated = [policy.text("hash")] if policy else []
    stated += [decision.text("policyHash")] if decision else []
    return frozenset(plain_hash(each) for each in stated)
