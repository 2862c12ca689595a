"""A policy with its hash, as a signer holds it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bursar.policy.canonical import policy_hash
from bursar.policy.document import FILE, read_policy
from bursar.policy.model import Policy


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A policy and its hash, which is recorded with every decision."""

    policy: Policy
    hash: str

    @classmethod
    def read(cls, text: str | bytes, source: str = FILE) -> Rulebook:
        """Return the rulebook of a policy file's text.

        Raises:
            ConfigError: the first thing that is wrong, with its line.
        """
        policy = read_policy(text, source)
        return cls(policy, policy_hash(policy))

    def to_dict(self) -> dict[str, object]:
        """Return which policy it is: version and hash."""
        return {"version": self.policy.version, "hash": self.hash}
