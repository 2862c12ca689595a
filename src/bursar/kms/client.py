"""The blocking client of KMS's data plane, on sockets and nothing else.

```
with KmsClient.from_environment() as kms:
    answer = kms.get_public_key("alias/treasury")
```
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from bursar.errors import BursarError, KmsError, KmsProtocolError
from bursar.kms import faults, wire
from bursar.kms.connections import Dialler
from bursar.kms.credentials import CredentialChain, CredentialsProvider
from bursar.kms.http1 import Response
from bursar.kms.names import (
    Endpoint,
    parse_key_name,
    parse_region,
    region_endpoint,
    require_region,
)
from bursar.kms.public_keys import PublicKeys
from bursar.kms.service import (
    Access,
    Dialect,
    JsonService,
    Limits,
    Machine,
    chosen_endpoint,
    chosen_region,
)
from bursar.kms.sigv4 import Credentials
from bursar.kms.wire import Call, KmsPublicKey, KmsSignature

if TYPE_CHECKING:  # the curve library is the signer's to load, not the client's
    from bursar.chains.evm import KmsSignRequest

__all__ = ["KmsClient", "Limits", "Machine"]


def _fault(response: Response) -> BursarError | None:
    return None if response.status == 200 else faults.error_of(response)


_KMS = Dialect("kms", wire.CONTENT_TYPE, _fault)


class KmsClient:
    """Signs with keys in KMS, and reads their public keys. Threads may share one.

    A call that fails in passing is tried again. Repeating Sign is safe: it changes nothing in KMS, and at
    most one answer is released, so a caller sees exactly one signature. A repetition leaves one more line in
    CloudTrail, no more.
    """

    def __init__(
        self,
        region: str,
        credentials: CredentialsProvider,
        *,
        endpoint: Endpoint | None = None,
        limits: Limits | None = None,
        machine: Machine | None = None,
    ) -> None:
        self.region = parse_region(region)
        self.endpoint = endpoint or region_endpoint(region)
        self._credentials = credentials
        self._public_keys = PublicKeys(self._fetch_public_key)
        self._service = JsonService(
            _KMS,
            Access(self.region, self.endpoint, self._current_credentials),
            limits,
            machine,
        )

    @classmethod
    def from_environment(
        cls,
        region: str | None = None,
        endpoint: str | None = None,
        *,
        profile: str | None = None,
        limits: Limits | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """Return a client set up as the AWS command line would be. No call is made.

        Region: the argument, AWS_REGION, AWS_DEFAULT_REGION, then the profile's where botocore is installed.
        Endpoint: the argument, AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, then the Region's own (the FIPS one under
        AWS_USE_FIPS_ENDPOINT). Certificates: AWS_CA_BUNDLE, or the system's. Credentials: see `CredentialChain`.

        Raises:
            ConfigError: no Region is set, or a setting is malformed.
        """
        chosen = chosen_region(region, profile, environ)
        return cls(
            chosen,
            CredentialChain(profile=profile, environ=environ),
            endpoint=chosen_endpoint("kms", chosen, endpoint, environ),
            limits=limits,
            machine=Machine(connect=Dialler(environ.get("AWS_CA_BUNDLE") or None)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections. The client still works afterwards, with a new connection for each call."""
        self._service.close()

    def get_public_key(self, key_id: str) -> KmsPublicKey:
        """Return the public key of a key id, key ARN, alias name or alias ARN. It needs `kms:GetPublicKey`.

        A key ARN is asked once in this client's life; callers at the same moment share one call.

        Raises:
            ConfigError: not a name of a key.
            KmsRegionMismatch: an ARN of another Region; KMS was not called.
            KmsError: KMS refused or could not be reached.
        """
        return self._public_keys.get(key_id)

    def sign(self, key_arn: str, request: KmsSignRequest) -> KmsSignature:
        """Have KMS sign, and return what it answers: not proved, s in either half. It needs `kms:Sign`.

        Raises:
            ConfigError: not a name of a key.
            KmsRegionMismatch: an ARN of another Region; KMS was not called.
            KmsError: KMS refused or could not be reached.
        """
        require_region(parse_key_name(key_arn), self.region)
        response, unanswered = self._call(wire.sign_call(key_arn, request))
        try:
            return wire.read_signature(response, request, unanswered)
        except KmsProtocolError as error:  # KMS may have signed all the same
            error.request_id, error.unanswered = wire.request_id(response) or None, unanswered
            raise

    def _fetch_public_key(self, key_id: str) -> KmsPublicKey:
        require_region(parse_key_name(key_id), self.region)
        return wire.read_public_key(self._call(wire.public_key_call(key_id))[0])

    def _current_credentials(self) -> Credentials:
        return self._credentials()

    def _call(self, call: Call) -> tuple[Response, int]:
        """Return the answer, and how many earlier attempts may have reached KMS and got none."""
        course = self._service.begin()
        try:
            return self._service.call(call, course), course.unanswered
        except KmsError as error:
            error.unanswered = course.unanswered
            raise
