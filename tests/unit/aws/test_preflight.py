from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from bursar.aws import preflight
from bursar.aws.cloud import Cloud
from bursar.aws.plan import ApiPlan, FunctionPlan, KeyPlan, NetworkPlan, RecordsPlan, StackPlan
from bursar.aws.policy_plan import PolicyPlan
from bursar.errors import ConfigError
from tests.fakes.policies import planned

DEPLOYER = "arn:aws:sts::111122223333:assumed-role/deployer/session"
VPC = NetworkPlan("vpc-12345678", ("subnet-12345678",))
WITHOUT_LOGS = ApiPlan(access_logs=False)


class Account:
    """An AWS account that answers what a preflight asks."""

    def __init__(self, **answers: Any) -> None:
        self.unreserved = answers.get("unreserved", 990)
        self.limit = answers.get("limit", 1000)
        self.held = answers.get("held")
        self.role = answers.get("role")
        self.dns = answers.get("dns", True)
        self.endpoints = answers.get("endpoints", [])
        self.trails = answers.get("trails", [])

    def cloud(self) -> Cloud:
        functions = SimpleNamespace(
            get_account_settings=lambda: {
                "AccountLimit": {
                    "UnreservedConcurrentExecutions": self.unreserved,
                    "ConcurrentExecutions": self.limit,
                }
            },
            get_function_concurrency=self._concurrency,
        )
        clients = {
            "apigateway": SimpleNamespace(
                get_account=lambda: {"cloudwatchRoleArn": self.role} if self.role else {}
            ),
            "cloudtrail": SimpleNamespace(describe_trails=self._trails),
            "ec2": SimpleNamespace(
                describe_vpc_attribute=lambda VpcId, Attribute: {  # noqa: ARG005, N803
                    Attribute[0].upper() + Attribute[1:]: {"Value": self.dns}
                },
                describe_vpc_endpoints=lambda **_: {"VpcEndpoints": self.endpoints},
                describe_managed_prefix_lists=self._prefix_lists,
            ),
        }
        return cast(
            "Cloud",
            SimpleNamespace(
                functions=functions,
                client=clients.__getitem__,
                caller_arn=DEPLOYER,
                region="eu-central-1",
                emulated=False,
            ),
        )

    @staticmethod
    def _prefix_lists(*, Filters: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803  boto3's name
        [asked] = Filters
        assert asked["Name"] == "prefix-list-name"
        names = {"com.amazonaws.eu-central-1.dynamodb": "pl-66a5400f"}
        found = [names[each] for each in asked["Values"] if each in names]
        return {"PrefixLists": [{"PrefixListId": each} for each in found]}

    def _concurrency(self, **_: str) -> dict[str, int]:
        if self.held is None:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "Get")
        return {"ReservedConcurrentExecutions": self.held}

    def _trails(self) -> dict[str, Any]:
        if self.trails is None:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeTrails")
        return {"trailList": self.trails}


def fitted(account: Account, plan: StackPlan) -> StackPlan:
    return preflight.fitted(account.cloud(), plan, None, "treasury")


@pytest.mark.parametrize(
    ("account", "room"),
    [
        (Account(), True),
        (Account(unreserved=110), True),
        (Account(unreserved=109), False),
        (Account(unreserved=100, held=10), True),
        # An account of ten has nothing to reserve.
        (Account(unreserved=10, limit=10), False),
    ],
)
def test_concurrency_that_the_account_has_not_is_found_before_anything_is_made(
    account: Account, *, room: bool
) -> None:
    plan = StackPlan(api=WITHOUT_LOGS, function=FunctionPlan(reserved_concurrency=10))
    if room:
        assert fitted(account, plan) == plan
        return
    with pytest.raises(ConfigError, match="concurrent executions") as caught:
        fitted(account, plan)
    assert "function.reserved_concurrency = 0" in str(caught.value.hint)
    none = StackPlan(api=WITHOUT_LOGS, function=FunctionPlan(reserved_concurrency=None))
    assert fitted(account, none) == none


@pytest.mark.parametrize(("role", "makes"), [(None, True), ("arn:aws:iam::1:role/logs", False)])
def test_the_regions_logging_is_set_up_only_where_it_is_not(
    role: str | None, *, makes: bool
) -> None:
    assert fitted(Account(role=role), StackPlan()).api.logs_for_region is makes


def test_a_key_that_its_maker_could_not_manage_is_refused_as_kms_would() -> None:
    others = KeyPlan(
        account_delegation=False, administrators=("arn:aws:iam::111122223333:role/others",)
    )
    with pytest.raises(ConfigError, match=r"key\.administrators"):
        fitted(Account(), StackPlan(key=others, api=WITHOUT_LOGS))
    deployer = KeyPlan(
        account_delegation=False, administrators=("arn:aws:iam::111122223333:role/deployer",)
    )
    plan = StackPlan(key=deployer, api=WITHOUT_LOGS)
    assert fitted(Account(), plan) == plan


def test_a_vpc_without_dns_takes_no_endpoints() -> None:
    with pytest.raises(ConfigError, match="enableDnsSupport") as caught:
        fitted(Account(dns=False), StackPlan(network=VPC, api=WITHOUT_LOGS))
    assert "--enable-dns-support" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("tags", "refused"), [([], True), ([{"Key": "bursar:stack", "Value": "treasury"}], False)]
)
def test_a_vpc_in_which_kmss_name_is_taken_is_refused_unless_by_this_stack(
    tags: list[Any], *, refused: bool
) -> None:
    there = {
        "VpcEndpointId": "vpce-12345678",
        "ServiceName": "com.amazonaws.us-east-1.kms",
        "PrivateDnsEnabled": True,
        "Tags": tags,
    }
    plan = StackPlan(network=VPC, api=WITHOUT_LOGS)
    if not refused:
        assert fitted(Account(endpoints=[there]), plan) == plan
        return
    with pytest.raises(ConfigError, match="vpce-12345678") as caught:
        fitted(Account(endpoints=[there]), plan)
    assert "network.kms_endpoint" in str(caught.value.hint)


def test_whoever_deploys_is_told_what_becomes_of_the_vpc_and_what_a_second_trail_costs() -> None:
    trail = {"Name": "organisation", "CloudWatchLogsLogGroupArn": "arn:aws:logs:x"}
    told = preflight.notes(Account(trails=[trail]).cloud(), StackPlan(network=VPC), None)
    assert [note.partition(":")[0] for note in told] == ["network", "trail"]
    none = StackPlan(records=RecordsPlan(trail="none"))
    assert preflight.notes(Account(trails=[trail]).cloud(), none, None) == ()
    assert preflight.notes(Account(trails=None).cloud(), StackPlan(), None) == ()


ROUTED = replace(VPC, route_tables=("rtb-12345678",))


def test_with_a_policy_the_list_of_dynamodbs_addresses_is_looked_up_unless_it_is_named() -> None:
    def listed(network: NetworkPlan, policy: PolicyPlan | None = None) -> str | None:
        plan = StackPlan(network=network, policy=policy, api=WITHOUT_LOGS)
        found = fitted(Account(), plan).network
        assert found is not None
        return found.dynamodb_prefix_list

    assert listed(ROUTED, planned()) == "pl-66a5400f"
    assert listed(replace(ROUTED, dynamodb_prefix_list="pl-12345678"), planned()) == "pl-12345678"
    assert listed(replace(ROUTED, security_group="sg-12345678"), planned()) is None
    assert listed(ROUTED) is None


def test_a_route_table_that_leads_to_dynamodb_already_is_refused_unless_by_this_stack() -> None:
    there = {
        "ServiceName": "com.amazonaws.eu-central-1.dynamodb",
        "VpcEndpointId": "vpce-12345678",
        "RouteTableIds": ["rtb-12345678"],
    }
    plan = StackPlan(network=ROUTED, policy=planned(), api=WITHOUT_LOGS)
    with pytest.raises(ConfigError, match="vpce-12345678") as caught:
        fitted(Account(endpoints=[there]), plan)
    assert "network.dynamodb_endpoint" in str(caught.value.hint)
    for fine in (
        {**there, "Tags": [{"Key": "bursar:stack", "Value": "treasury"}]},
        {**there, "RouteTableIds": ["rtb-87654321"]},
    ):
        assert fitted(Account(endpoints=[fine]), plan).network is not None
    assert fitted(Account(endpoints=[there]), replace(plan, policy=None)).network == ROUTED


def test_that_a_limit_holds_in_each_region_for_itself_and_that_users_pass_it_by_is_told() -> None:
    def told(key: KeyPlan) -> str:
        plan = StackPlan(key=key, policy=planned(), records=RecordsPlan(trail="none"))
        return " ".join(preflight.notes(Account().cloud(), plan, None))

    assert "each Region for itself" in told(KeyPlan(multi_region=True)).replace("\n", " ")
    assert "sign past the function" in told(KeyPlan(users=("arn:aws:iam::111122223333:role/a",)))
    assert told(KeyPlan()).count("ledger:") == 1
