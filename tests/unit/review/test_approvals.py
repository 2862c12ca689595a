from __future__ import annotations

from typing import Any

import pytest

from bursar.errors import LocatorError, NotAwaitingApproval, Unverifiable
from bursar.review.approvals import Pending, Signer, pending_for
from tests.unit.review.scene import OTHER, OWNER, SIGNER

HASH = "0x" + "ab" * 32
OURS = Signer.parse(SIGNER)


def waiting(*entries: Any) -> dict[str, Any]:
    return {"status": "awaiting-approval", "approvals": {"pending": list(entries)}}


def entry(signer: Any = SIGNER, message: Any = HASH) -> dict[str, Any]:
    return {"signer": signer, "message": message}


def quorum(*members: Any) -> dict[str, Any]:
    who = {"type": "quorum", "locator": "quorum:q"}
    return {"signer": who, "quorumApprovals": {"threshold": 2, "pending": list(members)}}


@pytest.mark.parametrize(
    "signer",
    [
        SIGNER,
        SIGNER.lower(),
        {"locator": SIGNER},
        {
            "type": "external-wallet",
            "locator": SIGNER.upper().replace("EXTERNAL-WALLET:0X", "external-wallet:0x"),
        },
        {"type": "external-wallet", "address": OWNER},
        {"type": "external-wallet", "id": OWNER.lower()},
        {"type": "external-wallet", "address": 7, "id": OWNER},
    ],
    ids=str,
)
def test_our_entry_is_found_however_crossmint_writes_the_signer(signer: Any) -> None:
    other = {"locator": f"external-wallet:{OTHER}"}
    found = pending_for(waiting(entry(other, "0x12"), entry(signer)), OURS)
    assert found == Pending(b"\xab" * 32, in_quorum=False)


def test_our_entry_is_found_inside_a_quorum() -> None:
    other = entry(f"external-wallet:{OTHER}", "0x" + "cd" * 32)
    found = pending_for(waiting(quorum(other, entry())), OURS)
    assert found == Pending(b"\xab" * 32, in_quorum=True)


@pytest.mark.parametrize(
    "signer",
    [
        f"external-wallet:{OTHER}",
        f"server:{OWNER}",
        OWNER,
        7,
        None,
        {},
        {"type": 7, "address": OWNER},
        {"type": "external-wallet"},
        {"locator": f"external-wallet:{OTHER}", "type": "external-wallet", "address": OWNER},
    ],
    ids=str,
)
def test_anothers_entry_is_not_ours(signer: Any) -> None:
    with pytest.raises(NotAwaitingApproval, match="nothing waits for"):
        pending_for(waiting(entry(signer)), OURS)


def test_nothing_pending_is_not_awaiting_approval() -> None:
    for nothing in (waiting(), waiting(quorum())):
        with pytest.raises(NotAwaitingApproval):
            pending_for(nothing, OURS)


def test_the_same_message_twice_is_one_and_two_messages_are_refused() -> None:
    assert pending_for(waiting(entry(), entry(SIGNER.lower())), OURS).message == b"\xab" * 32
    for second in (entry(message="0x" + "cd" * 32), quorum(entry())):
        with pytest.raises(Unverifiable, match="more than one message"):
            pending_for(waiting(entry(), second), OURS)


@pytest.mark.parametrize("kind", ["", "email", "solana-wallet", "passkey", "External-Wallet"])
def test_another_kind_of_signer_has_no_evm_key_even_with_an_address(kind: str) -> None:
    with pytest.raises(LocatorError, match="not a signer with an EVM key"):
        Signer.parse(f"{kind}:{OWNER}")


@pytest.mark.parametrize("locator", [None, 7, {"locator": SIGNER}, SIGNER.encode()])
def test_a_locator_is_text(locator: Any) -> None:
    with pytest.raises(LocatorError, match="no text"):
        Signer.parse(locator)


@pytest.mark.parametrize("kind", ["external-wallet", "server", "evm-keypair"])
def test_each_kind_of_signer_with_an_evm_key_finds_its_own_entry(kind: str) -> None:
    ours = Signer.parse(f"{kind}:{OWNER.lower()}")
    assert str(ours) == f"{kind}:{OWNER}"
    assert pending_for(waiting(entry(f"{kind}:{OWNER}")), ours).message == b"\xab" * 32


def test_a_hundred_entries_are_read() -> None:
    assert pending_for(waiting(*[entry()] * 100), OURS).message == b"\xab" * 32


@pytest.mark.parametrize("message", [None, "", "0x", "0x" + "ab" * 31, "ab" * 32, HASH + "00", 7])
def test_a_message_that_is_not_32_bytes_of_hex_is_unverifiable(message: Any) -> None:
    with pytest.raises(Unverifiable, match=r"^message is") as refused:
        pending_for(waiting(entry(message=message)), OURS)
    assert refused.value.what == "message"


@pytest.mark.parametrize(
    "approvals",
    [
        None,
        [],
        {},
        {"pending": {}},
        {"pending": [7]},
        {"pending": [entry()] * 101},
        {"pending": [{"quorumApprovals": 7}]},
        {"pending": [{"quorumApprovals": {"pending": None}}]},
    ],
)
def test_approvals_of_another_shape_are_unverifiable(approvals: Any) -> None:
    with pytest.raises(Unverifiable) as refused:
        pending_for({"status": "awaiting-approval", "approvals": approvals}, OURS)
    assert refused.value.what in ("approvals", "quorumApprovals", "a pending entry")
