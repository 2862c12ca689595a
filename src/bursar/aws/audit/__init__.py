"""What KMS signed with the key, by CloudTrail, against what the project says it signed.

`reconciliation`, `records`, `trail` and `window` are pure; `gathering` asks AWS.
"""

from __future__ import annotations

from dataclasses import dataclass

from bursar.aws import stacks
from bursar.aws.audit.gathering import Gathering
from bursar.aws.audit.reconciliation import Reconciliation, reconcile
from bursar.aws.audit.records import Record
from bursar.aws.audit.trail import AuditedKey
from bursar.aws.audit.window import Window
from bursar.aws.cloud import Cloud
from bursar.errors import ConfigError
from bursar.kms.keys import Keys

__all__ = ["Audit", "Subject", "audit", "subject_of_key", "subject_of_stack"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What to audit: the key, the log groups with our records, and the log group of the trail to read, if any.

    `role` is the ARN of the function's role, which has to have made whatever its log records; empty where it is
    not known.
    """

    key: AuditedKey
    log_groups: tuple[str, ...] = ()
    trail_log_group: str | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit: what was looked at, what became of it, and in `gaps` what of the window could not be seen."""

    subject: Subject
    window: Window
    found: Reconciliation
    gaps: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether every signature is accounted for, both ways, and all of the window was seen."""
        return not (self.found.foreign or self.found.missing or self.gaps)


def subject_of_stack(cloud: Cloud, stack: str) -> Subject:
    """Return what to audit of a deployed stack. One call, `cloudformation:DescribeStacks`.

    Raises:
        StackError: there is no such stack.
        ConfigError: it has no key.
        AwsError: AWS refused or could not be reached.
    """
    found = stacks.required(stacks.find_stack(cloud, stack), stack)
    outputs = found.outputs
    if "KeyArn" not in outputs:
        raise ConfigError(
            f"the stack {stack} is {found.status} and has no signing key",
            hint="give --stack, or --key with --log-group or --records",
        )
    group = outputs.get("LogGroup")
    if group is None and "FunctionName" in outputs:  # as stacks were before they said so
        group = f"/aws/lambda/{outputs['FunctionName']}"
    return Subject(
        key=AuditedKey(outputs["KeyArn"], tuple(filter(None, [outputs.get("KeyAlias")]))),
        log_groups=(group,) if group else (),
        trail_log_group=outputs.get("TrailLogGroup"),
        # The emulator's CloudTrail knows access keys, not whose they are.
        role="" if cloud.emulated else outputs.get("RoleArn", ""),
    )


def subject_of_key(cloud: Cloud, key: str) -> Subject:
    """Return a key to audit, by any of its names. It costs `kms:DescribeKey` and `kms:ListAliases`.

    Raises:
        KmsError, AwsError: there is no such key, or AWS refused or could not be reached.
    """
    found = Keys(cloud.kms).describe(key)
    return Subject(AuditedKey(found.key_arn, found.aliases))


def audit(
    gathering: Gathering, subject: Subject, window: Window, saved: tuple[Record, ...] = ()
) -> Audit:
    """Return the audit of a window. `saved` are records kept elsewhere than in the log groups.

    Events come from the trail's log group where the subject has one, else from CloudTrail's event history. It
    costs what `Gathering` says.

    Raises:
        AwsError: AWS refused or could not be reached, or gave an event that cannot be read.
    """
    if subject.trail_log_group:
        events = gathering.trail(subject.trail_log_group, subject.key)
    else:
        events = gathering.history(subject.key)
    logs = [gathering.records(group, subject.role) for group in subject.log_groups]
    records = (*saved, *(record for source in logs for record in source.records))
    gaps = tuple(gap for source in (events, *logs) for gap in source.gaps)
    return Audit(subject, window, reconcile(events.events, records, window), gaps)
