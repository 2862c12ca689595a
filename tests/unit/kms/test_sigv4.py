from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import KmsCredentials
from bursar.kms.names import Endpoint, parse_endpoint, region_endpoint
from bursar.kms.sigv4 import Credentials, SigV4, amz_timestamp

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "sigv4.json").read_text(encoding="utf-8")
)
AT = 1_793_000_000.0

PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
REGIONS = st.sampled_from(["us-east-1", "eu-central-2", "cn-north-1", "us-gov-west-1", "xx-new-9"])
TIMES = st.floats(min_value=0, max_value=4_000_000_000)
ENDPOINTS = st.one_of(
    REGIONS.map(region_endpoint),
    st.integers(1, 65535).map(lambda port: parse_endpoint(f"http://127.0.0.1:{port}")),
    st.integers(1, 65535).map(lambda port: parse_endpoint(f"https://vpce-1.kms.example:{port}/")),
    st.integers(1, 65535).map(lambda port: parse_endpoint(f"http://[::1]:{port}")),
)


SEALED = st.builds(Credentials, PRINTABLE, PRINTABLE, st.none() | PRINTABLE)


def botocore_says(credentials: Credentials, region: str, request: AWSRequest, at: float) -> str:
    """Sign the same request with botocore at the same second; return its Authorization header."""
    request.context["timestamp"] = datetime.fromtimestamp(int(at), UTC).strftime("%Y%m%dT%H%M%SZ")
    boto = BotoCredentials(
        credentials.access_key_id, credentials.secret_access_key, credentials.session_token
    )
    oracle: Any = SigV4Auth(boto, "kms", region)
    oracle._modify_request_before_signing(request)
    to_sign = oracle.string_to_sign(request, oracle.canonical_request(request))
    oracle._inject_signature_to_request(request, oracle.signature(to_sign, request))
    return str(request.headers["Authorization"])


@given(SEALED, REGIONS, ENDPOINTS, st.binary(max_size=300), TIMES)
def test_every_signature_is_botocore_s_byte_for_byte(
    credentials: Credentials, region: str, endpoint: Endpoint, body: bytes, at: float
) -> None:
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService.Sign"}
    host = {"host": endpoint.authority}
    ours = SigV4(region, "kms").sign(credentials, headers | host, body, at)
    url = f"{endpoint.scheme}://{endpoint.authority}/"
    request = AWSRequest(method="POST", url=url, data=body, headers=headers)
    assert ours["authorization"] == botocore_says(credentials, region, request, at)
    assert ours.get("x-amz-security-token") == credentials.session_token


@pytest.mark.parametrize("request_", VECTORS["requests"], ids=lambda request: request["name"])
def test_aws_s_own_vectors_are_met(request_: dict[str, Any]) -> None:
    credentials = Credentials(VECTORS["access_key_id"], VECTORS["secret_access_key"])
    signer = SigV4(VECTORS["region"], VECTORS["service"])
    body = request_["body"].encode()
    signed = signer.sign(credentials, request_["headers"], body, VECTORS["at"])
    assert signed["authorization"].endswith(f"Signature={request_['signature']}")


def test_the_kept_key_follows_the_day_and_the_secret() -> None:
    signer = SigV4("us-east-1", "kms")
    headers = {"host": "kms.us-east-1.amazonaws.com"}
    for secret in ("one", "two", "one"):
        for at in (AT, AT + 1, AT + 86_400, AT):
            credentials = Credentials("AKID", secret)
            fresh = SigV4("us-east-1", "kms").sign(credentials, headers, b"{}", at)
            assert signer.sign(credentials, headers, b"{}", at) == fresh


@given(TIMES)
def test_the_timestamp_is_utc_to_the_second(at: float) -> None:
    assert re.fullmatch(r"\d{8}T\d{6}Z", amz_timestamp(at))
    back = datetime.strptime(amz_timestamp(at) + "+0000", "%Y%m%dT%H%M%SZ%z")
    assert back.timestamp() == int(at)


def test_credentials_never_show_their_secret_parts() -> None:
    credentials = Credentials("AKIDEXAMPLE", "very-secret", "token-secret")
    for text in (repr(credentials), str(credentials), f"{credentials}"):
        assert "AKIDEXAMPLE" in text
        assert "secret" not in text.replace("secret_access_key", "")
    signer = SigV4("us-east-1", "kms")
    signer.sign(credentials, {"host": "h"}, b"", AT)
    assert "very-secret" not in repr(vars(signer))


@pytest.mark.parametrize("bad", ["", " ", "a b", "a\n", "a\r\nx-evil: 1", "é", "\x00", 5, None])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_credential_that_no_header_may_carry_is_refused_unrepeated(bad: Any, part: int) -> None:
    parts: list[Any] = ["AKID", "secret", "token"]
    if part == 2 and bad is None:
        return
    parts[part] = bad
    with pytest.raises(KmsCredentials) as caught:
        Credentials(*parts)
    assert not isinstance(bad, str) or len(bad) < 3 or bad not in str(caught.value)
