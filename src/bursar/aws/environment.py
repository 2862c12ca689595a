"""What the signing function is called and what its environment tells it. Pure."""

from __future__ import annotations

from typing import Final

HANDLER_MODULE: Final = "bursar.aws.handler"
HANDLER: Final = f"{HANDLER_MODULE}.handle"

KEY: Final = "KMS_KEY_ID"
BLIND_SIGNING: Final = "BURSAR_BLIND_SIGNING"
SIGNER_ADDRESS: Final = "BURSAR_SIGNER_ADDRESS"
POLICY_HASH: Final = "BURSAR_POLICY_HASH"
LEDGER_TABLE: Final = "BURSAR_LEDGER_TABLE"
ALLOWED: Final = "allowed"
REFUSED: Final = "refused"

# Where in the function's zip its policy lies.
POLICY_FILE: Final = "policy.toml"
# The table's partition and sort key: one partition for each book, one item for each entry.
LEDGER_KEYS: Final = ("book", "entry")
