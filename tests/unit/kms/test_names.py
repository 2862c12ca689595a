from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import BursarError, ConfigError, KmsRegionMismatch
from bursar.kms.names import (
    parse_endpoint,
    parse_key_name,
    parse_region,
    region_endpoint,
    require_region,
)

UUID = "1234abcd-12ab-34cd-56ef-1234567890ab"
MRK = "mrk-1234abcd12ab34cd56ef1234567890ab"


@pytest.mark.parametrize(
    ("text", "resource", "is_alias", "region"),
    [
        (UUID, UUID, False, None),
        (MRK, MRK, False, None),
        ("alias/treasury", "alias/treasury", True, None),
        ("alias/team/treasury_1-a", "alias/team/treasury_1-a", True, None),
        (f"arn:aws:kms:us-east-1:111122223333:key/{UUID}", UUID, False, "us-east-1"),
        (f"arn:aws:kms:eu-central-2:111122223333:key/{MRK}", MRK, False, "eu-central-2"),
        ("arn:aws-cn:kms:cn-north-1:111122223333:alias/t", "alias/t", True, "cn-north-1"),
        (f"arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/{UUID}", UUID, False, "us-gov-west-1"),
        (f"arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/{UUID}", UUID, False, "eusc-de-east-1"),
    ],
)
def test_each_form_of_a_name_is_read(
    text: str, resource: str, *, is_alias: bool, region: str | None
) -> None:
    name = parse_key_name(text)
    assert (name.text, name.resource, name.is_alias, name.region) == (
        text,
        resource,
        is_alias,
        region,
    )
    assert name.account == ("111122223333" if region else None)
    assert name.is_key_arn == (region is not None and not is_alias)
    assert name.is_multi_region == (resource == MRK)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "treasury",
        "alias/",
        "alias/" + "a" * 251,
        "alias/tre asury",
        "alias/tré",
        "ALIAS/t",
        UUID[:-1],
        UUID + "\n",
        f"key/{UUID}",
        f"arn:aws:kms:us-east-1:11112222333:key/{UUID}",
        f"arn:aws:s3:us-east-1:111122223333:key/{UUID}",
        f"arn:aws:kms::111122223333:key/{UUID}",
        f"arn:evil:kms:us-east-1:111122223333:key/{UUID}",
        "arn:aws:kms:us-east-1:111122223333:key/alias/t",
        "arn:aws:kms:us-east-1:111122223333:treasury",
        '{"KeyId": 1}',
        None,
        7,
        b"alias/treasury",
    ],
)
def test_anything_else_is_not_a_name_and_is_not_repeated(text: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_key_name(text)
    assert "111122223333" not in str(caught.value)


@given(st.text(max_size=100))
def test_names_endpoints_and_regions_raise_only_our_errors(text: str) -> None:
    for parse in (parse_key_name, parse_endpoint, parse_region):
        try:
            parse(text)
        except BursarError:
            continue


def test_an_arn_of_another_region_is_refused_by_region_and_not_by_account() -> None:
    name = parse_key_name(f"arn:aws:kms:us-west-2:111122223333:key/{UUID}")
    require_region(name, "us-west-2")
    with pytest.raises(KmsRegionMismatch, match=r"us-west-2.*us-east-1") as caught:
        require_region(name, "us-east-1")
    assert "111122223333" not in str(caught.value.to_dict())


def test_the_way_out_of_a_region_mismatch_holds_wherever_the_region_was_set() -> None:
    with pytest.raises(KmsRegionMismatch) as caught:
        require_region(
            parse_key_name(f"arn:aws:kms:us-west-2:111122223333:key/{UUID}"), "us-east-1"
        )
    for place in ("us-west-2", "AWS_REGION", "bursar.toml, [aws] region"):
        assert place in str(caught.value.hint)


def test_names_without_a_region_go_anywhere() -> None:
    for text in (UUID, MRK, "alias/treasury"):
        require_region(parse_key_name(text), "ap-south-2")


def partitions() -> list[tuple[str, str]]:
    data = Path(botocore.__file__).parent / "data" / "partitions.json"
    return [
        (region, partition["outputs"]["dnsSuffix"])
        for partition in json.loads(data.read_text())["partitions"]
        for region in partition["regions"]
        if not region.endswith("-global")
    ]


@pytest.mark.parametrize(("region", "suffix"), partitions())
def test_every_region_that_botocore_knows_has_its_endpoint(region: str, suffix: str) -> None:
    assert region_endpoint(region).host == f"kms.{region}.{suffix}"
    assert region_endpoint(region, fips=True).host == f"kms-fips.{region}.{suffix}"


def test_a_region_that_nobody_knows_yet_has_an_endpoint() -> None:
    endpoint = region_endpoint("eu-north-17")
    assert (endpoint.authority, endpoint.scheme) == ("kms.eu-north-17.amazonaws.com", "https")


@pytest.mark.parametrize(
    "text", ["", "us east 1", "US-EAST-1", "us-east-1\n", "us/../x", "x", None]
)
def test_what_is_not_a_region_is_refused(text: Any) -> None:
    with pytest.raises(ConfigError):
        region_endpoint(text)


@pytest.mark.parametrize(
    ("url", "authority", "address"),
    [
        ("https://kms.example", "kms.example", ("kms.example", 443)),
        ("https://KMS.example:8443/", "kms.example:8443", ("kms.example", 8443)),
        ("https://kms.example:443", "kms.example", ("kms.example", 443)),
        ("http://127.0.0.1:4566", "127.0.0.1:4566", ("127.0.0.1", 4566)),
        ("http://localhost", "localhost", ("localhost", 80)),
        ("http://[::1]:4566", "[::1]:4566", ("::1", 4566)),
    ],
)
def test_a_custom_endpoint_is_taken_apart(
    url: str, authority: str, address: tuple[str, int]
) -> None:
    endpoint = parse_endpoint(url)
    assert endpoint.authority == authority
    assert endpoint.address == address


@pytest.mark.parametrize(
    "url",
    [
        "http://kms.example",
        "http://10.0.0.1:4566",
        "http://127.0.0.1.example",
        "http://localhost.example",
        "https://user:secret@kms.example",
        "https://kms.example/path",
        "https://kms.example?x=1",
        "https://kms.example:0",
        "https://kms.example:65536",
        "ftp://kms.example",
        "kms.example",
        "https://",
        "https://kms.example\r\nx-evil: 1",
        None,
    ],
)
def test_an_endpoint_that_could_leak_or_mislead_is_refused(url: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_endpoint(url)
    assert "secret" not in str(caught.value)
