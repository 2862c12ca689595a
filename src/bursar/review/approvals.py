"""Our own entry among those that wait for an approval. Pure.

An entry is flat (`signer`, `message`), or a quorum whose members each have a message of their own. Source: the
2025-06-09 transaction and signature objects; older answers write a signer as text, or without a locator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bursar.chains.evm import parse_address
from bursar.errors import AddressError, LocatorError, NotAwaitingApproval, Unverifiable
from bursar.review import fields

MAX_ENTRIES: Final = 100
_WHAT: Final = "approvals"
_EVM_SIGNERS: Final = ("external-wallet", "server", "evm-keypair")


@dataclass(frozen=True, slots=True)
class Signer:
    """A signer that is an EVM key: `external-wallet:0x…`. `address` is checksummed."""

    kind: str
    address: str

    @classmethod
    def parse(cls, locator: str) -> Signer:
        """Return the signer of a locator.

        Raises:
            LocatorError: not a kind of signer that has an EVM key, or not an address.
        """
        kind, _, address = locator.partition(":") if isinstance(locator, str) else ("", "", "")
        try:
            if kind in _EVM_SIGNERS:
                return cls(kind, parse_address(address))
        except AddressError:
            pass
        raise LocatorError(
            f"{fields.shown(locator)} is not a signer with an EVM key",
            hint="for example external-wallet:0x…",
        )

    def __str__(self) -> str:
        return f"{self.kind}:{self.address}"


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits for our signature: 32 bytes, and whether as one of a quorum."""

    message: bytes
    in_quorum: bool


def pending_for(approvable: Mapping[str, Any], signer: Signer) -> Pending:
    """Return what waits for this signer; letter case does not count in its address.

    Raises:
        NotAwaitingApproval: the status is another one, or nothing waits for this signer.
        Unverifiable: more than one message waits for it, or one that is not 32 bytes of hex.
    """
    status = fields.text(approvable.get("status"), "status")
    if status != "awaiting-approval":
        raise NotAwaitingApproval(f"the status is {fields.shown(status)}, not awaiting-approval")
    ours = {
        Pending(fields.word(message, "message"), in_quorum)
        for who, message, in_quorum in _waiting(approvable)
        if _is(who, signer)
    }
    if not ours:
        raise NotAwaitingApproval(
            f"nothing waits for {signer}",
            hint="it has approved already, or the transaction was made for another signer",
        )
    if len(ours) > 1:
        raise Unverifiable(f"more than one message waits for {signer}", what="message")
    return ours.pop()


def _waiting(approvable: Mapping[str, Any]) -> Iterator[tuple[Any, Any, bool]]:
    approvals = fields.mapping(approvable.get("approvals"), _WHAT)
    for entry in _entries(approvals):
        quorum = entry.get("quorumApprovals")
        if quorum is None:
            yield entry.get("signer"), entry.get("message"), False
            continue
        for member in _entries(fields.mapping(quorum, "quorumApprovals")):
            yield member.get("signer"), member.get("message"), True


def _entries(approvals: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    pending = approvals.get("pending")
    if not isinstance(pending, list) or len(pending) > MAX_ENTRIES:
        raise Unverifiable(f"pending is not a list of at most {MAX_ENTRIES} entries", what=_WHAT)
    return [fields.mapping(entry, "a pending entry") for entry in pending]


def _is(who: Any, signer: Signer) -> bool:
    # A wrong checksum in Crossmint's answer must not hide our own entry.
    return _locator(who).lower() == str(signer).lower()


def _locator(who: Any) -> str:
    if isinstance(who, str):
        return who
    if not isinstance(who, dict):
        return ""
    if isinstance(who.get("locator"), str):
        return str(who["locator"])
    name = next((who[key] for key in ("address", "id") if isinstance(who.get(key), str)), "")
    return f"{who['type']}:{name}" if isinstance(who.get("type"), str) else ""
