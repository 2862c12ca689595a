"""What may be signed: rules over what a transaction does. Pure.

```python
from datetime import UTC, datetime

from bursar.policy.decide import decide
from bursar.policy.document import read_policy
from bursar.policy.proposal import Circumstances, Kind, Payment, Proposal
from bursar.policy.windows import windows

policy = read_policy(text)                          # policy.toml; ConfigError with the line otherwise
needed = windows(policy, proposal)                  # which windows to look up
decision = decide(policy, proposal, Circumstances(datetime.now(UTC), spent=spent, first_seen=first_seen))
decision.require_allowed()                          # PolicyViolation: the rule, the value, the limit
# then reserve decision.reservations, all or none, and sign
```

Deny wins; what no rule grants is refused; a rule that lacks what it needs refuses. `document.py` reads the
file, `model.py` is what it means, `decide.py` judges, `words.py` says it, `lint.py` finds what was hardly meant.
"""
