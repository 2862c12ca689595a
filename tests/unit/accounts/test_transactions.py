from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from eth_account import Account
from eth_account.datastructures import SignedMessage, SignedSetCodeAuthorization, SignedTransaction
from eth_account.messages import encode_defunct
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bursar.accounts import SignerAccount
from bursar.chains import evm
from bursar.chains.transactions import read_transaction
from bursar.errors import (
    InputError,
    SignerMismatch,
    TransactionError,
)
from tests.unit.accounts.signers import (
    KEY,
    LOCAL,
    TO,
    VECTORS,
    DeterministicSigner,
    authorization,
    blob,
    dynamic,
    each,
    legacy,
    set_code,
    vector_account,
    without,
)

# --- transactions ---------------------------------------------------------------------------------

ACCESS = [{"address": TO, "storageKeys": ["0x" + "00" * 31 + "07", 8, 2**256 - 1]}]
VALID = [
    legacy(),
    legacy(data=b"\x01\x02"),
    legacy(data="0x0102", value="0x5", gas="0x5208", nonce="0x00"),
    legacy(to=b"\xcc" * 20),
    legacy(to="", data="0x6000"),
    legacy(to=None, data="0x6000"),
    legacy(to=b"", data="0x6000"),
    without(legacy(data="0x6000"), "to", "value"),
    legacy(accessList=ACCESS),
    legacy(accessList=[], type=1),
    legacy(type="0x1"),
    dynamic(),
    dynamic(type=2),
    dynamic(type="0x2", accessList=ACCESS, data="0x00"),
    dynamic(accessList=tuple(ACCESS)),
    dynamic(value=0, nonce=0, gas=0),
    dynamic(value=2**256 - 1),
    blob(),
    without(blob(), "type"),
    blob(blobVersionedHashes=["0x01" + "ab" * 31, "0x01" + "cd" * 31]),
    set_code(),
    set_code(type="0x4"),
    set_code(
        authorizationList=[
            LOCAL.sign_authorization(authorization(chainId=0)).model_dump(by_alias=True)
        ]
    ),
]


@pytest.mark.parametrize("transaction", VALID)
def test_a_transaction_equals_eth_accounts_and_is_hashed_once(
    account: SignerAccount, signer: DeterministicSigner, transaction: dict[str, Any]
) -> None:
    before = dict(transaction)
    signed = account.sign_transaction(transaction)
    assert isinstance(signed, SignedTransaction)
    assert signed == LOCAL.sign_transaction(transaction)
    assert len(signer.asked) == 1
    assert Account.recover_transaction(signed.raw_transaction) == LOCAL.address
    assert transaction == before


@pytest.mark.parametrize("kind", [0, "0x0", "0x00"])
def test_an_explicit_legacy_type_is_the_same_as_none(account: SignerAccount, kind: Any) -> None:
    assert account.sign_transaction(legacy(type=kind)) == LOCAL.sign_transaction(legacy())


CHAIN_IDS = [1, 2, 137, 11155111, 2**31 - 1, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 37, 2**64 + 1]


@pytest.mark.parametrize("chain_id", CHAIN_IDS)
@pytest.mark.parametrize("form", [int, hex])
def test_v_carries_the_whole_chain_id(
    account: SignerAccount, chain_id: int, form: Callable[[int], Any]
) -> None:
    signed = account.sign_transaction(legacy(chainId=form(chain_id)))
    assert signed.v in {35 + 2 * chain_id, 36 + 2 * chain_id}
    assert signed == LOCAL.sign_transaction(legacy(chainId=chain_id))
    typed = account.sign_transaction(dynamic(chainId=form(chain_id)))
    assert typed.v in {0, 1}
    assert typed == LOCAL.sign_transaction(dynamic(chainId=chain_id))


@pytest.mark.parametrize("fields", [legacy(), legacy(accessList=[]), dynamic(), blob(), set_code()])
@pytest.mark.parametrize("chain_id", [None, "missing", 0, "0x0"])
def test_no_chain_id_is_refused_for_every_type(
    account: SignerAccount, signer: DeterministicSigner, fields: dict[str, Any], chain_id: Any
) -> None:
    given = without(fields, "chainId") if chain_id == "missing" else fields | {"chainId": chain_id}
    with pytest.raises(TransactionError, match="chainId"):
        account.sign_transaction(given)
    assert signer.asked == []


@pytest.mark.parametrize("fields", [without(legacy(), "chainId"), legacy(chainId=None, type=0)])
def test_a_replayable_transaction_is_signed_only_under_its_hazards_name(
    account: SignerAccount, signer: DeterministicSigner, fields: dict[str, Any]
) -> None:
    signed = account.unsafe_sign_replayable_transaction(fields)
    assert signed.v in {27, 28}
    assert signed == LOCAL.sign_transaction(without(fields, "type"))
    assert len(signer.asked) == 1


@pytest.mark.parametrize("fields", [legacy(), dynamic(), without(dynamic(), "chainId"), None])
def test_a_transaction_of_one_chain_is_not_signed_as_replayable(
    account: SignerAccount, signer: DeterministicSigner, fields: Any
) -> None:
    with pytest.raises(TransactionError):
        account.unsafe_sign_replayable_transaction(fields)
    assert signer.asked == []


SENDER = LOCAL.address


@pytest.mark.parametrize(
    "sender",
    [SENDER, SENDER.lower(), "0x" + SENDER[2:].upper(), bytes.fromhex(SENDER[2:])],
    ids=["checksummed", "lower", "upper", "bytes"],
)
def test_a_matching_from_is_left_out(account: SignerAccount, sender: Any) -> None:
    assert account.sign_transaction(dynamic(**{"from": sender})) == LOCAL.sign_transaction(
        dynamic()
    )


@pytest.mark.parametrize("sender", [TO, TO.lower(), "0x" + TO[2:].upper(), b"\xcc" * 20])
def test_another_from_is_refused_in_any_letter_case(
    account: SignerAccount, signer: DeterministicSigner, sender: Any
) -> None:
    with pytest.raises(SignerMismatch, match=SENDER):
        account.sign_transaction(dynamic(**{"from": sender}))
    assert signer.asked == []


AUTHORIZATION = LOCAL.sign_authorization(authorization()).model_dump(by_alias=True)


@pytest.mark.parametrize(
    "transaction",
    [
        None,
        "0x00",
        [],
        {},
        legacy(**{"from": "me"}),
        legacy(**{"from": None}),
        *(without(legacy(), name) for name in ("nonce", "gas", "gasPrice")),
        *(without(dynamic(), name) for name in ("nonce", "gas", "maxPriorityFeePerGas")),
        *(without(blob(), name) for name in ("maxFeePerBlobGas", "blobVersionedHashes")),
        *(legacy(type=kind) for kind in (2, 5, 127, 256, -1, None, "2", "", 0.0, True, [0])),
        dynamic(type=4),
        dynamic(gasPrice=1),
        dynamic(input="0x"),
        dynamic(v=1, r=2, s=3),
        dynamic(Value=5),
        *(legacy(value=value) for value in (1.0, 0.1, "5", "0x", "0x1_0", " 0x1", None, True)),
        *(legacy(value=value) for value in (-1, 2**256, "0x" + "1" * 65, b"\x05", [5], 1e18)),
        legacy(nonce=2**64),
        legacy(gas=2**64),
        legacy(chainId=1.0),
        legacy(chainId="1"),
        dynamic(maxFeePerGas=1.5),
        *(legacy(data=data) for data in ("0x0", "00", "0xzz", 5, None, [1], "text", 0.5)),
        *(legacy(to=to) for to in ("0x12", TO[2:], TO[:-1] + "c", b"\xcc" * 19, 0, "vitalik.eth")),
        legacy(to=[]),
        legacy(to=None),
        without(dynamic(), "to"),
        *each(dynamic, "accessList", None, 5, "0x", {}, [[TO, []]], [{"address": TO}]),
        dynamic(accessList=[{"address": TO, "storageKeys": [1.0]}]),
        dynamic(accessList=[{"address": TO, "storageKeys": 1}]),
        dynamic(accessList=[{"address": TO, "storageKeys": [2**256]}]),
        dynamic(accessList=[{"address": TO, "storageKeys": [], "more": 1}]),
        blob(to=None, data="0x6000"),
        *(blob(blobVersionedHashes=value) for value in (None, [], [b"\x01"], [bytes(32)], "0x01")),
        set_code(to=None, data="0x6000"),
        set_code(gasPrice=1),
        *each(set_code, "authorizationList", None, [], {}, [None], [{}]),
        *(
            set_code(authorizationList=[AUTHORIZATION | changes])
            for changes in ({"yParity": 2}, {"yParity": 27}, {"r": 1.0}, {"nonce": 2**64}, {"x": 1})
        ),
    ],
)
def test_a_malformed_transaction_is_refused_and_nothing_is_signed(
    account: SignerAccount, signer: DeterministicSigner, transaction: Any
) -> None:
    with pytest.raises(TransactionError):
        account.sign_transaction(transaction)
    assert signer.asked == []


def test_a_refusal_says_which_field_and_what_to_write(account: SignerAccount) -> None:
    with pytest.raises(TransactionError, match=r"^value is neither") as refusal:
        account.sign_transaction(dynamic(value=0.1))
    assert "wei" in str(refusal.value.hint)


# --- against eth-account, over the space of fields --------------------------------------------------

words = st.one_of(st.integers(0, 2**256 - 1), st.integers(0, 300))
short = st.integers(0, 2**64 - 1)
addresses = st.binary(min_size=20, max_size=20)
chains = st.one_of(st.integers(1, 2**63), st.sampled_from(CHAIN_IDS))
access_lists = st.lists(
    st.fixed_dictionaries({"address": addresses, "storageKeys": st.lists(words, max_size=3)}),
    max_size=3,
)
call = {"nonce": short, "gas": short, "to": addresses, "chainId": chains}
optional = {"value": words, "data": st.binary(max_size=120)}
fees = {"maxFeePerGas": words, "maxPriorityFeePerGas": words}
hashes = st.lists(st.binary(min_size=31, max_size=31).map(lambda h: b"\x01" + h), min_size=1)
authorizations = st.lists(
    st.fixed_dictionaries(
        {"chainId": words, "address": addresses, "nonce": short, "yParity": st.sampled_from([0, 1])}
        | {"r": words, "s": words}
    ),
    min_size=1,
    max_size=3,
)
transactions = st.one_of(
    st.fixed_dictionaries(call | {"gasPrice": words}, optional=optional),
    st.fixed_dictionaries(
        call | {"gasPrice": words, "accessList": access_lists}, optional=optional
    ),
    st.fixed_dictionaries(call | fees, optional=optional | {"accessList": access_lists}),
    st.fixed_dictionaries(
        call
        | fees
        | {"type": st.just(3), "maxFeePerBlobGas": words, "blobVersionedHashes": hashes},
        optional=optional | {"accessList": access_lists},
    ),
    st.fixed_dictionaries(
        call | fees | {"authorizationList": authorizations},
        optional=optional | {"accessList": access_lists},
    ),
)


@settings(max_examples=250, deadline=None)
@given(transactions)
@example(legacy(data=b"\x7f"))
@example(legacy(data=b"\x80"))
@example(legacy(data=bytes(55)))
@example(legacy(data=bytes(56)))
@example(legacy(data=bytes(70000)))
def test_any_transaction_signs_as_eth_account_signs_it(transaction: dict[str, Any]) -> None:
    signer = DeterministicSigner(KEY)
    signed = SignerAccount(signer).sign_transaction(transaction)
    assert signed == LOCAL.sign_transaction(transaction)
    assert len(signer.asked) == 1


junk: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=70), st.binary()
)
junk = st.one_of(junk, st.lists(junk, max_size=2), st.dictionaries(st.text(), junk, max_size=2))
field_names = sorted({*legacy(), *blob(), *set_code(), "accessList", "type", "from", "data", "x"})


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from([legacy(), dynamic(), blob(), set_code()]),
    st.dictionaries(st.sampled_from(field_names), junk, min_size=1, max_size=3),
)
def test_hostile_fields_raise_only_our_own_errors_and_sign_nothing(
    fields: dict[str, Any], changes: dict[str, Any]
) -> None:
    signer = DeterministicSigner(KEY)
    raw = b""
    with suppress(InputError, SignerMismatch):
        raw = SignerAccount(signer).sign_transaction(fields | changes).raw_transaction
    assert len(signer.asked) == bool(raw)
    assert not raw or Account.recover_transaction(raw) == LOCAL.address


# --- vectors and blobs ----------------------------------------------------------------------------


def test_the_example_of_eip_155_comes_out_byte_for_byte() -> None:
    account, case = vector_account(), VECTORS["eip155"]
    signed = account.sign_transaction(case["transaction"])
    assert account.address == VECTORS["address"]
    assert signed.raw_transaction.to_0x_hex() == case["raw"]
    assert [h.hex() for h in account._signer.asked] == [case["digest"][2:]]  # type: ignore[attr-defined]  # the fake


def test_a_blob_transaction_in_both_forms_signs_the_same_body() -> None:
    account, case = vector_account(), VECTORS["blob"]
    blobs = [bytes.fromhex(case["field_element"][2:]) * 4096]
    network = account.sign_transaction(case["transaction"], blobs=blobs)
    named = case["transaction"] | {"blobVersionedHashes": [case["versioned_hash"]]}
    canonical = account.sign_transaction(named)

    assert canonical.raw_transaction.to_0x_hex() == case["canonical"]
    assert len(network.raw_transaction) == case["network_length"]
    assert "0x" + evm.keccak256(network.raw_transaction).hex() == case["network_keccak256"]
    assert network[2:] == canonical[2:]
    assert network.hash.to_0x_hex() == canonical.hash.to_0x_hex() == case["hash"]


@pytest.mark.parametrize(
    ("fields", "blobs"),
    [
        (dynamic(), [bytes(131072)]),
        (legacy(), [bytes(131072)]),
        (set_code(), []),
        (without(blob(), "blobVersionedHashes"), []),
        (without(blob(), "blobVersionedHashes"), [bytes(131071)]),
        (without(blob(), "blobVersionedHashes"), [bytes(131072)] * 7),
        (without(blob(), "blobVersionedHashes"), ["not hex"]),
        (without(blob(), "blobVersionedHashes"), 5),
    ],
)
def test_blobs_that_do_not_fit_are_refused_and_nothing_is_signed(
    account: SignerAccount, signer: DeterministicSigner, fields: dict[str, Any], blobs: Any
) -> None:
    with pytest.raises(TransactionError):
        account.sign_transaction(fields, blobs=blobs)
    assert signer.asked == []


@pytest.mark.parametrize("fields", [None, "transaction", [], {}])
def test_the_reader_of_transactions_takes_only_a_dict_of_fields(fields: Any) -> None:
    with pytest.raises(TransactionError):
        read_transaction(fields)


@pytest.mark.parametrize("key", [b"\x07".rjust(32, b"\0"), "0x07", 7])
def test_a_storage_key_may_be_32_bytes_or_a_quantity(account: SignerAccount, key: Any) -> None:
    access = [{"address": TO, "storageKeys": [key]}]
    expected = [{"address": TO, "storageKeys": [7]}]
    assert account.sign_transaction(dynamic(accessList=access)) == LOCAL.sign_transaction(
        dynamic(accessList=expected)
    )


def test_versioned_hashes_that_are_not_the_blobs_are_refused(
    account: SignerAccount, signer: DeterministicSigner
) -> None:
    with pytest.raises(TransactionError, match="not those of the blobs"):
        account.sign_transaction(blob(), blobs=[bytes(131072)])
    assert signer.asked == []


# --- EIP-7702 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("chain_id", [0, 1, 2**53 + 1, 2**256 - 1])
@pytest.mark.parametrize("nonce", [0, 1, 2, 3, 2**64 - 1])
def test_an_authorization_equals_eth_accounts(
    account: SignerAccount, signer: DeterministicSigner, chain_id: int, nonce: int
) -> None:
    asked = authorization(chainId=chain_id, nonce=nonce)
    signed = account.sign_authorization(asked)
    assert isinstance(signed, SignedSetCodeAuthorization)
    assert signed == LOCAL.sign_authorization(asked)
    assert signed.y_parity in {0, 1}
    assert signed.authority == bytes.fromhex(account.address[2:])
    assert signer.asked == [bytes(signed.authorization_hash)]


def test_an_authorization_of_its_own_goes_into_a_set_code_transaction(
    account: SignerAccount,
) -> None:
    fields = set_code(authorizationList=[account.sign_authorization(authorization())])
    assert account.sign_transaction(fields) == LOCAL.sign_transaction(set_code())


@pytest.mark.parametrize(
    "asked",
    [
        None,
        {},
        "x",
        *(without(authorization(), name) for name in authorization()),
        *(authorization(chainId=value) for value in (None, -1, 1.0, "1", 2**256)),
        *(authorization(nonce=value) for value in (None, -1, 1.0, True, 2**64)),
        *(authorization(address=value) for value in (None, "", "0x12", b"", TO[:-1] + "c")),
        authorization(yParity=0),
    ],
)
def test_a_malformed_authorization_is_refused_and_nothing_is_signed(
    account: SignerAccount, signer: DeterministicSigner, asked: Any
) -> None:
    with pytest.raises(TransactionError):
        account.sign_authorization(asked)
    assert signer.asked == []


# --- inside an event loop -------------------------------------------------------------------------


def test_it_signs_inside_a_running_event_loop_and_beside_it(
    account: SignerAccount, signer: DeterministicSigner
) -> None:
    message = encode_defunct(text="x")

    async def both() -> tuple[SignedMessage, SignedMessage]:
        return account.sign_message(message), await asyncio.to_thread(account.sign_message, message)

    assert asyncio.run(both()) == (LOCAL.sign_message(message),) * 2
    assert len(signer.asked) == 2
