"""Who may ask for signatures: one managed policy for one method of one stage, and who bears it. Pure.

Source: the API Gateway developer guide, "Control access for invoking an API".
"""

from __future__ import annotations

from bursar.aws.plan import StackPlan
from bursar.aws.template.api import door
from bursar.aws.template.documents import Json, policy, ref


def resources(plan: StackPlan) -> dict[str, Json]:
    """Return the policy of callers, attached to the plan's groups and roles, and the group that is to be made."""
    if plan.compute != "lambda":
        return {}
    own_group = plan.callers.group is not None and not plan.emulated
    groups = [*([ref("CallersGroup")] if own_group else []), *plan.callers.groups]
    properties: Json = {
        "Description": "Lets its bearer ask the treasury's signing API for signatures",
        "PolicyDocument": invoke_policy(plan),
    }
    if groups:
        properties["Groups"] = groups
    if plan.callers.roles:
        properties["Roles"] = list(plan.callers.roles)
    found = {"InvokePolicy": {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}}
    if own_group:
        found["CallersGroup"] = {
            "Type": "AWS::IAM::Group",
            "Properties": {"GroupName": plan.callers.group},
        }
    return found


def invoke_policy(plan: StackPlan) -> Json:
    """Return what a caller needs: execute-api:Invoke on exactly this API, stage and method."""
    return policy(
        {
            "Sid": "AskForSignatures",
            "Effect": "Allow",
            "Action": "execute-api:Invoke",
            "Resource": door(plan),
        }
    )
