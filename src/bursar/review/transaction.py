"""The review itself: from Crossmint's transaction object to what it does, or to a refusal. Pure.

Read from the top: `review` is what stands before the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bursar.chains.evm import parse_address
from bursar.errors import IntentMismatch, Unverifiable
from bursar.review import fields
from bursar.review.actions import read_action
from bursar.review.approvals import Pending, Signer, pending_for
from bursar.review.calldata import Execution, decode_execution
from bursar.review.chains import CHAINS, Chain
from bursar.review.comparison import require_asked
from bursar.review.deployment import Deployment, read_deployment
from bursar.review.fee import worst_case
from bursar.review.intent import BatchIntent, Intent
from bursar.review.nonce import Nonce, read_nonce
from bursar.review.operation import UserOperation, read_operation
from bursar.review.report import Review, ReviewedCall
from bursar.review.terms import DEFAULT_TERMS, Terms


def review(
    transaction: Mapping[str, Any],
    intent: Intent | BatchIntent,
    *,
    signer: str,
    wallet: str,
    terms: Terms = DEFAULT_TERMS,
) -> Review:
    """Return what a transaction does, once it is shown to be this payment, or these, and nothing else.

    `transaction` is Crossmint's transaction object as JSON, `signer` our locator (`external-wallet:0x…`), `wallet`
    the address that must pay. It does not judge whether it is allowed: that is the policy's.

    Raises:
        IntentMismatch: it is verified, and something else than was asked for.
        Unverifiable, NotAwaitingApproval, LocatorError, AddressError: as `explain`.
    """
    found = explain(transaction, signer=signer, wallet=wallet, terms=terms)
    require_asked(found, intent)
    return replace(found, intent=intent)


def explain(
    transaction: Mapping[str, Any],
    *,
    signer: str,
    wallet: str,
    terms: Terms = DEFAULT_TERMS,
) -> Review:
    """Return what a transaction that waits for our signature does, whatever that is.

    Raises:
        Unverifiable: the hash is not the operation's, the message is not the hash, or a part of the operation is
            of a kind that is not known; `what` names it.
        IntentMismatch: it is another wallet's.
        NotAwaitingApproval: it has another status, or nothing in it waits for this signer.
        LocatorError, AddressError: `signer` or `wallet` is not of that kind.
    """
    ours, sender = Signer.parse(signer), parse_address(wallet)
    body = fields.mapping(transaction, "transaction")
    identity = fields.text(body.get("id"), "id")
    chain = _chain(body)
    pending = pending_for(body, ours)
    operation, operation_hash = _verified(body, chain, pending)
    if operation.sender != sender:
        raise IntentMismatch(
            f"the transaction is of wallet {operation.sender}, but {sender} was asked for",
            hint="do not sign it; show the transaction and ask Crossmint",
        )
    nonce = read_nonce(operation.nonce)
    execution = _execution(operation, terms)
    return Review(
        chain=chain.name,
        chain_id=chain.chain_id,
        wallet=sender,
        signer=str(ours),
        transaction=identity,
        hash=operation_hash,
        calls=_calls(execution, sender, nonce),
        may_fail=execution.may_fail,
        fee=worst_case(operation),
        nonce=operation.nonce,
        deployment=_deployment(operation, nonce, terms, ours, pending),
    )


def _chain(body: Mapping[str, Any]) -> Chain:
    for name, wanted in (("chainType", "evm"), ("walletType", "smart")):
        if body.get(name) not in (None, wanted):
            raise Unverifiable(f"{name} is {fields.shown(body[name])}, not {wanted}", what=name)
    name = fields.text(fields.mapping(body.get("params"), "params").get("chain"), "chain")
    if name not in CHAINS:
        raise Unverifiable(
            f"the chain {fields.shown(name)} is not one whose id bursar knows", what="chain"
        )
    return CHAINS[name]


def _verified(
    body: Mapping[str, Any], chain: Chain, pending: Pending
) -> tuple[UserOperation, bytes]:
    """Return the operation and its hash, once that is both the stated one and the one we are asked to sign."""
    on_chain = fields.mapping(body.get("onChain"), "onChain")
    operation = read_operation(on_chain.get("userOperation"))
    found = operation.hash(chain.chain_id)
    stated = fields.word(on_chain.get("userOperationHash"), "userOperationHash")
    if stated != found:
        raise Unverifiable(
            f"the user operation's hash on {chain.name} is 0x{found.hex()}, not 0x{stated.hex()} as stated",
            hint="the operation was altered, or it is for another EntryPoint than v0.7 or another chain",
            what="userOperationHash",
        )
    if pending.message != found:
        raise Unverifiable(
            f"the message to sign is 0x{pending.message.hex()}, not the user operation's hash 0x{found.hex()}",
            hint="do not sign it: it belongs to something else",
            what="message",
        )
    return operation, found


def _execution(operation: UserOperation, terms: Terms) -> Execution:
    execution = decode_execution(operation.call_data)
    if any(call.delegate for call in execution.calls) and not terms.delegatecall:
        code = execution.calls[0].to
        raise Unverifiable(
            f"the code of {code} would run as the wallet itself (delegatecall), which may do anything",
            what="callData",
        )
    return execution


def _calls(execution: Execution, wallet: str, nonce: Nonce) -> tuple[ReviewedCall, ...]:
    return tuple(
        ReviewedCall(call.to, call.value, read_action(call, wallet, nonce.validator))
        for call in execution.calls
    )


def _deployment(
    operation: UserOperation, nonce: Nonce, terms: Terms, ours: Signer, pending: Pending
) -> Deployment | None:
    if operation.factory is None:
        return None
    deployment = read_deployment(operation.factory, nonce, terms)
    # A quorum's validator is set up with its members, in a form of its own.
    expected = None if pending.in_quorum and deployment.owner is None else ours.address
    if deployment.owner != expected:
        owner = deployment.owner or "a validator's own data"
        raise Unverifiable(
            f"the new wallet would obey {owner}, not this signer {ours.address}", what="factoryData"
        )
    return deployment
