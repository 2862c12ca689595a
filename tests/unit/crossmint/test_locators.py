from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.crossmint.locators import (
    SIGNER_KINDS,
    Locator,
    RecipientLocator,
    SignerLocator,
    TokenLocator,
    UserLocator,
    WalletLocator,
    signer_key,
)
from bursar.errors import LocatorError
from tests.unit.crossmint.bodies import ADDRESS, OTHER

SOLANA = "7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV9"
STELLAR = "GBRPYHIL2CI3FNQ4BXLFMNDLFJUNPU2HY3ZMFSHONUCEOASW7QC7OX2H"
MOVE = "0x" + "0a" * 32

WALLETS = [
    ADDRESS,
    OTHER,
    SOLANA,
    STELLAR,
    MOVE,
    "evm:smart:alias:treasury",
    "evm:alias:treasury",
    "solana:mpc:alias:pay-roll.1",
    "email:ada+pay@example.com:evm",
    "email:ada@example.com:evm:smart:alias:second",
    "userId:42:stellar:smart",
    "userId:alias:evm:alias:alias",
    "phoneNumber:+4915112345678:evm",
    "twitter:ada:solana:alias:x",
    "x:ada:evm",
    "me:evm:smart",
    "me:solana:alias:mine",
    "email:ada@example.com:evm-smart-wallet",
    "me:solana-mpc-wallet",
]
USERS = [
    "email:ada@example.com",
    "userId:a-b_c.1",
    "userId:größe",
    "phoneNumber:+14155550100",
    "twitter:ada",
    "x:ada",
]
SIGNERS = [
    f"external-wallet:{ADDRESS}",
    f"server:{OTHER}",
    f"external-wallet:{SOLANA}",
    "email:ada@example.com",
    "phone:+14155550100",
    "passkey:Zm9v_YmFy-1",
    "device:BA+/=",
    "api-key",
    f"api-key:{ADDRESS}",
    "quorum:q-1",
    f"evm-keypair:{ADDRESS}",
    f"solana-keypair:{SOLANA}",
    "evm-passkey:abc",
    "evm-fireblocks-custodial",
    "solana-fireblocks-custodial",
]
TOKENS = [
    "base-sepolia:usdc",
    f"base:{ADDRESS}",
    f"polygon-amoy:{OTHER}:17",
    f"solana:{SOLANA}",
    "polygon:usdc.e",
    "sei-atlantic-2-testnet:usdxm",
]
RECIPIENTS = [
    ADDRESS,
    SOLANA,
    f"base-sepolia:{ADDRESS}",
    "email:ada@example.com",
    "email:ada@example.com:polygon-amoy",
    "userId:42:base",
    "x:ada",
]
ALL: list[tuple[type[Locator], str]] = [
    *((WalletLocator, text) for text in WALLETS),
    *((UserLocator, text) for text in USERS),
    *((SignerLocator, text) for text in SIGNERS),
    *((TokenLocator, text) for text in TOKENS),
    *((RecipientLocator, text) for text in RECIPIENTS),
]
KINDS = [WalletLocator, UserLocator, SignerLocator, TokenLocator, RecipientLocator]


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_every_form_prints_as_it_was_written(kind: type[Locator], text: str) -> None:
    parsed = kind.parse(text)
    assert str(parsed) == text
    assert kind.parse(str(parsed)) == parsed


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_a_segment_holds_no_separator_and_decodes_to_the_locator(
    kind: type[Locator], text: str
) -> None:
    segment = kind.parse(text).segment
    assert not set(segment) & set(":@+/?#= ")
    assert unquote(segment) == text


def test_a_segment_encodes_colon_at_and_plus() -> None:
    locator = WalletLocator.parse("email:ada+pay@example.com:evm")
    assert locator.segment == "email%3Aada%2Bpay%40example.com%3Aevm"


def test_the_treasury_wallet_is_named_by_its_alias() -> None:
    assert str(WalletLocator.treasury("treasury")) == "evm:smart:alias:treasury"


def test_a_token_symbol_is_kept_in_lower_case() -> None:
    assert str(TokenLocator.parse("base-sepolia:USDC")) == "base-sepolia:usdc"


def test_a_recipient_as_answers_write_it_is_read() -> None:
    recipient = RecipientLocator.parse(f"address:{OTHER}:base-sepolia")
    assert recipient == RecipientLocator(address=OTHER, chain="base-sepolia")
    assert str(recipient) == f"base-sepolia:{OTHER}"


@pytest.mark.parametrize("kind", ["external-wallet", "server", "evm-keypair", "api-key"])
def test_signers_compare_without_letter_case_on_evm(kind: str) -> None:
    one, other = SignerLocator(kind, ADDRESS), SignerLocator(kind, ADDRESS.lower())
    assert one == other
    assert len({one, other}) == 1
    assert str(one) != str(other)


def test_signers_of_other_chains_compare_with_letter_case() -> None:
    assert SignerLocator("server", SOLANA) != SignerLocator("server", SOLANA[:-1] + "8")
    assert signer_key("passkey:aB") != signer_key("passkey:ab")
    assert SignerLocator("external-wallet", OTHER) != SignerLocator("server", OTHER)
    assert SignerLocator("api-key") != "api-key"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (WalletLocator, ""),
        (WalletLocator, "treasury"),
        (WalletLocator, ".."),
        (WalletLocator, "evm"),
        (WalletLocator, "evm:smart"),
        (WalletLocator, "evm:huge:alias:x"),
        (WalletLocator, "bitcoin:alias:x"),
        (WalletLocator, "evm:alias:"),
        (WalletLocator, "evm:alias:a/b"),
        (WalletLocator, "evm:alias:a b"),
        (WalletLocator, "evm:alias:a\nb"),
        (WalletLocator, "evm:alias:%2e%2e"),
        (WalletLocator, "me"),
        (WalletLocator, "email:ada@example.com"),
        (WalletLocator, "evm-smart-wallet:alias:x"),
        (WalletLocator, "email:ada@example.com:evm-smart-wallet:alias:x"),
        (WalletLocator, "userId:../../x:evm"),
        (WalletLocator, ADDRESS[:-1] + "e"),
        (WalletLocator, ADDRESS[:-1]),
        (WalletLocator, ADDRESS + "\n"),
        (UserLocator, "email:ada"),
        (UserLocator, "email:a@b@c.de"),
        (UserLocator, "phoneNumber:0151"),
        (UserLocator, "phoneNumber:+٤٩١٥١١٢٣"),
        (UserLocator, "userId:"),
        (UserLocator, "userId:a:b"),
        (UserLocator, "discord:ada"),
        (UserLocator, "userId:\ud800"),
        (SignerLocator, "external-wallet"),
        (SignerLocator, "external-wallet:0x12"),
        (SignerLocator, "passkey:a b"),
        (SignerLocator, "COMPANY"),
        (SignerLocator, "quorum:a:b"),
        (TokenLocator, "usdc"),
        (TokenLocator, "base:usdc:1"),
        (TokenLocator, f"base:{OTHER}:-1"),
        (TokenLocator, f"base:{OTHER}:01"),
        (TokenLocator, "Base:usdc"),
        (TokenLocator, "base:us dc"),
        (RecipientLocator, "ada"),
        (RecipientLocator, "base:ada"),
        (RecipientLocator, f"base:{OTHER}:x"),
        (RecipientLocator, "email:ada@example.com:base:x"),
        (RecipientLocator, f"address:address:{OTHER}"),
        *((kind, "a" * 5000) for kind in KINDS),
    ],
)
def test_what_is_not_a_locator_is_refused(kind: type[Locator], text: str) -> None:
    with pytest.raises(LocatorError):
        kind.parse(text)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_hostile_text_raises_only_our_error_or_round_trips(
    kind: type[Locator], data: st.DataObject
) -> None:
    piece = st.one_of(
        st.sampled_from([*WALLETS, *SIGNERS, *TOKENS, "alias", "me", "address", "..", "", ADDRESS]),
        st.text(max_size=12),
    )
    text = ":".join(data.draw(st.lists(piece, max_size=5)))
    try:
        parsed = kind.parse(text)
    except LocatorError:
        return
    assert kind.parse(str(parsed)) == parsed
    assert "/" not in parsed.segment
    assert parsed.segment not in (".", "..")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("thing", [None, 3, b"evm:alias:x", ["evm"], {}])
def test_what_is_not_text_is_refused(kind: type[Locator], thing: Any) -> None:
    with pytest.raises(LocatorError):
        kind.parse(thing)


value = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=1, max_size=30
).filter(
    lambda text: text.isprintable() and not set(text) & set(':/\\?#%"<>') and not text.isspace()
)


@given(
    user=st.none() | st.builds(UserLocator, st.just("userId"), value.filter(str.isprintable)),
    chain_type=st.sampled_from(["evm", "solana", "stellar"]),
    wallet_type=st.sampled_from([None, "smart", "mpc"]),
    alias=value,
)
def test_a_wallet_round_trips_whatever_the_parts_say(
    user: UserLocator | None, chain_type: str, wallet_type: str | None, alias: str
) -> None:
    wallet = WalletLocator(user=user, chain_type=chain_type, wallet_type=wallet_type, alias=alias)
    assert WalletLocator.parse(str(wallet)) == wallet


def test_a_wallet_is_named_one_way_only() -> None:
    user = UserLocator("userId", "42")
    wrongs: tuple[dict[str, Any], ...] = (
        {"address": ADDRESS, "alias": "x"},
        {"user": user, "me": True, "chain_type": "evm"},
        {"chain_type": "evm"},
        {"user": user, "chain_type": "evm", "wallet_type": "evm-smart-wallet"},
    )
    for wrong in wrongs:
        with pytest.raises(LocatorError):
            WalletLocator(**wrong)


def test_tokens_and_recipients_need_exactly_one_name() -> None:
    with pytest.raises(LocatorError):
        TokenLocator("base")
    with pytest.raises(LocatorError):
        TokenLocator("base", symbol="usdc", contract=OTHER)
    with pytest.raises(LocatorError):
        RecipientLocator()
    with pytest.raises(LocatorError):
        RecipientLocator(address=OTHER, chain="email")


def test_every_kind_of_signer_is_covered_by_an_example() -> None:
    assert {text.partition(":")[0] for text in SIGNERS} == set(SIGNER_KINDS)


def test_a_message_does_not_repeat_a_mistyped_person() -> None:
    with pytest.raises(LocatorError) as caught:
        UserLocator.parse("email:ada.lovelace")
    assert "lovelace" not in caught.value.message
