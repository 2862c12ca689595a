"""A transfer that also deploys the wallet: allowed from a known factory, for this signer, and as nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from bursar.errors import AddressError, Unverifiable
from bursar.review.deployment import Deployment
from bursar.review.report import Review
from bursar.review.terms import DEFAULT_TERMS, Terms
from bursar.review.transaction import review
from bursar.sandbox.chain import kernel
from tests.unit.review.scene import (
    FACTORY,
    INTENT,
    META_FACTORY,
    OTHER,
    OWNER,
    SIGNER,
    TERMS,
    THIEF,
    VALIDATOR,
    WALLET,
    birth,
    born,
    creation,
    creation_with,
)


def reviewed(transaction: dict[str, Any], terms: Terms = TERMS) -> Review:
    return review(transaction, INTENT, signer=SIGNER, wallet=WALLET, terms=terms)


def refused(transaction: dict[str, Any], why: str, terms: Terms = TERMS) -> str:
    with pytest.raises(Unverifiable, match=why) as caught:
        reviewed(transaction, terms)
    return caught.value.what


def test_a_first_transfer_that_also_deploys_the_wallet_is_allowed_and_said() -> None:
    found = reviewed(born())
    assert found.deployment == Deployment(FACTORY, VALIDATOR, OWNER)
    assert found.sentence.endswith(f"from wallet {WALLET}, deploying the wallet")


def test_deployment_through_the_meta_factory_is_allowed() -> None:
    found = reviewed(born(META_FACTORY, creation_with(FACTORY, birth())))
    assert found.deployment == Deployment(FACTORY, VALIDATOR, OWNER)


def test_kernels_own_factories_are_known_without_being_named() -> None:
    meta = "0xd703aaE79538628d27099B8c4f621bE4CCd142d5"
    inner = "0xaac5D4240AF87249B3f71BC8E4A2cae074A3E419"
    assert reviewed(born(meta, creation_with(inner, birth())), DEFAULT_TERMS).deployment
    assert refused(born(), "not a factory known", DEFAULT_TERMS) == "factory"


@pytest.mark.parametrize(
    ("factory", "data"),
    [
        (THIEF, creation(birth())),
        (THIEF, creation_with(FACTORY, birth())),
        (META_FACTORY, creation_with(THIEF, birth())),
        (META_FACTORY, creation(birth())),
        (FACTORY, creation_with(FACTORY, birth())),
        (FACTORY, b""),
        (META_FACTORY, b"\xc5\x26"),
    ],
)
def test_a_changed_factory_is_unverifiable(factory: str, data: bytes) -> None:
    assert refused(born(factory, data), "not a factory known") == "factory"


def test_a_wallet_is_deployed_by_the_first_operation_of_a_nonce_key_only() -> None:
    key = kernel.nonce_key(VALIDATOR, 3) << 64
    assert reviewed(born(nonce=key)).deployment
    assert refused(born(nonce=key + 1), "not by the first") == "factory"


@pytest.mark.parametrize(
    ("init_data", "why"),
    [
        (birth(config=(b"\x01",)), "more than a root validator"),
        (birth(hook=THIEF), "more than a root validator"),
        (birth(hook_data=b"\x01"), "more than a root validator"),
        (birth(validator=THIEF), "root validator is"),
        (birth(kind=b"\x02"), "type 2"),
        (birth(owner=bytes.fromhex(THIEF[2:])), "would obey"),
        (birth(owner=b""), "would obey a validator's own data, not this signer"),
        (birth(owner=bytes(21)), "would obey"),
        (birth() + b"\0", "after its end"),
        (b"\x12\xaf\x32\x2c" + birth()[4:], "not Kernel's initialize"),
        (b"", "not Kernel's initialize"),
    ],
)
def test_a_wallet_set_up_otherwise_is_unverifiable(init_data: bytes, why: str) -> None:
    assert refused(born(data=creation(init_data)), why) == "factoryData"


def test_the_stored_form_of_no_hook_is_no_hook() -> None:
    assert reviewed(born(data=creation(birth(hook="0x" + "00" * 19 + "01")))).deployment


def test_a_quorums_wallet_has_no_single_owner() -> None:
    members = b"\x02" + bytes.fromhex(OWNER[2:]) + bytes.fromhex(OTHER[2:])
    transaction = born(data=creation(birth(owner=members)))
    [entry] = transaction["approvals"]["pending"]
    transaction["approvals"]["pending"] = [
        {
            "signer": {"type": "quorum", "locator": "quorum:q"},
            "quorumApprovals": {"pending": [entry]},
        }
    ]
    assert reviewed(transaction).deployment == Deployment(FACTORY, VALIDATOR, None)


def test_a_quorums_wallet_may_obey_this_signer_alone() -> None:
    transaction = born()
    [entry] = transaction["approvals"]["pending"]
    transaction["approvals"]["pending"] = [{"quorumApprovals": {"pending": [entry]}}]
    assert reviewed(transaction).deployment == Deployment(FACTORY, VALIDATOR, OWNER)


def test_another_owner_is_unverifiable_in_a_quorum_as_well() -> None:
    transaction = born(data=creation(birth(owner=bytes.fromhex(THIEF[2:]))))
    [entry] = transaction["approvals"]["pending"]
    transaction["approvals"]["pending"] = [{"quorumApprovals": {"pending": [entry]}}]
    assert refused(transaction, f"would obey {THIEF}") == "factoryData"


def test_terms_take_addresses_in_any_letter_case_and_nothing_else() -> None:
    assert Terms(factories=frozenset({FACTORY.lower()})).factories == {FACTORY}
    with pytest.raises(AddressError):
        Terms(meta_factories=frozenset({"0x12"}))
