"""Crossmint's answers as the public description has them, written by hand; addresses and ids are made up."""

from __future__ import annotations

from typing import Any

ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"  # an all-capitals example of EIP-55
OTHER = "0xde709f2102306220921060314715629080e2fb77"  # an all-lower example of EIP-55
WALLET = "0x27b1fdb04752bbc536007a920d24acb045561c26"
OURS = f"external-wallet:{ADDRESS}"
HASH = "0x" + "5a" * 32
SIGNATURE = "0x" + "11" * 65


def signer(address: str = ADDRESS) -> dict[str, Any]:
    return {
        "type": "external-wallet",
        "address": address,
        "locator": f"external-wallet:{address}",
    }


def wallet(**changes: Any) -> dict[str, Any]:
    return {
        "chainType": "evm",
        "type": "smart",
        "address": WALLET,
        "config": {"adminSigner": signer(), "delegatedSigners": []},
        "owner": "COMPANY",
        "alias": "treasury",
        "createdAt": "2026-01-02T03:04:05.678Z",
        **changes,
    }


def user_operation() -> dict[str, Any]:
    return {
        "sender": WALLET,
        "nonce": "0x1",
        "callData": "0xe9ae5c53",
        "callGasLimit": "0x1",
        "verificationGasLimit": "0x2",
        "preVerificationGas": "0x3",
        "maxFeePerGas": "0x4",
        "maxPriorityFeePerGas": "0x5",
        "signature": "0x",
    }


def transaction(**changes: Any) -> dict[str, Any]:
    return {
        "id": "7f9c0a1e-5d11-4a39-9d2f-0a4c53a4b001",
        "chainType": "evm",
        "walletType": "smart",
        "status": "awaiting-approval",
        "createdAt": "2026-01-02T03:04:05.678Z",
        "params": {
            "calls": [{"to": OTHER, "value": "0", "data": "0x"}],
            "chain": "base-sepolia",
            "signer": signer(),
        },
        "onChain": {"userOperation": user_operation(), "userOperationHash": HASH},
        "approvals": {"pending": [{"signer": signer(), "message": HASH}], "submitted": []},
        "sendParams": {
            "token": "base-sepolia:usdc",
            "params": {
                "amount": "0.2",
                "recipient": f"address:{OTHER}:base-sepolia",
                "recipientAddress": OTHER,
            },
        },
        **changes,
    }


def quorum_transaction() -> dict[str, Any]:
    return transaction(
        approvals={
            "pending": [
                {
                    "signer": {"type": "quorum", "locator": "quorum:q1"},
                    "quorumApprovals": {
                        "threshold": 2,
                        "remaining": 1,
                        "pending": [{"signer": signer(), "message": HASH}],
                        "submitted": [
                            {
                                "signer": signer(OTHER),
                                "message": "0x" + "77" * 32,
                                "signature": SIGNATURE,
                                "submittedAt": 1767323045678,
                            }
                        ],
                    },
                }
            ],
            "submitted": [],
        }
    )


def signature(**changes: Any) -> dict[str, Any]:
    return {
        "id": "sig-1",
        "type": "message",
        "chainType": "evm",
        "walletType": "smart",
        "status": "awaiting-approval",
        "params": {"message": "hello", "chain": "base-sepolia"},
        "approvals": {"pending": [{"signer": signer(), "message": HASH}], "submitted": []},
        "createdAt": 1767323045678,
        **changes,
    }


def balance() -> dict[str, Any]:
    return {
        "symbol": "usdc",
        "name": "USDC",
        "decimals": 6,
        "amount": "12.5",
        "rawAmount": "12500000",
        "chains": {
            "base-sepolia": {
                "locator": f"base-sepolia:{OTHER}",
                "amount": "12.5",
                "rawAmount": "12500000",
                "contractAddress": OTHER,
            }
        },
    }


def delegated_signer() -> dict[str, Any]:
    pending = {"pending": [{"signer": signer(), "message": HASH}], "submitted": []}
    return {
        **signer(OTHER),
        "expiresAt": 1767323045678,
        "chains": {
            "base-sepolia": {"id": "reg-1", "status": "awaiting-approval", "approvals": pending}
        },
    }


def past_transfer(**changes: Any) -> dict[str, Any]:
    return {
        "type": "wallets.transfer.out",
        "sender": {"address": WALLET, "chain": "base-sepolia", "locator": WALLET},
        "recipient": {"address": OTHER, "chain": "base-sepolia", "locator": OTHER},
        "token": {
            "type": "fungible",
            "chain": "base-sepolia",
            "locator": f"base-sepolia:{OTHER}",
            "amount": "0.2",
            "rawAmount": "200000",
            "decimals": 6,
        },
        "status": "succeeded",
        "transferId": "t-1",
        "completedAt": "2026-01-02T03:04:05Z",
        "onChain": {"txId": "0x" + "aa" * 32, "explorerLink": "https://example.org/tx"},
        **changes,
    }
