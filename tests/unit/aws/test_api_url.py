"""Where the signing API is: which URLs are taken, and which Region requests are signed for."""

from __future__ import annotations

import httpx2
import pytest

from bursar.aws.remote import Api, ApiSigner
from bursar.errors import ConfigError
from tests.contract.signers import CALLER, URL

OTHER = "0x1111111111111111111111111111111111111111"


def nobody(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError(f"asked {request.url}")


@pytest.mark.parametrize(
    "url",
    [
        "http://abc.execute-api.us-east-1.amazonaws.com/prod/",
        "https://user@abc.execute-api.us-east-1.amazonaws.com/",
        "https://abc.execute-api.us-east-1.amazonaws.com/prod/?a=1",
        "https://abc.execute-api.us-east-1.amazonaws.com/a b",
        "https://[half/",
        "https://host:port/",
        "https://host:0/",
        "https://host:70000/",
        "https://ü.example/",
        "https:///x",
        "https://ho st/",
        "https://a.example\n/",
        "https://a..example/",
        "https://-a.example/",
        "https://a%2eexample/",
        "https://@a.example/",
        "https://[fe80::1%25eth0]/",
        f"https://{'a' * 64}.example/",
        "http://127.evil.example/",
        "nothing",
        "",
    ],
)
def test_a_url_that_is_no_apis_is_refused(url: str) -> None:
    client = httpx2.Client(transport=httpx2.MockTransport(nobody))
    with pytest.raises(ConfigError):
        ApiSigner(Api(url, "us-east-1"), OTHER, credentials=lambda: CALLER, client=client)


def test_the_apis_own_region_counts_more_than_the_settings() -> None:
    assert Api.at(URL, "eu-west-1").region == "us-east-1"
    assert Api.at("http://127.0.0.1:4566/restapis/x/prod/", "eu-west-1").region == "eu-west-1"
    with pytest.raises(ConfigError):
        Api.at("http://127.0.0.1:4566/restapis/x/prod/")
