"""A caller who looks at nothing: whatever Crossmint answers goes to the signer with the honest request."""

from __future__ import annotations

from collections.abc import Mapping

from bursar.aws.remote import Api, ApiSigner
from bursar.chains.evm import Scheme
from bursar.crossmint.client import CrossmintClient
from bursar.kms.sigv4 import Credentials
from bursar.review.intent import AnyIntent
from bursar.signing_contract import Answer, TransactionRequest


def ask(
    environment: Mapping[str, str],
    caller: Mapping[str, str],
    transaction_id: str,
    intent: AnyIntent,
    *,
    address: str,
) -> Answer:
    """Read a transaction of the treasury and have the deployed signer sign it, as this intent.

    `environment` is the sandbox's own, `caller` the credentials' variables of an IAM user with the API's URL,
    `address` the signer's. One GET, one GET of the wallet, one POST.

    Raises:
        BursarError: as `ApiSigner.sign_transaction`.
    """
    import httpx2

    wallet = "evm:smart:alias:treasury"
    key, url = environment["BURSAR_CROSSMINT_API_KEY"], environment["BURSAR_CROSSMINT_URL"]
    with CrossmintClient(key, environment="staging", base_url=url) as client:
        transaction = client.get_transaction(wallet, transaction_id)
        sender = client.get_wallet(wallet).address
    request = TransactionRequest(
        transaction.raw, intent, sender, f"external-wallet:{address}", Scheme.EIP191
    )
    credentials = Credentials(caller["AWS_ACCESS_KEY_ID"], caller["AWS_SECRET_ACCESS_KEY"])
    api = Api.at(caller["BURSAR_SIGNER_API_URL"], environment["AWS_REGION"])
    with (
        httpx2.Client(trust_env=False, timeout=30) as http,
        ApiSigner(api, address, credentials=lambda: credentials, client=http) as signer,
    ):
        return signer.sign_transaction(request)
