"""A Region that this version of the SDK has not heard of works like any other."""

from __future__ import annotations

import pytest

from bursar.aws.cloud import Cloud
from bursar.kms.keys import Keys


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [
        ("eu-central-2", "aws", "amazonaws.com"),
        ("eu-central-9", "aws", "amazonaws.com"),
        ("us-gov-south-9", "aws-us-gov", "amazonaws.com"),
        ("cn-west-9", "aws-cn", "amazonaws.com.cn"),
    ],
)
def test_a_region_nobody_knows_yet_has_its_partition_and_its_endpoints(
    region: str, partition: str, suffix: str
) -> None:
    cloud = Cloud(region)
    assert (cloud.region, cloud.partition) == (region, partition)
    assert cloud.kms.meta.endpoint_url == f"https://kms.{region}.{suffix}"
    for service in ("cloudtrail", "logs"):
        assert cloud.client(service).meta.endpoint_url == f"https://{service}.{region}.{suffix}"


def test_the_control_plane_opens_in_it_too() -> None:
    assert Keys.open("eu-central-9")


def test_a_custom_endpoint_is_kept_wherever_the_region_is(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://vpce-0123-kms.eu-central-9.vpce.amazonaws.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    cloud = Cloud("eu-central-9")
    assert cloud.kms.meta.endpoint_url == url
    assert not cloud.emulated
