"""A stand-in for Crossmint's wallets API, on the sandbox's chain.

It runs as a process of its own: `python -m bursar.sandbox.crossmint --config FILE`.

It was written from the public schema and documentation and has never been compared with Crossmint's servers;
where they are silent the code says "assumption". `docs/reference/sandbox-crossmint.md` lists what it does.
"""

from bursar.sandbox.crossmint.config import ALL_SCOPES, ApiKey, StandInConfig, Webhook
from bursar.sandbox.crossmint.keys import MintedKey, mint_api_key

__all__ = ["ALL_SCOPES", "ApiKey", "MintedKey", "StandInConfig", "Webhook", "mint_api_key"]
