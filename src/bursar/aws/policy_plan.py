"""The policy that a deployment carries: its text as written, and what it means. Pure.

The text goes into the function's zip and, to be read, into the template; its hash goes into the function's
environment, so that a function whose zip holds another policy than was deployed can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

from bursar.errors import ConfigError
from bursar.policy.canonical import policy_hash
from bursar.policy.document import FILE, read_document
from bursar.policy.findings import Finding
from bursar.policy.lint import lint
from bursar.policy.model import Policy
from bursar.review.chains import CHAINS
from bursar.review.tokens import DECIMALS


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """A policy: the file's text, and what was read from it."""

    text: str
    policy: Policy

    @property
    def version(self) -> int:
        """The file's own number."""
        return self.policy.version

    @property
    def hash(self) -> str:
        """The hash of what it means, `sha256:` and 64 hex digits."""
        return policy_hash(self.policy)

    @property
    def zone(self) -> str | None:
        """The time zone of its opening hours, None where it is always open."""
        return self.policy.hours.zone if self.policy.hours else None

    @property
    def allows_blind_signing(self) -> bool:
        """Does it let anything be signed that nobody can look at?"""
        return not self.policy.allow.isdisjoint(("blind_signing", "unverifiable"))


def read_policy_plan(data: bytes, source: str = FILE) -> tuple[PolicyPlan, tuple[Finding, ...]]:
    """Return the policy of a file that is to be deployed, and the warnings on it.

    Raises:
        ConfigError: it is no policy, or contradicts itself: the first error, with its line.
    """
    document = read_document(data)
    findings = lint(document, chains=CHAINS, decimals=DECIMALS)
    errors = [each for each in findings if each.severity == "error"]
    if errors or document.policy is None:
        first, more = errors[0], len(errors) - 1
        also = f", and {more} more" if more else ""
        raise ConfigError(
            f"{source} line {first.line}: {first.message}{also}",
            hint=first.hint or f"bursar policy check {source} shows all of it",
        )
    return PolicyPlan(data.decode("utf-8"), document.policy), findings


def deployment_warnings(plan: PolicyPlan, *, blind_signing: bool) -> tuple[str, ...]:
    """Return what a policy says that a deployed signer cannot do, or will not."""
    policy, found = plan.policy, []
    if policy.recipients.registered == "required":
        found.append(
            'recipients.registered is "required", and the deployed signer cannot know who is registered: '
            "it refuses every payment"
        )
    if policy.recipients.registered == "enough":
        found.append(
            'recipients.registered is "enough", and the deployed signer cannot know who is registered: '
            "only those in [recipients.allow] are paid"
        )
    if plan.allows_blind_signing and not blind_signing:
        found.append(
            "the policy allows what nobody can look at (blind_signing or unverifiable), and it stays off: that "
            "takes --allow-blind-signing too"
        )
    return tuple(found)
