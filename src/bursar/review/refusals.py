"""The review's own refusal. Pure."""

from __future__ import annotations

from bursar.errors import Refused


class Unverifiable(Refused):
    """What would be signed cannot be shown to be what it is said to be.

    `what` names the part, in Crossmint's words where it has one: `userOperationHash`, `nonce`, `factory`.
    """

    code = "unverifiable"

    def __init__(self, message: str, *, hint: str | None = None, what: str = "transaction") -> None:
        super().__init__(message, hint=hint)
        self.what = what
