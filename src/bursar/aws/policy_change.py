"""What a deployment changes about the policy that the key signs by: the rules it takes away and those it adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.policy_plan import PolicyPlan
from bursar.aws.stacks import Stack
from bursar.aws.template.function import POLICY_METADATA
from bursar.errors import ConfigError
from bursar.policy.document import read_document
from bursar.policy.model import Policy
from bursar.policy.words import Sentence, describe


@dataclass(frozen=True, slots=True)
class PolicyStand:
    """Which policy it is: its version, and the hash of what it means."""

    version: int
    hash: str


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """From one policy, or none, to another, or none, with the rules that differ in words.

    `readable` is False where the one before is in words that this version cannot read: then `removed` is empty.
    """

    before: PolicyStand | None
    after: PolicyStand | None
    removed: tuple[Sentence, ...] = ()
    added: tuple[Sentence, ...] = ()
    readable: bool = True

    @property
    def changes(self) -> bool:
        """Does what the policy means change?"""
        return (self.before and self.before.hash) != (self.after and self.after.hash)

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever says yes should know of it."""
        found = []
        if (
            self.before
            and self.after
            and self.changes
            and self.after.version <= self.before.version
        ):
            found.append(
                f"policy: its rules changed and its version did not rise ({self.before.version} → "
                f"{self.after.version}): records of the two cannot be told apart by it"
            )
        if self.before and self.after and self.changes and not (self.removed or self.added):
            found.append(
                "policy: what it means changes, and none of its words do: compare the files before you say yes"
            )
        if self.before and not self.after:
            found.append("policy: it is taken away; the function signs without rules of its own")
        if not self.readable:
            found.append("policy: the one that is deployed cannot be read here; compare the files")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values: `from`, `to`, `removed` and `added`."""
        return {
            "from": asdict(self.before) if self.before else None,
            "to": asdict(self.after) if self.after else None,
            "removed": [asdict(each) for each in self.removed],
            "added": [asdict(each) for each in self.added],
        }


def policy_change(
    cloud: Cloud, stack: Stack | None, after: PolicyPlan | None
) -> PolicyChange | None:
    """Return what deploying a policy, or none, changes; None where there is none before or after.

    It costs `cloudformation:GetTemplate` where a policy is deployed.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    before = _stand(stack.outputs) if stack else None
    if before is None and after is None:
        return None
    old = _deployed_policy(cloud, stack) if stack and before else None
    told = describe(old) if old else ()
    new = describe(after.policy) if after else ()
    return PolicyChange(
        before,
        PolicyStand(after.version, after.hash) if after else None,
        tuple(each for each in told if each not in new),
        tuple(each for each in new if each not in told),
        readable=before is None or old is not None,
    )


def require_policy_is_meant_to_go(
    stack: Stack | None, after: PolicyPlan | None, *, without_policy: bool
) -> None:
    """Refuse to take a deployed policy away, unless that is asked for by name.

    Raises:
        ConfigError: the stack has a policy, and the plan has none.
    """
    before = _stand(stack.outputs) if stack else None
    if before is not None and after is None and not without_policy:
        raise ConfigError(
            f"the deployed signer signs by a policy (version {before.version}), and this deployment has none",
            hint="name it with --policy or in bursar.toml, [policy] file; or take it away with --without-policy",
        )


def _stand(outputs: Mapping[str, str]) -> PolicyStand | None:
    if "PolicyHash" not in outputs:
        return None
    version = outputs.get("PolicyVersion", "")
    return PolicyStand(int(version) if version.isdecimal() else 0, outputs["PolicyHash"])


def _deployed_policy(cloud: Cloud, stack: Stack) -> Policy | None:
    formation: Any = cloud.cloudformation
    with aws_errors():
        found = formation.get_template(StackName=stack.id, TemplateStage="Original")["TemplateBody"]
    # boto3 has read JSON already. What is left as text is YAML, so no template of ours, and says nothing.
    resources = found.get("Resources", {}) if isinstance(found, Mapping) else {}
    text = resources.get("Function", {}).get("Metadata", {}).get(POLICY_METADATA)
    return read_document(text).policy if isinstance(text, str) else None
