"""What to deploy, as typed data: the key, the function, its API and callers, the network, the records. Pure.

`StackPlan` is the whole of it; `bursar.aws.template` turns it into CloudFormation. `require_sound` refuses a plan
that would leave a hole or that AWS would turn down after minutes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, Literal

from bursar.aws.policy_plan import PolicyPlan
from bursar.errors import ConfigError

Compute = Literal["lambda", "ecs", "ec2"]
Chain = Literal["evm", "solana", "stellar"]

# What CloudWatch Logs takes as a retention, in days (Logs API reference, PutRetentionPolicy).
_SHORT_RETENTIONS: Final = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180)
RETENTIONS: Final = (
    *_SHORT_RETENTIONS,
    *(365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
# For `records.ledger`: a table with nothing in it.
NEW_LEDGER: Final = "new"
# API Gateway hangs up after 29 s, whatever the function does.
_LONGEST_TIMEOUT = 29
_PRINCIPAL = re.compile(
    r"\Aarn:aws[a-z-]{0,20}:iam::[0-9]{12}:(?:role|user)/[A-Za-z0-9+=,.@_/-]{1,576}\Z", re.ASCII
)
_ALIAS = re.compile(r"\Aalias/(?!aws/)[A-Za-z0-9/_-]{1,250}\Z", re.ASCII)
_REPLICATED = re.compile(
    r"\Aarn:aws[a-z-]{0,20}:kms:[a-z0-9-]{1,40}:[0-9]{12}:key/mrk-[0-9a-f]{32}\Z", re.ASCII
)
_TLS_POLICY = re.compile(r"\A(?:TLS_1_2|SecurityPolicy_[A-Za-z0-9_]{1,60})?\Z", re.ASCII)
_LOG_GROUP = re.compile(r"\A[A-Za-z0-9_/.#-]{1,512}\Z", re.ASCII)
_TABLE = re.compile(r"\A[A-Za-z0-9_.-]{3,255}\Z", re.ASCII)
_NAME = re.compile(r"\A[A-Za-z0-9+=,.@_-]{1,128}\Z", re.ASCII)
_STAGE = re.compile(r"\A[A-Za-z0-9_]{1,128}\Z", re.ASCII)
_EMAIL = re.compile(r"\A[^@\s]{1,64}@[^@\s]{1,255}\Z")
_IDS = {
    "vpc": re.compile(r"\Avpc-[0-9a-f]{8,17}\Z"),
    "subnet": re.compile(r"\Asubnet-[0-9a-f]{8,17}\Z"),
    "endpoint": re.compile(r"\Avpce-[0-9a-f]{8,17}\Z"),
    "route table": re.compile(r"\Artb-[0-9a-f]{8,17}\Z"),
    "prefix list": re.compile(r"\Apl-[0-9a-f]{8,17}\Z"),
    "security group": re.compile(r"\Asg-[0-9a-f]{8,17}\Z"),
}
_TOPIC = re.compile(r"\Aarn:aws[a-z-]{0,20}:sns:[a-z0-9-]{1,40}:[0-9]{12}:[A-Za-z0-9_-]{1,256}\Z")


@dataclass(frozen=True, slots=True)
class KeyKind:
    """How keys of one kind of chain sign in KMS."""

    spec: str
    algorithm: str
    message_type: str


# KMS developer guide, "Key spec reference"; Ed25519 signs the message itself (RFC 8032), never a digest of it.
KEY_KINDS: Final[Mapping[Chain, KeyKind]] = {
    "evm": KeyKind("ECC_SECG_P256K1", "ECDSA_SHA_256", "DIGEST"),
    "solana": KeyKind("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "RAW"),
    "stellar": KeyKind("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "RAW"),
}


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """The signing key and who may do what with it.

    `arn` is an existing key to use, whose policy stays as it is; `replica_of` makes a replica, here, of a
    multi-Region key elsewhere. `administrators` (IAM role and user ARNs) manage the key and may not sign; `users`
    may sign besides the function's role. With `account_delegation` the account's IAM policies may grant the
    management of the key, as AWS advises, though never its use.
    """

    alias: str = "alias/bursar-treasury"
    arn: str | None = None
    replica_of: str | None = None
    chain: Chain = "evm"
    multi_region: bool = False
    administrators: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    account_delegation: bool = True

    @property
    def kind(self) -> KeyKind:
        """How it signs."""
        return KEY_KINDS[self.chain]


@dataclass(frozen=True, slots=True)
class FunctionPlan:
    """The signing function. Times in seconds, memory in MiB, retention in days.

    `reserved_concurrency` bounds how many containers sign at a time, None leaves it open: ten at some 20 ms a
    signature are 500 signatures a second, half of KMS's default quota for ECC keys.
    """

    runtime: str = "python3.13"
    architecture: str = "arm64"
    memory: int = 256
    timeout: int = 15
    reserved_concurrency: int | None = 10
    log_retention: int = 365
    tracing: bool = False
    blind_signing: bool = False
    signer_address: str | None = None


@dataclass(frozen=True, slots=True)
class ApiPlan:
    """The API in front of the function. `rate` is in requests a second on average, `burst` how many at once.

    `private`: only the VPC endpoint of the network reaches it. `access_logs` writes a line for each request;
    `logs_for_region` lets API Gateway write logs in this Region at all, a setting of the whole account.
    `tls_policy` is one of API Gateway's security policies; the default takes TLS 1.2 and 1.3.
    """

    stage: str = "prod"
    rate: int = 100
    burst: int = 20
    private: bool = False
    access_logs: bool = True
    logs_for_region: bool = False
    tls_policy: str = "SecurityPolicy_TLS13_1_2_2021_06"


@dataclass(frozen=True, slots=True)
class CallersPlan:
    """Who may ask for signatures: an IAM group to make, and existing groups and roles by name."""

    group: str | None = None
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """The VPC that the function runs in. Interface endpoints are made unless existing ones are named.

    For the logs one is made only where `logs_endpoint` is `create`: Lambda has a way of its own. `clients` are
    the CIDR blocks that may reach the API's endpoint. `bind_key` lets the key sign through the KMS endpoint only.

    With a policy the function needs DynamoDB as well: by a gateway endpoint that is made for `route_tables`, those
    of the subnets, or by `dynamodb_endpoint`. `dynamodb_prefix_list` is AWS's list of DynamoDB's addresses in the
    Region, which the function's own security group reaches; a deployment looks it up.
    """

    vpc: str
    subnets: tuple[str, ...]
    kms_endpoint: str | None = None
    api_endpoint: str | None = None
    logs_endpoint: str | None = None
    security_group: str | None = None
    clients: tuple[str, ...] = ()
    bind_key: bool = True
    route_tables: tuple[str, ...] = ()
    dynamodb_endpoint: str | None = None
    dynamodb_prefix_list: str | None = None


@dataclass(frozen=True, slots=True)
class RecordsPlan:
    """What is kept and watched. `trail` is `create`, `none`, or the log group of a CloudTrail trail there is.

    `own_key` encrypts logs, trail and alarms under a KMS key of the stack's own. `topic` is an existing SNS topic
    for the alarms; without it one is made, with a subscription for each of `emails`.

    `ledger` is the table of what was signed by a policy: the name of one that an earlier stack left, or `new`,
    which makes one though such a table is there. Without it one is made where there is none.
    """

    trail: str = "create"
    own_key: bool = True
    retention: int = 731
    topic: str | None = None
    emails: tuple[str, ...] = ()
    dashboard: bool = True
    ledger: str | None = None

    @property
    def ledger_name(self) -> str | None:
        """The name of the table to take on, None where the stack makes one."""
        return None if self.ledger == NEW_LEDGER else self.ledger

    @property
    def trail_log_group(self) -> str | None:
        """The name of an existing trail's log group, None where the stack makes a trail or has none."""
        return None if self.trail in ("create", "none") else self.trail


@dataclass(frozen=True, slots=True)
class StackPlan:
    """Everything that one stack is made of.

    `compute` is what signs: the Lambda function with its API, or an ECS task or EC2 instance of one's own, for
    which the stack has a key, a role and the records, but no function and no API. `emulated` leaves out what the
    local emulator cannot create: IAM groups, trails, anomaly detectors, replica keys, rules of security groups.
    `policy` is what the function signs by; without one it has no table either.
    `code_sha256` names the function's published version, so that new code is a new version. `tags` are put on
    whatever takes any.
    """

    key: KeyPlan = KeyPlan()
    function: FunctionPlan = FunctionPlan()
    api: ApiPlan = ApiPlan()
    callers: CallersPlan = CallersPlan()
    network: NetworkPlan | None = None
    records: RecordsPlan = RecordsPlan()
    policy: PolicyPlan | None = None
    compute: Compute = "lambda"
    emulated: bool = False
    code_sha256: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def require_sound(plan: StackPlan) -> StackPlan:
    """Return a plan that leaves no hole and that AWS can carry out.

    Raises:
        ConfigError: names the setting that is wrong, and what to write instead.
    """
    _require_key(plan.key)
    _require_function(plan.function)
    _require_api(plan)
    _require_callers(plan.callers)
    if plan.network is not None:
        _require_network(plan.network)
    _require_records(plan.records)
    if plan.policy is not None:
        _require_policy(plan, plan.policy)
    return plan


def _require_key(key: KeyPlan) -> None:
    for role, arns in (("administrators", key.administrators), ("users", key.users)):
        for arn in arns:
            if not _PRINCIPAL.match(arn):
                raise ConfigError(
                    f"key.{role}: {arn} is not the ARN of one IAM role or user",
                    hint="name each by its ARN, arn:aws:iam::ACCOUNT:role/NAME; no wildcard, no account",
                )
    if both := set(key.administrators) & set(key.users):
        raise ConfigError(
            f"{min(both)} would administer the key and sign with it",
            hint="keep key.administrators and key.users apart",
        )
    if not (key.account_delegation or key.administrators or key.arn):
        raise ConfigError(
            "nobody could manage the key, and KMS cannot undo that",
            hint="name key.administrators, the deploying role among them, or leave key.account_delegation on",
        )
    if not _ALIAS.match(key.alias) and not (key.arn and not key.alias):
        raise ConfigError(
            f"{key.alias!r} is not an alias that a key may have",
            hint="alias/ and then letters, digits, slashes, underscores and hyphens",
        )
    if key.replica_of and (not _REPLICATED.match(key.replica_of) or key.multi_region):
        raise ConfigError(
            "key.replica_of: a replica is made of a multi-Region key elsewhere, named by its ARN",
            hint="arn:aws:kms:REGION:ACCOUNT:key/mrk-…, and leave key.multi_region to its own stack",
        )
    if key.arn and (key.replica_of or key.multi_region):
        raise ConfigError(
            "an existing key is used as it is: it is neither replicated nor made multi-Region",
            hint="leave out key.replica_of and key.multi_region, or the existing key",
        )


def _require_function(function: FunctionPlan) -> None:
    _between("function.memory", function.memory, 128, 10240)
    _between("function.timeout", function.timeout, 3, _LONGEST_TIMEOUT)
    _retention("function.log_retention", function.log_retention)
    if function.reserved_concurrency is not None:
        _between("function.reserved_concurrency", function.reserved_concurrency, 1, 1000)


def _require_api(plan: StackPlan) -> None:
    if not _STAGE.match(plan.api.stage):
        raise ConfigError("api.stage: a stage's name has letters, digits and underscores only")
    if not _TLS_POLICY.match(plan.api.tls_policy):
        raise ConfigError(
            f"api.tls_policy: {plan.api.tls_policy!r} lets in TLS before 1.2, or is none of API Gateway's",
            hint='one that begins with SecurityPolicy_, TLS_1_2, or "" for API Gateway\'s own',
        )
    _between("api.rate", plan.api.rate, 1, 10_000)
    _between("api.burst", plan.api.burst, 1, 5_000)
    if plan.api.private and plan.network is None:
        raise ConfigError(
            "api.private: a private API is reached through a VPC endpoint, and no network is set",
            hint="set network.vpc and network.subnets",
        )
    network = plan.network
    if plan.api.private and network and not (network.clients or network.api_endpoint):
        raise ConfigError(
            "api.private: nobody would reach the API through its endpoint",
            hint="name the callers' CIDR blocks in network.clients, or an existing network.api_endpoint",
        )
    if network and network.clients and not plan.api.private:
        raise ConfigError(
            "network.clients reach the API's endpoint, and without api.private there is none",
            hint="set api.private = true, or leave network.clients out",
        )


def _require_policy(plan: StackPlan, policy: PolicyPlan) -> None:
    if plan.compute != "lambda":
        raise ConfigError(
            "a policy is applied by the function, and an ECS task or EC2 instance signs without it",
            hint="leave the policy out with --without-policy",
        )
    if plan.function.blind_signing and not policy.allows_blind_signing:
        raise ConfigError(
            "--allow-blind-signing: the policy does not allow it",
            hint='add allow = ["blind_signing"] to the policy, or leave the option out',
        )
    network = plan.network
    if network and not (network.route_tables or network.dynamodb_endpoint):
        raise ConfigError(
            "with a policy the function needs a way to DynamoDB, and its network has none",
            hint="name the route tables of its subnets in network.route_tables, or an existing gateway endpoint "
            "in network.dynamodb_endpoint",
        )
    if network and not (network.security_group or network.dynamodb_prefix_list or plan.emulated):
        raise ConfigError(
            "network.dynamodb_prefix_list: the function's security group must name DynamoDB's addresses",
            hint="`bursar aws deploy` looks it up; else: aws ec2 describe-managed-prefix-lists --filters "
            "Name=prefix-list-name,Values=com.amazonaws.REGION.dynamodb",
        )


def _require_callers(callers: CallersPlan) -> None:
    for name in (*callers.groups, *callers.roles, *([callers.group] if callers.group else [])):
        if not _NAME.match(name):
            raise ConfigError(
                f"callers: {name!r} is not the name of an IAM group or role",
                hint="give the name alone, not the ARN",
            )


def _require_network(network: NetworkPlan) -> None:
    _identifier("vpc", "network.vpc", network.vpc)
    if not network.subnets:
        raise ConfigError("network.subnets: the function needs a subnet, better two")
    for subnet in network.subnets:
        _identifier("subnet", "network.subnets", subnet)
    for name in ("kms_endpoint", "api_endpoint", "logs_endpoint"):
        endpoint = getattr(network, name)
        if endpoint and (name, endpoint) != ("logs_endpoint", "create"):
            _identifier("endpoint", f"network.{name}", endpoint)
    for block in network.clients:
        try:
            ipaddress.ip_network(block)
        except ValueError:
            raise ConfigError(
                f"network.clients: {block!r} is not a CIDR block", hint="for example 10.0.0.0/16"
            ) from None
    if network.kms_endpoint and not network.security_group:
        raise ConfigError(
            "network.kms_endpoint: an endpoint that is there already lets in certain security groups only",
            hint="name one of them in network.security_group, for the function to be in",
        )
    _require_way_to_dynamodb(network)
    if network.security_group:
        _identifier("security group", "network.security_group", network.security_group)


def _require_way_to_dynamodb(network: NetworkPlan) -> None:
    for table in network.route_tables:
        _identifier("route table", "network.route_tables", table)
    if network.dynamodb_endpoint:
        _identifier("endpoint", "network.dynamodb_endpoint", network.dynamodb_endpoint)
    if network.dynamodb_prefix_list:
        _identifier("prefix list", "network.dynamodb_prefix_list", network.dynamodb_prefix_list)
    if network.route_tables and network.dynamodb_endpoint:
        raise ConfigError(
            "network.route_tables make an endpoint for DynamoDB, and network.dynamodb_endpoint names another",
            hint="leave one of the two out",
        )


def _require_records(records: RecordsPlan) -> None:
    _retention("records.retention", records.retention)
    trail = records.trail
    if not _LOG_GROUP.match(trail) or (
        trail.lower() in ("create", "none") and trail.lower() != trail
    ):
        raise ConfigError(
            f"records.trail: {trail!r} is neither create, none, nor the name of a log group"
        )
    if trail != "create" and get_close_matches(trail, ["create"], cutoff=0.8):
        raise ConfigError(
            f"records.trail: is {trail!r} a log group?", hint='to make a trail write "create"'
        )
    if records.topic and not _TOPIC.match(records.topic):
        raise ConfigError("records.topic: not the ARN of an SNS topic")
    if records.topic and records.emails:
        raise ConfigError(
            "records.emails subscribe to the stack's own topic, and records.topic names another",
            hint="subscribe them to that topic yourself, or leave records.topic out",
        )
    if records.ledger is not None and not _TABLE.match(records.ledger):
        raise ConfigError(
            f"records.ledger: {records.ledger!r} is not the name of a DynamoDB table",
            hint='the name alone, not the ARN; "new" makes one',
        )
    for email in records.emails:
        if not _EMAIL.match(email):
            raise ConfigError(f"records.emails: {email!r} is not an e-mail address")


def _between(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value}; it goes from {low} to {high}")


def _retention(name: str, days: int) -> None:
    if days not in RETENTIONS:
        near = min(RETENTIONS, key=lambda each: abs(each - days))
        raise ConfigError(
            f"{name}: CloudWatch Logs keeps logs for fixed numbers of days, and {days} is none of them",
            hint=f"for example {near}",
        )


def _identifier(kind: str, name: str, text: str) -> None:
    if not _IDS[kind].match(text):
        raise ConfigError(f"{name}: {text!r} is not the id of a {kind}")
