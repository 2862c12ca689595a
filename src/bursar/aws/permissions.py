"""Every permission that deploying a plan costs, each with its reason, and the IAM policy made of them. Pure.

CloudFormation acts with the permissions of the person who deploys, so the list holds what it calls on that
person's behalf as well as what bursar calls itself. Resources are as narrow as AWS and the names allow that
CloudFormation makes up, such as `<stack>-TrailLogRole-<random>`. Of a new key or API nothing is known beforehand,
so those are `key/*` and `/restapis/*`; a condition on a key's tags would not help, since KMS takes up to five
minutes to heed a new tag.

Sources: the Service Authorization Reference; the `handlers` in the CloudFormation registry's resource schemas; the
API Gateway developer guide, "Create and attach an API Gateway resource policy to an API" (changing a resource
policy takes `apigateway:UpdateRestApiPolicy` and `apigateway:PATCH` both); the KMS developer guide, "Controlling
access to aliases" (on the key as well as on the alias).
"""

from __future__ import annotations

from collections.abc import Iterator

from bursar.aws.grants import GUIDE, Grant, Json, Place, named, statement
from bursar.aws.plan import StackPlan
from bursar.aws.template.ledger import LEDGER
from bursar.aws.template.records import makes_trail


def needed(plan: StackPlan, place: Place) -> tuple[Grant, ...]:
    """Return what deploying a plan, changing it and removing it needs, then what looking at it needs."""
    parts = (
        *(_stack, _code, _key, _roles, _callers, _function, _ledger, _api, _network, _records),
        _checks,
    )
    return tuple(grant for part in parts for grant in part(plan, place))


def deployer_policy(plan: StackPlan, place: Place, *, checks: bool = True) -> Json:
    """Return the least IAM policy for the person who deploys a plan.

    With `checks` it lets `bursar doctor` look at everything too. It grants no use of the key.
    """
    grants = needed(plan, place)
    statements = [statement(grant) for grant in grants if checks or not grant.optional]
    return {"Version": "2012-10-17", "Statement": statements}


def _stack(plan: StackPlan, place: Place) -> Iterator[Grant]:  # noqa: ARG001  one shape for all parts
    changing = (
        "CreateChangeSet DescribeChangeSet ExecuteChangeSet DeleteChangeSet ListChangeSets DescribeStacks "
        "DescribeStackEvents ListStackResources GetTemplate GetTemplateSummary DeleteStack "
        "SetStackPolicy UpdateTerminationProtection ContinueUpdateRollback DetectStackDrift "
        "DescribeStackResourceDrifts"
    )
    yield Grant(
        "Stack",
        "make, change, watch and remove the stack, by change set, and find its drift",
        named("cloudformation", changing),
        (place.arn("cloudformation", f"stack/{place.stack}/*"),),
    )
    yield Grant(
        "Drift",
        "ask how far the search for drift is, which AWS ties to no stack",
        named("cloudformation", "DescribeStackDriftDetectionStatus"),
        ("*",),
    )


def _code(plan: StackPlan, place: Place) -> Iterator[Grant]:
    if plan.compute != "lambda":
        return
    bucket = place.code_bucket
    own = (
        "CreateBucket PutBucketOwnershipControls PutBucketPublicAccessBlock "
        "PutEncryptionConfiguration PutBucketPolicy "
    )
    yield Grant(
        "CodeBucket",
        "make the private bucket for the function's code, and look into it",
        named("s3", ("" if place.bucket else own) + "ListBucket"),
        (place.s3(bucket),),
    )
    yield Grant(
        "Code",
        "upload the function's code, let Lambda fetch it, remove it with the stack",
        named("s3", "GetObject PutObject DeleteObject"),
        (place.s3(f"{bucket}/bursar/{place.stack}/*"),),
    )


def _key(plan: StackPlan, place: Place) -> Iterator[Grant]:
    key = plan.key.arn or place.arn("kms", "key/*")
    yield Grant("KeyAliases", "find out which key an alias leads to", ("kms:ListAliases",), ("*",))
    yield Grant(
        "KeyLook",
        "see the key's spec, usage and state, and derive its address",
        named("kms", "DescribeKey GetPublicKey ListResourceTags"),
        # On the alias too: the emulator decides by it, and while it leads to no key AWS may as well.
        (key, *([place.arn("kms", plan.key.alias)] if plan.key.alias else [])),
    )
    if plan.key.arn is None or plan.records.own_key:
        yield from _made_keys(plan, place)
    if plan.key.arn is None and plan.key.alias:
        yield Grant(
            "KeyAlias",
            "name the key; KMS asks for the permission on the key and on the alias",
            named("kms", "CreateAlias UpdateAlias DeleteAlias"),
            (place.arn("kms", plan.key.alias), key),
        )


def _made_keys(plan: StackPlan, place: Place) -> Iterator[Grant]:
    manage = (
        "DescribeKey GetKeyPolicy PutKeyPolicy GetKeyRotationStatus EnableKeyRotation DisableKeyRotation "
        "ListResourceTags TagResource UntagResource UpdateKeyDescription EnableKey DisableKey "
        "ScheduleKeyDeletion"
    )
    if plan.key.replica_of and not plan.emulated:
        yield Grant(
            "KeyReplica",
            "make a replica here of the multi-Region key elsewhere",
            ("kms:ReplicateKey",),
            (plan.key.replica_of,),
        )
    yield Grant(
        "KeyMake", "make keys: the signing key, and one for the records", ("kms:CreateKey",), ("*",)
    )
    yield Grant(
        "KeyManage",
        "set the policy, tags and rotation of the keys it made, and give up one whose stack failed",
        named("kms", manage),
        (place.arn("kms", "key/*"),),
    )


def _roles(plan: StackPlan, place: Place) -> Iterator[Grant]:
    roles = place.iam(f"role/{place.prefix}")
    manage = (
        "CreateRole GetRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy DeleteRole "
        "TagRole UntagRole ListRoleTags PutRolePolicy GetRolePolicy DeleteRolePolicy ListRolePolicies "
        "AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies"
    )
    yield Grant(
        "Roles",
        "make the function's role, and those that carry logs, with their policies",
        named("iam", manage),
        (roles,),
    )
    yield Grant(
        "PassRole",
        "hand these roles to the services that run under them",
        ("iam:PassRole",),
        (roles,),
        {"StringEquals": {"iam:PassedToService": _services(plan, place)}},
    )
    if plan.compute == "ec2":
        profiles = (
            "CreateInstanceProfile GetInstanceProfile DeleteInstanceProfile "
            "AddRoleToInstanceProfile RemoveRoleFromInstanceProfile"
        )
        yield Grant(
            "InstanceProfile",
            "put the role into an instance profile",
            named("iam", profiles),
            (place.iam(f"instance-profile/{place.prefix}"),),
        )


def _services(plan: StackPlan, place: Place) -> tuple[str, ...]:
    compute = {"lambda": "lambda", "ecs": "ecs-tasks", "ec2": "ec2"}[plan.compute]
    gateway = ["apigateway"] if plan.compute == "lambda" and plan.api.access_logs else []
    trail = ["cloudtrail"] if makes_trail(plan) else []
    # EC2 alone goes by another name in China.
    china = ("ec2.amazonaws.com.cn",) if (compute, place.partition) == ("ec2", "aws-cn") else ()
    return (*(f"{name}.amazonaws.com" for name in (compute, *gateway, *trail)), *china)


def _callers(plan: StackPlan, place: Place) -> Iterator[Grant]:
    if plan.compute != "lambda":
        return
    policy = place.iam(f"policy/{place.prefix}")
    versions = (
        "CreatePolicy GetPolicy DeletePolicy ListEntitiesForPolicy GetPolicyVersion CreatePolicyVersion "
        "DeletePolicyVersion ListPolicyVersions TagPolicy UntagPolicy"
    )
    yield Grant(
        "InvokePolicy",
        "make the managed policy that lets its bearer ask for signatures",
        named("iam", versions),
        (policy,),
    )
    callers = plan.callers
    if callers.group and not plan.emulated:
        group = (
            "CreateGroup GetGroup UpdateGroup DeleteGroup PutGroupPolicy GetGroupPolicy DeleteGroupPolicy "
            "ListGroupPolicies ListAttachedGroupPolicies RemoveUserFromGroup"
        )
        yield Grant(
            "CallersGroup",
            "make the group of those who may ask for signatures",
            named("iam", group),
            (place.iam(f"group/{callers.group}"),),
        )
    only = {"ArnLike": {"iam:PolicyARN": (policy,)}}
    yield Grant(
        "CallersGo",
        "take that policy, and no other, back from whoever was given it by hand, before the stack goes",
        named("iam", "DetachUserPolicy DetachRolePolicy DetachGroupPolicy"),
        tuple(place.iam(f"{kind}/*") for kind in ("user", "role", "group")),
        only,
    )
    groups = (*callers.groups, *([callers.group] if callers.group else []))
    if groups and not plan.emulated:
        yield Grant(
            "GroupCallers",
            "let groups ask for signatures: attach that policy and no other",
            named("iam", "AttachGroupPolicy DetachGroupPolicy"),
            tuple(place.iam(f"group/{name}") for name in groups),
            only,
        )
    if callers.roles:
        yield Grant(
            "RoleCallers",
            "let roles ask for signatures: attach that policy and no other",
            named("iam", "AttachRolePolicy DetachRolePolicy"),
            tuple(place.iam(f"role/{name}") for name in callers.roles),
            only,
        )


def _function(plan: StackPlan, place: Place) -> Iterator[Grant]:
    log_actions = (
        "CreateLogGroup DeleteLogGroup PutRetentionPolicy DeleteRetentionPolicy TagResource UntagResource "
        "ListTagsForResource GetDataProtectionPolicy AssociateKmsKey DisassociateKmsKey "
        "PutMetricFilter DescribeMetricFilters DeleteMetricFilter"
    )
    yield Grant(
        "Logs",
        "make the stack's log groups: retention, encryption, tags, metric filters",
        named("logs", log_actions),
        (place.arn("logs", f"log-group:*{place.prefix}"),),
    )
    yield Grant(
        "LogsFind",
        "find log groups, which AWS lists for the whole Region only",
        named("logs", "DescribeLogGroups DescribeIndexPolicies"),
        ("*",),
    )
    if plan.compute != "lambda":
        return
    actions = (
        "CreateFunction GetFunction GetFunctionConfiguration UpdateFunctionCode UpdateFunctionConfiguration "
        "DeleteFunction GetFunctionCodeSigningConfig GetRuntimeManagementConfig GetFunctionRecursionConfig "
        "PutFunctionConcurrency GetFunctionConcurrency DeleteFunctionConcurrency ListTags TagResource "
        "UntagResource PublishVersion ListVersionsByFunction CreateAlias GetAlias UpdateAlias DeleteAlias "
        "ListAliases ListFunctionUrlConfigs GetProvisionedConcurrencyConfig AddPermission RemovePermission "
        "GetPolicy"
    )
    function = place.arn("lambda", f"function:{place.stack}-signer")
    yield Grant(
        "Function",
        "make and change the function, its versions, its alias, and let the API call it",
        named("lambda", actions),
        (function, f"{function}:*"),
    )


def _ledger(plan: StackPlan, place: Place) -> Iterator[Grant]:
    if plan.policy is None:
        return
    if name := plan.records.ledger_name:
        yield Grant(
            "Ledger",
            "see that the table of what was signed is there, protected and backed up",
            named("dynamodb", "DescribeTable DescribeContinuousBackups"),
            (place.arn("dynamodb", f"table/{name}"),),
        )
        return
    # Neither its items nor its end: whoever has those could have the key forget what was spent.
    table = (
        "CreateTable DescribeTable UpdateTable DescribeContinuousBackups UpdateContinuousBackups TagResource "
        "UntagResource ListTagsOfResource DescribeTimeToLive DescribeContributorInsights "
        "DescribeKinesisStreamingDestination GetResourcePolicy"
    )
    yield Grant(
        "Ledger",
        "make the table of what was signed by the policy, protect it and have it backed up",
        named("dynamodb", table),
        (place.arn("dynamodb", f"table/{place.stack}-{LEDGER}-*"),),
    )
    yield Grant(
        "LedgersFind",
        "find the table that an earlier stack left, so that nothing that was spent is forgotten",
        named("dynamodb", "ListTables"),
        ("*",),
    )


def _api(plan: StackPlan, place: Place) -> Iterator[Grant]:
    if plan.compute != "lambda":
        return
    # API Gateway's permissions are called after HTTP's methods; the resource policy has one of its own besides.
    methods = named("apigateway", "GET POST PUT PATCH DELETE")
    yield Grant(
        "Api",
        "make the API, its method, deployments and stage, and set its resource policy",
        (*methods, "apigateway:UpdateRestApiPolicy"),
        (place.gateway("/restapis"), place.gateway("/restapis/*"), place.gateway("/tags/*")),
    )
    if plan.api.access_logs:
        yield Grant(
            "ApiLogs",
            "let API Gateway write logs in this Region, a setting of the account, unless it may already",
            named("apigateway", "GET PATCH"),
            (place.gateway("/account"),),
        )


def _network(plan: StackPlan, place: Place) -> Iterator[Grant]:
    network = plan.network
    if network is None:
        return
    seen = (
        "DescribeVpcs DescribeSubnets DescribeSecurityGroups DescribeSecurityGroupRules DescribeVpcEndpoints "
        "DescribeNetworkInterfaces"
    )
    if plan.policy is not None:
        seen += " DescribeManagedPrefixLists DescribePrefixLists DescribeRouteTables"
    yield Grant(
        "NetworkLook",
        "find the VPC's parts; EC2 lists them for the whole Region only",
        named("ec2", seen),
        ("*",),
    )
    yield Grant(
        "NetworkNames",
        "see whether the VPC resolves names, as the endpoints need",
        ("ec2:DescribeVpcAttribute",),
        (place.anywhere("ec2", f"vpc/{network.vpc}"),),
    )
    made = tuple(
        place.arn("ec2", f"{kind}/*")
        for kind in ("vpc-endpoint", "security-group", "security-group-rule")
    )
    # Of another account where that account shares them.
    inside = (f"vpc/{network.vpc}", *(f"subnet/{subnet}" for subnet in network.subnets))
    shared = tuple(place.anywhere("ec2", each) for each in inside)
    if plan.policy is not None:
        made += tuple(place.arn("ec2", f"route-table/{each}") for each in network.route_tables)
    actions = (
        "CreateVpcEndpoint ModifyVpcEndpoint DeleteVpcEndpoints CreateSecurityGroup DeleteSecurityGroup "
        "AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress "
        "RevokeSecurityGroupEgress UpdateSecurityGroupRuleDescriptionsIngress "
        "UpdateSecurityGroupRuleDescriptionsEgress CreateTags DeleteTags"
    )
    yield Grant(
        "Network",
        "make the endpoints for KMS, the API, the logs and DynamoDB, and the security groups around them",
        named("ec2", actions),
        (*made, *shared),
    )


def _records(plan: StackPlan, place: Place) -> Iterator[Grant]:
    yield Grant(
        "Alarms",
        "set the alarms",
        named(
            "cloudwatch",
            "PutMetricAlarm DeleteAlarms TagResource UntagResource ListTagsForResource",
        ),
        (place.arn("cloudwatch", f"alarm:{place.prefix}"),),
    )
    anomalies = (
        ""
        if plan.emulated
        else " PutAnomalyDetector DescribeAnomalyDetectors DeleteAnomalyDetector"
    )
    yield Grant(
        "AlarmsFind",
        "find alarms, and teach what a usual rate of signatures is; AWS ties neither to a name",
        named("cloudwatch", "DescribeAlarms" + anomalies),
        ("*",),
    )
    if plan.records.dashboard:
        # A dashboard's ARN has no Region.
        board = f"arn:{place.partition}:cloudwatch::{place.account}:dashboard/{place.stack}*"
        yield Grant(
            "Dashboard",
            "draw the dashboard",
            named("cloudwatch", "PutDashboard GetDashboard DeleteDashboards"),
            (board,),
        )
    if plan.records.topic is None:
        topic = (
            "CreateTopic GetTopicAttributes SetTopicAttributes DeleteTopic Subscribe Unsubscribe "
            "ListSubscriptionsByTopic TagResource UntagResource ListTagsForResource GetDataProtectionPolicy"
        )
        yield Grant(
            "Topic",
            "make the topic that alarms go to, and subscribe to it",
            named("sns", topic),
            (place.arn("sns", place.prefix),),
        )
    if plan.records.trail_log_group:
        yield Grant(
            "TrailLog",
            "watch the existing trail's log group for signatures by others",
            named("logs", "PutMetricFilter DescribeMetricFilters DeleteMetricFilter"),
            (place.arn("logs", f"log-group:{plan.records.trail_log_group}*"),),
        )
    if makes_trail(plan):
        yield from _trail(place)


def _trail(place: Place) -> Iterator[Grant]:
    trail = (
        "CreateTrail GetTrail UpdateTrail DeleteTrail GetTrailStatus StartLogging StopLogging "
        "GetEventSelectors PutEventSelectors GetInsightSelectors PutInsightSelectors AddTags RemoveTags ListTags"
    )
    yield Grant(
        "Trail",
        "make the trail that records every signature",
        named("cloudtrail", trail),
        (place.arn("cloudtrail", f"trail/{place.stack}-trail"),),
    )
    yield Grant(
        "TrailsFind",
        "find trails, which AWS lists for the whole account only",
        ("cloudtrail:DescribeTrails",),
        ("*",),
    )
    settings = "PublicAccessBlock OwnershipControls Versioning Policy Tagging ObjectLockConfiguration Logging"
    both = [f"{verb}Bucket{name}" for name in settings.split() for verb in ("Get", "Put")]
    others = (
        "CreateBucket DeleteBucket ListBucket DeleteBucketPolicy GetBucketAcl GetBucketLocation "
        "GetEncryptionConfiguration PutEncryptionConfiguration GetLifecycleConfiguration "
        "PutLifecycleConfiguration"
    )
    yield Grant(
        "TrailBucket",
        "make the private bucket that the trail writes to",
        named("s3", " ".join([*both, others])),
        (place.s3(place.prefix.lower()),),
    )


def _checks(plan: StackPlan, place: Place) -> Iterator[Grant]:
    everywhere = ["servicequotas:ListServiceQuotas", "servicequotas:GetAWSDefaultServiceQuota"]
    if plan.compute == "lambda":
        everywhere.append("lambda:GetAccountSettings")
    if plan.records.trail_log_group:  # whose trail may be the organisation's, in another account
        everywhere += named("cloudtrail", "GetTrailStatus GetEventSelectors DescribeTrails")
    yield Grant(
        "Doctor",
        "let `bursar doctor` read quotas, the account's Lambda limits, and the state of the trail",
        tuple(everywhere),
        ("*",),
        optional=True,
    )
    yield Grant(
        "DoctorSelf",
        "let `bursar doctor` ask AWS which of these permissions its caller has",
        named("iam", "SimulatePrincipalPolicy GetRole"),
        (place.iam("user/*"), place.iam("role/*")),
        optional=True,
    )
    if plan.records.topic is not None:
        yield Grant(
            "DoctorTopic",
            "let `bursar doctor` see who hears the alarms",
            named("sns", "GetTopicAttributes"),
            (plan.records.topic,),
            optional=True,
        )


def unused(plan: StackPlan, place: Place) -> tuple[str, ...]:
    """Return which of the guide's permissions a plan has no use for."""
    used = {action for grant in needed(plan, place) for action in grant.actions}
    return tuple(action for action in GUIDE if action not in used)
