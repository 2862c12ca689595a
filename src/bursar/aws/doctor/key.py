"""The signing key: its kind and state, where its alias leads, its address, and whether the caller may sign.

Nothing is signed: KMS is asked with `DryRun`, which ends in `DryRunOperationException` where it would have signed.
CloudTrail records the attempt all the same, with that error or with AccessDenied, and AWS charges for it.
Source: KMS developer guide, "Testing your permissions".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from bursar.aws.cloud import aws_errors, error_code
from bursar.aws.doctor.case import Case
from bursar.aws.doctor.checks import Check, fail, ok, skip, warn
from bursar.chains import evm
from bursar.errors import KmsKeyNotFound
from bursar.kms.keys import KeyDescription, Keys

_DRY_RUN = b"bursar doctor: a dry run, nothing is to be signed"


def kind(case: Case) -> Iterator[Check]:
    """Does the key have the spec and usage its chain needs, and can it sign now? It costs `kms:DescribeKey`."""
    found = _describe(case)
    if found is None:
        yield skip("key", "there is no key yet; the first deployment makes it")
        return
    want = case.plan.key.kind.spec
    what = f"{found.key_arn}: {found.key_spec} for {found.key_usage}"
    if (found.key_spec, found.key_usage) != (want, "SIGN_VERIFY"):
        yield fail(
            "key.spec",
            f"{what}; {case.plan.key.chain} needs {want} for SIGN_VERIFY",
            "a key's kind is for ever: name another key, or make one",
        )
    else:
        yield ok("key.spec", what)
    yield _state(found)


def alias(case: Case) -> Iterator[Check]:
    """Does the alias lead to the stack's key, or to none before there is one? It costs `kms:DescribeKey`."""
    name, key_arn = case.outputs.get("KeyAlias") or case.plan.key.alias, case.outputs.get("KeyArn")
    key_arn = key_arn or case.plan.key.arn
    if not name:
        yield skip("key.alias", "the key has none")
        return
    try:
        target = Keys(case.cloud.kms).describe(name).key_arn
    except KmsKeyNotFound:
        yield _no_alias(name, key_arn)
        return
    if key_arn is None:
        yield ok("key.alias", f"{name} leads to {target}, and the deployment will use that key")
    elif target != key_arn:
        yield fail(
            "key.alias",
            f"{name} leads to {target}, and the signer's key is {key_arn}",
            f"aws kms update-alias --alias-name {name} --target-key-id {key_arn}; and find out who moved it",
        )
    else:
        yield ok("key.alias", f"{name} leads to it")


def addresses(case: Case) -> Iterator[Check]:
    """Is the key's address the one that stack, settings and wallet name? It costs `kms:GetPublicKey`."""
    found = _describe(case)
    if found is None or found.key_spec != evm.KMS_KEY_SPEC:
        yield skip("key.address", "there is no key yet" if found is None else "not an EVM key")
        return
    address = evm.parse_spki_der(Keys(case.cloud.kms).public_key(found.key_arn).spki_der).address
    pinned = case.outputs.get("SignerAddress")
    named: Mapping[str, str] = {
        **({"the function's pin": pinned} if pinned else {}),
        **case.question.addresses,
    }
    others = {what: other for what, other in named.items() if not evm.same_address(other, address)}
    for what, other in others.items():
        yield fail(
            "key.address",
            f"the key's address is {address}, and {what} is {other}",
            "use the key that the wallet was made with; another key cannot move the treasury",
        )
    if not others:
        agreed = f", as {' and '.join(named)} says" if named else ""
        yield ok("key.address", f"{address}{agreed}")


def dry_run(case: Case) -> Iterator[Check]:
    """May the caller itself sign with the key? Asked with `DryRun`: nothing is signed. It costs `kms:Sign`."""
    if case.cloud.emulated:
        yield skip("key.dry-run", "the local emulator signs in earnest when asked for a dry run")
        return
    question = case.question
    if question.via != "kms" and "TrailLogGroup" in case.outputs and not question.dry_run:
        why = "signatures are asked for elsewhere, and an alarm tells of others who try the key"
        yield skip("key.dry-run", why, "to try it all the same: bursar doctor --only key.dry-run")
        return
    found = _describe(case)
    if found is None or found.state != "Enabled":
        yield skip("key.dry-run", "there is no key that is enabled")
        return
    yield _judge(case, _try_to_sign(case, found.key_arn))


def _describe(case: Case) -> KeyDescription | None:
    name = case.outputs.get("KeyArn") or case.plan.key.arn or case.plan.key.alias
    try:
        return Keys(case.cloud.kms).describe(name)
    except KmsKeyNotFound:
        if name == case.plan.key.alias and "KeyArn" not in case.outputs:
            return None
        raise


def _state(found: KeyDescription) -> Check:
    enable = f"aws kms enable-key --key-id {found.key_arn}"
    ways_out = {
        "Disabled": enable,
        "PendingDeletion": f"aws kms cancel-key-deletion --key-id {found.key_arn}; then {enable}",
    }
    if found.state == "Enabled":
        return ok("key.state", "Enabled")
    return fail("key.state", f"{found.state}: it cannot sign", ways_out.get(found.state))


def _no_alias(name: str, key_arn: str | None) -> Check:
    if key_arn is None:
        return ok("key.alias", f"{name} is free; the first deployment makes it")
    make = f"aws kms create-alias --alias-name {name} --target-key-id {key_arn}"
    return fail("key.alias", f"there is no alias {name}", make)


def _try_to_sign(case: Case, key_arn: str) -> str:
    """Return AWS's error code of a dry run, `signed` where a signature came back after all."""
    from botocore.exceptions import ClientError

    kind = case.plan.key.kind
    # A digest of a text that says what it is: should it be signed all the same, it moves nothing.
    message = hashlib.sha256(_DRY_RUN).digest() if kind.message_type == "DIGEST" else _DRY_RUN
    asked: dict[str, Any] = {
        "KeyId": key_arn,
        "Message": message,
        "MessageType": kind.message_type,
        "SigningAlgorithm": kind.algorithm,
        "DryRun": True,
    }
    with aws_errors():
        try:
            case.cloud.kms.sign(**asked)
        except ClientError as error:
            code = error_code(error)
            if code not in {"DryRunOperationException", "AccessDeniedException"}:
                raise
            return code
    return "signed"


def _judge(case: Case, outcome: str) -> Check:
    name, direct = "key.dry-run", case.question.via == "kms"
    if outcome == "signed":
        return fail(
            name,
            "the endpoint signed in earnest when asked for a dry run: it is not AWS KMS, or not as documented",
            "find out what answers for KMS here: AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_KMS, a proxy",
        )
    if outcome == "AccessDeniedException":
        if direct:
            return fail(
                name,
                "the settings have this caller sign with KMS itself (signer.via = kms), and KMS would not let it",
                "name its role in key.users and deploy, or ask through the API (signer.via = api)",
            )
        return ok(name, "KMS would not let this caller sign: only the signer's own role may")
    if direct or any(case.caller.is_principal(arn) for arn in case.plan.key.users):
        return ok(name, "KMS would let this caller sign, as the settings say")
    return warn(
        name,
        f"KMS would let {case.caller.arn} sign, past the API and its records",
        "take kms:Sign on the key from it; `bursar aws access-review` shows where it comes from",
    )
