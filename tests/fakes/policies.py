"""Policies to deploy in tests."""

from __future__ import annotations

from bursar.aws.policy_plan import PolicyPlan, read_policy_plan

CALLER = "arn:aws:iam::000000000000:user/alice"
TEXT = f"""\
# What the treasury's key may sign.
version = 1

[chains.base-sepolia]
fee_at_most = "0.002"

[tokens.usdc]
locators = ["base-sepolia:0x036CbD53842c5426634e7929541eC2318f3dCF7e"]
decimals = 6
per_transfer = "1000.00"

[recipients.allow]
acme = "0x1111111111111111111111111111111111111111"

[callers]
allow = ["{CALLER}"]
"""
BLIND = TEXT.replace("version = 1\n", 'version = 1\nallow = ["blind_signing"]\n')
RAISED = TEXT.replace("version = 1", "version = 2").replace("1000.00", "2500.00")
HOURS = TEXT + '\n[hours]\nzone = "Europe/Berlin"\nopen = ["mon-fri 08:00-18:00"]\n'


def planned(text: str = TEXT) -> PolicyPlan:
    """Return a policy as a deployment carries it."""
    return read_policy_plan(text.encode())[0]
