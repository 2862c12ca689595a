"""The refusal a policy makes. Pure."""

from __future__ import annotations

from typing import Any

from bursar.errors import Refused


class PolicyViolation(Refused):
    """The policy turned a transaction down, or may not sign it yet.

    `rule` is the rule's name as the policy file has it, `value` what the transaction has, `limit` what the rule
    allows.
    """

    code = "policy_violation"

    def __init__(
        self, message: str, *, rule: str, value: str, limit: str, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
        self.value = value
        self.limit = limit

    def to_dict(self) -> dict[str, Any]:
        """Return the error body of the signing contract, with the rule, the value and the limit."""
        return super().to_dict() | {"rule": self.rule, "value": self.value, "limit": self.limit}
