"""Deploy the signing function and its API, and look at them.

`prepare` builds the zip, uploads it and makes a change set; `finish` executes it. Between the two a person can
look at the changes. Every step can be repeated: an interrupted deployment is simply run again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bursar.aws import (
    adoption,
    artifacts,
    changes,
    memory,
    preflight,
    readiness,
    safeguards,
    stacks,
)
from bursar.aws.artifacts import Artifact
from bursar.aws.bundle import Bundle, build_bundle
from bursar.aws.changes import Preview
from bursar.aws.cloud import Cloud, api_url
from bursar.aws.plan import StackPlan, require_sound
from bursar.aws.policy_change import PolicyChange, policy_change, require_policy_is_meant_to_go
from bursar.aws.running import Running, require_deployed, running
from bursar.aws.stacks import Stack, StackEvent
from bursar.aws.template import (
    CODE_BUCKET,
    CODE_HASH,
    CODE_KEY,
    SIGNING_KEY,
    blind_signing,
    build_template,
)
from bursar.aws.wheels import Target, fetch_wheels, host_target
from bursar.chains import evm
from bursar.errors import AwsAccessDenied, ConfigError, KmsError, KmsKeyNotFound, StackError
from bursar.kms.keys import KeyDescription, Keys
from bursar.kms.names import parse_key_name

Tell = Callable[[StackEvent], None]

# The role's name, which IAM keeps to 64 characters, has the Region behind it.
_STACK_NAME = re.compile(r"\A[A-Za-z][A-Za-z0-9-]{0,39}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """What to deploy and where. `key` names an existing key to use; else `plan.key.alias` is used, or made.

    `wheels` is a directory to take the function's packages from, `bucket` an S3 bucket to put its zip in.
    `without_policy`: a policy that is deployed may be taken away.
    """

    stack: str
    plan: StackPlan = field(default_factory=StackPlan)
    key: str | None = None
    wheels: Path | None = None
    bucket: str | None = None
    without_policy: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A deployment that is ready: its plan, its code, and what it would change. Nothing has changed yet.

    `blind_signing_before` is `allowed` or `refused` as last deployed, None where nothing is. `notes` are what
    whoever says yes should know. `policy` is what becomes of the policy, None where there is none before or after.
    """

    plan: StackPlan
    bundle: Bundle
    artifact: Artifact
    preview: Preview
    blind_signing_before: str | None
    notes: tuple[str, ...] = ()
    policy: PolicyChange | None = None

    @property
    def blind_signing(self) -> str:
        """What it would be: `allowed` or `refused`."""
        return blind_signing(allowed=self.plan.function.blind_signing)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed signer. `address` is None where the public key cannot be read.

    `key_state` is KMS's word, such as Enabled or PendingDeletion, or `gone`; None where the caller may not look.
    `blind_signing` is the function's own switch, `allowed` or `refused`, whatever the stack says; `differences`
    names the settings of the function that were changed outside the stack. `protected` is whether the stack is
    safe from deletion by mistake.
    """

    stack: str
    status: str
    outputs: dict[str, str]
    url: str
    address: str | None
    key_state: str | None
    code_is_ours: bool
    blind_signing: str
    differences: tuple[str, ...]
    protected: bool = False


def prepare(
    cloud: Cloud,
    request: DeployRequest,
    *,
    upload: bool = True,
    tell: Tell = lambda _event: None,
) -> Prepared:
    """Build the function's code, upload it and make the change set. What is deployed is not touched.

    What an interrupted deployment left at work is waited for, `tell` gets its events, and the rest of a failed
    creation is cleared away. A key that outlived a stack of this name is first taken back into it, as it is.

    Without `upload` the change set is to look at only; a template too long for one call is uploaded all the same.
    It costs the permissions of `artifacts.upload`, of
    `preflight`, `kms:DescribeKey`, `kms:ListAliases`, for an existing key `kms:GetPublicKey` and
    `kms:ListResourceTags`, and `cloudformation:DescribeStacks`, `ListStackResources`, `CreateChangeSet`,
    `DescribeChangeSet`; for a stack that is there what `status` does, and `GetTemplate` where it has a policy.

    Raises:
        ConfigError: the key cannot sign, or is another's, or is about to be deleted; a policy would be taken away
            or forgotten by without being named; or a setting is wrong.
        KeyReplacementForbidden: it would replace or remove the signing key. Nothing is left of the change set.
        StackError: the stack cannot be updated as it is, or its function was changed behind its back.
        AwsError, KmsError: AWS refused or could not be reached.
    """
    require_stack_name(request.stack)
    stack = _deployable(cloud, request.stack, tell, clear=upload)
    require_policy_is_meant_to_go(stack, request.plan.policy, without_policy=request.without_policy)
    memory.require_memory(cloud, request.plan, stack, request.stack)
    if upload and _adopted(cloud, request, stack, tell):
        stack = stacks.find_stack(cloud, request.stack)
    plan = plan_stack(cloud, request, stack)
    function = plan.function
    target = Target(function.runtime, function.architecture, host=cloud.emulated)
    bundle = build_bundle(fetch_wheels(target, find_links=request.wheels), plan.policy)
    plan = replace(plan, code_sha256=bundle.code_sha256)
    place = artifacts.upload if upload else artifacts.place
    artifact = place(cloud, bundle, request.stack, request.bucket)
    if stack is not None:  # only now: what is uploaded is what a changed function is put back with
        _require_untouched(cloud, stack)
    parameters = {
        CODE_BUCKET: artifact.bucket,
        CODE_KEY: artifact.key,
        CODE_HASH: artifact.code_sha256,
    }
    template = artifacts.template(cloud, build_template(plan), request.stack, request.bucket)
    preview = changes.preview(cloud, request.stack, template, parameters)
    try:
        safeguards.require_harmless(preview)
    except StackError:
        changes.discard(cloud, preview)
        raise
    before = stack.outputs.get("BlindSigning") if stack else None
    policy = policy_change(cloud, stack, plan.policy)
    notes = (*preflight.notes(cloud, plan, stack), *(policy.notes if policy else ()))
    if not upload and plan.key.arn and _orphan(cloud, request, stack):
        told = f"key: {plan.key.alias} outlived an earlier stack of this name; `deploy` takes it back first"
        notes = (f"{told}, and sets its policy anew", *notes)
    return Prepared(plan, bundle, artifact, preview, before, notes, policy)


def _deployable(cloud: Cloud, name: str, tell: Tell, *, clear: bool) -> Stack | None:
    """Return the stack to update, None where one is to be made. The rest of a failed creation is cleared away."""
    stack = stacks.settle(cloud, name, tell)
    if stack is None:
        return None
    if stack.status == "ROLLBACK_COMPLETE" and stack.ours and clear:
        if cause := stacks.first_failure(cloud, stack.id):
            tell(cause)  # nobody may have seen why it failed
        stacks.delete(cloud, name, tell)
        return None
    if not adoption.is_adopted(cloud, stack):
        stacks.require_ours(stack)
    stacks.require_updatable(stack)
    return stack


def require_stack_name(name: str) -> None:
    """Refuse a name from which no role can be named.

    Raises:
        ConfigError: not 1 to 40 letters, digits and hyphens, beginning with a letter.
    """
    if not _STACK_NAME.match(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a stack here",
            hint="a letter first, then letters, digits and hyphens, 40 characters at most",
        )


def finish(
    cloud: Cloud, prepared: Prepared, tell: Tell, wait: Callable[[str], None] = lambda _: None
) -> Deployment:
    """Execute what was prepared and return the deployed signer. Where nothing changes there is nothing to execute.

    The stack is protected, whether it changed or not. The function's code and settings are then compared with
    what was deployed: between upload and deployment somebody else may have written to the bucket, and at any time
    to the function. It costs `cloudformation:ExecuteChangeSet`, `DescribeStacks`, `DescribeStackEvents`, what
    `safeguards.protect` does, and what `status` does.

    Raises:
        StackError: it failed and was rolled back, with the first cause; or other code runs than was built, or with
            other settings than were deployed.
        AwsError: AWS refused or could not be reached.
    """
    if prepared.preview.ready:
        stack: Stack | None = changes.apply(cloud, prepared.preview, tell)
    else:
        stack = stacks.find_stack(cloud, prepared.preview.stack)
    name = prepared.preview.stack
    stacks.required(stack, name)
    safeguards.protect(cloud, name)
    found = stacks.required(stacks.find_stack(cloud, name), name)
    deployment, live = _deployment(cloud, found)
    require_deployed(deployment.outputs, live)
    if prepared.preview.changes:
        readiness.wait_until_ready(cloud, found.outputs, wait)
    return deployment


def status(cloud: Cloud, stack: str) -> Deployment:
    """Return a deployed signer, its key's state, and whether its function still runs as it was deployed.

    It costs `cloudformation:DescribeStacks` and what `running` does; and where the caller has them,
    `kms:GetPublicKey`, `kms:DescribeKey` and `kms:ListAliases`.

    Raises:
        StackError: there is no such stack.
        AwsError: AWS refused or could not be reached.
    """
    return _deployment(cloud, stacks.required(stacks.find_stack(cloud, stack), stack))[0]


def plan_stack(cloud: Cloud, request: DeployRequest, stack: Stack | None) -> StackPlan:
    """Return the whole plan of a request: with the key it uses, and what this account and Region ask for.

    A key that is named is used; a stack keeps the key it has, or that an earlier one of its name left. The
    address of a key that the stack makes is never pinned: it is not known before the first deployment, and
    pinning it at the second would add nothing, since the function is given the key's ARN, not its alias, and no
    key pair of KMS ever becomes another.
    """
    plan = preflight.fitted(cloud, request.plan, stack, request.stack)
    if cloud.emulated:
        host = host_target()
        local = replace(plan.function, runtime=host.runtime, architecture=host.architecture)
        plan = replace(plan, function=local, emulated=True)
    key = _existing_key(cloud, request, stack)
    if key is None:
        return require_sound(plan)
    alias = plan.key.alias
    if alias not in key.aliases:
        alias = next(iter(key.aliases), "")
    function = replace(plan.function, signer_address=_address(cloud, key.key_arn))
    named = replace(plan.key, arn=key.key_arn, alias=alias)
    return require_sound(replace(plan, key=named, function=function))


def _existing_key(
    cloud: Cloud, request: DeployRequest, stack: Stack | None
) -> KeyDescription | None:
    keys = Keys(cloud.kms)
    if request.key is not None:
        return _usable(_named_key(cloud, keys, request.key))
    if stack is not None:
        own = stacks.resource_ids(cloud, stack.name).get(SIGNING_KEY)
        if own or "KeyArn" in stack.outputs:
            kept = _usable(_kept_key(keys, stack, own or stack.outputs["KeyArn"]))
            return None if own else kept
    try:
        found = _usable(keys.describe(request.plan.key.alias))
    except KmsKeyNotFound:
        return None
    preflight.require_own_key(cloud, found.key_arn, request.plan.key.alias, request.stack)
    return found


def _named_key(cloud: Cloud, keys: Keys, name: str) -> KeyDescription:
    try:
        return keys.describe(name)
    except (AwsAccessDenied, KmsKeyNotFound):
        owner = parse_key_name(name).account
        if owner in (None, cloud.account):
            raise
        raise ConfigError(
            f"the key is the account {owner}'s, and this account may not look at it, or it is not there",
            hint="have its owner allow kms:DescribeKey, kms:GetPublicKey and kms:Sign to this account, "
            "or name a key of this account",
        ) from None


def _require_untouched(cloud: Cloud, stack: Stack) -> None:
    # A change set would publish whatever somebody put into the function, as part of the new version.
    if "FunctionName" in stack.outputs:
        require_deployed(stack.outputs, running(cloud, stack.outputs))


def _adopted(cloud: Cloud, request: DeployRequest, stack: Stack | None, tell: Tell) -> bool:
    """Take a key that outlived its stack back into a stack of that name; return whether there was one."""
    key = _orphan(cloud, request, stack)
    if key is not None:
        adoption.adopt(cloud, key, request.plan.key.alias, request.stack, tell)
    return key is not None


def _orphan(cloud: Cloud, request: DeployRequest, stack: Stack | None) -> KeyDescription | None:
    """Return the key that outlived a stack of this name, None where there is a stack or no such key."""
    if request.key is not None or (stack is not None and stack.status != "REVIEW_IN_PROGRESS"):
        return None
    try:
        key = _usable(Keys(cloud.kms).describe(request.plan.key.alias))
    except KmsKeyNotFound:
        return None
    return key if adoption.is_orphan(cloud, key, request.stack) else None


def _kept_key(keys: Keys, stack: Stack, name: str) -> KeyDescription:
    try:
        return keys.describe(name)
    except KmsKeyNotFound:
        raise ConfigError(
            f"the stack's key {name} is gone",
            hint=f"remove the stack with: bursar aws destroy --stack {stack.name}; a new one has a new address",
        ) from None


def _usable(key: KeyDescription) -> KeyDescription:
    if key.can_sign:
        return key
    enable = f"aws kms enable-key --key-id {key.key_arn}"
    ways_out = {
        "Disabled": f"enable it: {enable}",
        "PendingDeletion": f"keep it: aws kms cancel-key-deletion --key-id {key.key_arn}; then {enable}",
    }
    raise ConfigError(
        f"{key.key_arn} cannot sign for an EVM account: "
        f"it is {key.key_spec} for {key.key_usage}, {key.state}, made in {key.origin}",
        hint=ways_out.get(key.state, "name another key with --key, or another alias with --alias"),
    )


def _address(cloud: Cloud, key_arn: str) -> str:
    return evm.parse_spki_der(Keys(cloud.kms).public_key(key_arn).spki_der).address


def _deployment(cloud: Cloud, stack: Stack) -> tuple[Deployment, Running]:
    outputs = dict(stack.outputs)
    if "ApiId" not in outputs:
        raise StackError(
            f"the stack {stack.name} is {stack.status} and has no signing API",
            hint="is that stack's name right? `bursar aws deploy` makes one",
        )
    url = outputs["ApiUrl"] = api_url(outputs, cloud.endpoint)
    try:
        address = _address(cloud, outputs["KeyArn"])
    except (AwsAccessDenied, KmsError):
        address = None
    live = running(cloud, outputs)
    found = Deployment(
        stack=stack.name,
        status=stack.status,
        outputs=outputs,
        url=url,
        address=address,
        key_state=_key_state(cloud, outputs["KeyArn"]),
        code_is_ours=live.code_sha256 == outputs["CodeSha256"],
        blind_signing=live.blind_signing,
        differences=live.differences,
        protected=stack.protected,
    )
    return found, live


def _key_state(cloud: Cloud, key_arn: str) -> str | None:
    try:
        return Keys(cloud.kms).describe(key_arn).state
    except KmsKeyNotFound:
        return "gone"
    except (AwsAccessDenied, KmsError):
        return None
