from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.crossmint.locators import (
    RecipientLocator,
    SignerLocator,
    TokenLocator,
    UserLocator,
)
from bursar.crossmint.requests import (
    Approval,
    ContractCall,
    DelegatedSignerConfig,
    DeviceSigner,
    EmailSigner,
    ExternalWallet,
    FunctionCall,
    Funding,
    HistoryQuery,
    KycData,
    NewMessageSignature,
    NewSigner,
    NewTransaction,
    NewTransfer,
    NewTypedDataSignature,
    NewWallet,
    PasskeySigner,
    PublicKeyPoint,
    SpendingLimit,
    TransferScope,
    UserDetails,
    UserRegistration,
)
from bursar.crossmint.writing import check_amount
from bursar.errors import AmountError, InputError, LocatorError, RequestError
from tests.unit.crossmint.bodies import ADDRESS, OTHER, OURS, SIGNATURE

TOKEN = TokenLocator.parse("base-sepolia:usdc")
RECIPIENT = RecipientLocator.parse(OTHER)
PASSKEY = PasskeySigner(id="p", name="laptop", public_key=PublicKeyPoint(x="1", y="2"))


def test_a_treasury_wallet_is_written_as_the_api_takes_it() -> None:
    request = NewWallet(admin_signer=ExternalWallet(address=ADDRESS), alias="treasury")
    assert request.body() == {
        "type": "smart",
        "chainType": "evm",
        "config": {
            "adminSigner": {"type": "external-wallet", "address": ADDRESS},
            "delegatedSigners": [],
        },
        "owner": "COMPANY",
        "alias": "treasury",
    }


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.lower(), OTHER])
def test_an_address_is_sent_in_the_letter_case_given(address: str) -> None:
    assert ExternalWallet(address=address).body()["address"] == address


def test_a_users_wallet_needs_no_alias() -> None:
    request = NewWallet(
        admin_signer=EmailSigner(email="ada@example.com"),
        owner=UserLocator("email", "ada@example.com"),
        creation_seed="s",
    )
    body = request.body()
    assert body["owner"] == "email:ada@example.com"
    assert body["config"]["creationSeed"] == "s"
    assert "alias" not in body


def test_delegated_signers_are_objects_or_locators() -> None:
    scope = TransferScope(
        token_locator=TOKEN,
        recipients=(RECIPIENT,),
        spending_limit=SpendingLimit(amount="10", interval=3600),
    )
    request = NewWallet(
        admin_signer=ExternalWallet(address=ADDRESS),
        alias="t",
        delegated_signers=(
            DelegatedSignerConfig(
                signer=DeviceSigner(public_key=PublicKeyPoint(x="1", y="2")),
                expires_at=datetime(2027, 1, 1, tzinfo=timezone(timedelta(hours=1))),
                scopes=(scope,),
            ),
            DelegatedSignerConfig(signer=SignerLocator.parse(OURS)),
        ),
    )
    device, locator = request.body()["config"]["delegatedSigners"]
    assert device["signer"] == {"type": "device", "publicKey": {"x": "1", "y": "2"}}
    assert device["expiresAt"] == "2026-12-31T23:00:00.000Z"
    assert device["scopes"] == [
        {
            "type": "transfer",
            "tokenLocator": "base-sepolia:usdc",
            "recipients": [OTHER],
            "spendingLimit": {"amount": "10", "interval": 3600},
        }
    ]
    assert locator == {"signer": OURS}


def test_a_transfer_leaves_the_token_to_the_path() -> None:
    request = NewTransfer(
        token=TOKEN,
        recipient=RECIPIENT,
        amount="0.20",
        signer=SignerLocator.parse(OURS),
        transaction_type="regulated-transfer",
    )
    assert request.body() == {
        "recipient": OTHER,
        "amount": "0.20",
        "signer": OURS,
        "transactionType": "regulated-transfer",
    }


def test_only_an_nft_goes_without_amount() -> None:
    nft = TokenLocator.parse(f"base:{OTHER}:7")
    assert NewTransfer(token=nft, recipient=RECIPIENT).body() == {"recipient": OTHER}
    with pytest.raises(AmountError):
        NewTransfer(token=TOKEN, recipient=RECIPIENT)


@pytest.mark.parametrize(
    "amount",
    [
        "0",
        "0.0",
        "-1",
        "+1",
        "1e3",
        "1,5",
        " 1",
        "1 ",
        "01",
        ".5",
        "5.",
        "",
        "٣",
        "1\n",
        1,
        0.2,
        None,
    ],
)
def test_what_is_not_an_amount_is_refused(amount: Any) -> None:
    with pytest.raises(AmountError):
        check_amount(amount)


def test_calls_and_typed_data_sit_under_params() -> None:
    transaction = NewTransaction(
        calls=(
            ContractCall(to=ADDRESS, value="1", data="0xAB"),
            FunctionCall(address=OTHER, function_name="f", abi=({"x": None},), args=(None, 1)),
        ),
        chain="base",
    )
    assert transaction.body() == {
        "params": {
            "calls": [
                {"to": ADDRESS, "value": "1", "data": "0xAB"},
                {"address": OTHER, "functionName": "f", "abi": [{"x": None}], "args": [None, 1]},
            ],
            "chain": "base",
        }
    }
    typed = NewTypedDataSignature(typed_data={"message": {"a": None}}, chain="base")
    assert typed.body() == {
        "type": "typed-data",
        "params": {"typedData": {"message": {"a": None}}, "chain": "base"},
    }
    message = NewMessageSignature(message="hi", chain="base", signer=SignerLocator.parse(OURS))
    assert message.body() == {
        "type": "message",
        "params": {"message": "hi", "chain": "base", "signer": OURS},
    }


def test_a_user_is_registered_with_what_a_payout_needs() -> None:
    details = UserDetails(
        first_name="Zoë",
        last_name="O'Neill-Ñ",
        date_of_birth=date(1990, 2, 3),
        country_of_residence="DE",
    )
    request = UserRegistration(user_details=details, kyc_data=KycData(nationality="FR"))
    assert request.body() == {
        "userDetails": {
            "firstName": "Zoë",
            "lastName": "O'Neill-Ñ",
            "dateOfBirth": "1990-02-03",
            "countryOfResidence": "DE",
        },
        "kycData": {"nationality": "FR"},
    }
    assert "Zoë" not in repr(request)


def test_an_approval_keeps_the_locator_as_crossmint_wrote_it() -> None:
    approval = Approval(signer="external-wallet:0xABC…", signature=SIGNATURE)
    assert approval.body() == {"signer": "external-wallet:0xABC…", "signature": SIGNATURE}


def test_a_new_signer_and_funding_and_history_are_written() -> None:
    signer = NewSigner(signer=ExternalWallet(address=OTHER), chain="base", deploy_immediately=True)
    assert signer.body() == {
        "signer": {"type": "external-wallet", "address": OTHER},
        "chain": "base",
        "deployImmediately": True,
    }
    assert Funding(amount=5, chain="base-sepolia").body() == {
        "amount": 5,
        "chain": "base-sepolia",
        "token": "usdxm",
    }
    query = HistoryQuery(
        chain="base", tokens=("usdc", "eth"), from_date=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert query.query() == {
        "chain": "base",
        "tokens": "usdc,eth",
        "status": "successful",
        "limit": "50",
        "sort": "desc",
        "fromDate": "2026-01-01T00:00:00.000Z",
    }


def person(**changes: Any) -> UserDetails:
    values: dict[str, Any] = {
        "first_name": "Ada",
        "last_name": "Lovelace",
        "date_of_birth": date(1990, 1, 1),
        "country_of_residence": "GB",
    }
    return UserDetails(**{**values, **changes})


WRONG: list[Callable[[], Any]] = [
    lambda: NewWallet(admin_signer=ExternalWallet(address=ADDRESS)),
    lambda: NewWallet(admin_signer=ExternalWallet(address=ADDRESS), alias="a b"),
    lambda: NewWallet(admin_signer=ExternalWallet(address=ADDRESS), alias="a", colour="red"),  # type: ignore[call-arg]  # what is tested
    lambda: NewWallet(
        admin_signer=ExternalWallet(address=ADDRESS),
        alias="a",
        chain_type="solana",
        creation_seed="s",
    ),
    lambda: NewWallet(admin_signer=PASSKEY, alias="a", chain_type="stellar"),
    lambda: NewWallet(admin_signer=DeviceSigner(public_key=PASSKEY.public_key), alias="a"),  # type: ignore[arg-type]  # what is tested
    lambda: ExternalWallet(address="0x12"),
    lambda: EmailSigner(email="ada"),
    lambda: NewTransfer(token=TOKEN, recipient=RECIPIENT, amount="1", transaction_type="gift"),  # type: ignore[arg-type]  # what is tested
    lambda: NewTransaction(calls=(), chain="base"),
    lambda: NewTransaction(calls=(ContractCall(to=ADDRESS),), chain="Base!"),
    lambda: ContractCall(to=ADDRESS, data="0xabc"),
    lambda: ContractCall(to=ADDRESS, value="-1"),
    lambda: Funding(amount=0, chain="base-sepolia"),
    lambda: Funding(amount=101, chain="base-sepolia"),
    lambda: Funding(amount=1.5, chain="base-sepolia"),  # type: ignore[arg-type]  # what is tested
    lambda: Approval(signer=OURS, signature="0x12"),
    lambda: Approval(signer=OURS, signature=SIGNATURE + "00"),
    lambda: Approval(signer="", signature=SIGNATURE),
    lambda: DelegatedSignerConfig(
        signer=SignerLocator.parse(OURS),
        expires_at=datetime(2027, 1, 1),  # noqa: DTZ001  what is tested
    ),
    lambda: HistoryQuery(chain="base", tokens=()),
    lambda: person(first_name=""),
    lambda: person(first_name=" "),
    lambda: person(last_name="a\nb"),
    lambda: person(country_of_residence="Germany"),
    lambda: person(date_of_birth="1990-01-01"),
    lambda: person(date_of_birth=date(1800, 1, 1)),
]


@pytest.mark.parametrize("make", WRONG, ids=[f"row {number}" for number in range(len(WRONG))])
def test_a_wrong_request_is_refused_before_anything_is_sent(make: Callable[[], Any]) -> None:
    with pytest.raises(InputError):
        make()


def test_a_refusal_names_the_field_and_not_the_value() -> None:
    with pytest.raises(RequestError) as caught:
        person(country_of_residence="Atlantis")
    assert "country" in caught.value.message
    assert "Atlantis" not in caught.value.message


def test_requests_do_not_change_once_made() -> None:
    request = NewTransfer(token=TOKEN, recipient=RECIPIENT, amount="1")
    with pytest.raises(Exception, match="frozen"):
        request.amount = "2"


def test_text_is_read_as_a_locator_where_one_belongs() -> None:
    values: dict[str, Any] = {"token": "base:USDC", "recipient": OTHER, "amount": "1"}
    assert NewTransfer(**values).token == TokenLocator("base", symbol="usdc")
    with pytest.raises(LocatorError):
        NewTransfer(**{**values, "recipient": "nobody"})


@given(
    values=st.dictionaries(
        st.sampled_from(["token", "recipient", "amount", "signer", "memo", "x"]),
        st.none() | st.text(max_size=20) | st.integers() | st.floats() | st.just(OTHER),
    )
)
def test_wild_values_raise_only_our_errors(values: dict[str, Any]) -> None:
    try:
        NewTransfer(**values)
    except InputError:
        return
