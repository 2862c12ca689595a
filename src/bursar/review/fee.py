"""What an operation costs at most, and whom. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bursar.review.operation import UserOperation


@dataclass(frozen=True, slots=True)
class Fee:
    """`at_most` is in wei. `paymaster` is who pays it, None where the wallet does.

    A paymaster pays the chain; what it asks of the wallet for that is no part of the operation, beyond the calls
    that are shown.
    """

    at_most: int
    paymaster: str | None


def worst_case(operation: UserOperation) -> Fee:
    """Return the most the EntryPoint can take for an operation, whatever happens in it.

    It is `requiredPrefund` of EntryPoint v0.7: every gas limit at the highest price. That much is set aside before
    the operation runs and nothing above it can be charged, its penalty for unused gas included.
    """
    gas, paymaster = operation.gas, operation.paymaster
    limits = gas.call + gas.verification + gas.pre_verification
    if paymaster is not None:
        limits += paymaster.verification_gas + paymaster.post_op_gas
    return Fee(limits * gas.max_fee, paymaster.address if paymaster else None)
