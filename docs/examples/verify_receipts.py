"""Check the chain of an export with nothing but Python: bursar audit export | python verify_receipts.py."""

import hashlib
import json
import sys

previous, number = "0" * 64, 0
for line in sys.stdin:
    receipt = json.loads(line)
    stated = receipt.pop("hash")
    text = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    if hashlib.sha256(text.encode()).hexdigest() != stated:
        sys.exit(f"receipt {number + 1} was edited")
    if (receipt["number"], receipt["previous"]) != (number + 1, previous):
        sys.exit(f"receipt {number + 1} is missing, moved, or does not follow the one before")
    previous, number = stated, receipt["number"]
sys.stdout.write(f"{number} receipts, head {number}:{previous}\n")
