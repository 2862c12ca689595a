"""API keys and their scopes."""

from __future__ import annotations

import hmac

from bursar.sandbox.crossmint.config import ApiKey
from bursar.sandbox.crossmint.replies import refused


def authenticate(keys: tuple[ApiKey, ...], presented: str | None, scope: str) -> str:
    """Return the project an API key opens.

    Raises:
        ApiError: 401 without a known key, 403 where the key lacks the scope.
    """
    if not presented:
        raise refused(401, "Missing API key: send it in the X-API-KEY header")
    for known in keys:
        if hmac.compare_digest(known.key.get_secret_value().encode(), presented.encode()):
            if scope not in known.scopes:
                raise refused(403, f"API key is missing a required scope: {scope}")
            return known.project
    raise refused(401, "Invalid API key")
